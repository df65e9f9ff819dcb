"""The count of audit rows that the bench compares with its requests."""

import json

import pytest

from bench.jotgate import count_calls


def line(**record: object) -> bytes:
    return b"A" * 43 + b" " + json.dumps(record).encode() + b"\n"


def call(row: int, **changes: object) -> bytes:
    fields = {"kind": "call", "at": 1, "worker": "w1", "row": row, "status": 200, "outcome": "complete"}
    return line(**(fields | changes))


def test_whole_calls_are_counted_and_other_kinds_passed_over() -> None:
    lines = [line(kind="open", at=1), call(1), call(2), line(kind="event", at=2), line(kind="close", at=3)]

    assert count_calls(lines) == {"good": 2}


@pytest.mark.parametrize("changes", [{"status": 401}, {"outcome": "torn"}])
def test_a_call_that_was_not_answered_whole_with_200_is_not_good(changes: dict[str, object]) -> None:
    assert count_calls([call(1), call(2, **changes)]) == {"good": 1, "bad": 1}


def test_the_same_row_twice_counts_once() -> None:
    assert count_calls([call(1), call(1), call(1, worker="w2")]) == {"good": 2, "repeated": 1}
