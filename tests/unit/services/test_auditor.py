"""The worker's audit buffer keeps every row until control has it, and says in time when there is no room."""

import pytest

from jotgate.core.audit import encode
from jotgate.services.auditor import ROWS_PER_BATCH, Auditor, Batch
from tests.audit_logs import call


def filled(capacity: int, rows: int) -> Auditor:
    auditor = Auditor(capacity)
    for number in range(rows):
        auditor.append(call(number))
    return auditor


def lines(*rows: int) -> bytes:
    return b"\n".join(encode(call(row)) for row in rows)


def test_rows_are_counted_from_one() -> None:
    auditor = Auditor(10)
    assert [auditor.next_row(), auditor.next_row(), auditor.next_row()] == [1, 2, 3]


def test_rows_leave_in_numbered_batches_in_their_order() -> None:
    auditor = filled(10, 2)
    assert auditor.take_batches() == [Batch(1, 2, lines(0, 1))]
    assert auditor.take_batches() == []
    auditor.append(call(2))
    assert auditor.take_batches() == [Batch(2, 1, lines(2))]


def test_many_rows_leave_in_several_batches() -> None:
    auditor = filled(1_000, 2 * ROWS_PER_BATCH + 1)
    batches = auditor.take_batches()
    assert [(batch.number, batch.rows) for batch in batches] == [(1, ROWS_PER_BATCH), (2, ROWS_PER_BATCH), (3, 1)]
    rows = [row for batch in batches for row in batch.text.split(b"\n")]
    assert rows == [encode(call(number)) for number in range(2 * ROWS_PER_BATCH + 1)]
    assert auditor.unwritten() == batches
    assert auditor.waiting == (len(rows), sum(len(batch.text) for batch in batches))


def test_what_control_has_not_confirmed_is_sent_again_whole_and_in_order() -> None:
    auditor = filled(10, 1)
    auditor.take_batches()
    auditor.append(call(1))
    auditor.take_batches()
    auditor.append(call(2))
    assert auditor.unwritten() == [Batch(1, 1, lines(0)), Batch(2, 1, lines(1))]
    assert auditor.unwritten() == [Batch(1, 1, lines(0)), Batch(2, 1, lines(1))]


def test_a_confirmation_covers_all_batches_up_to_its_number() -> None:
    auditor = Auditor(10)
    for number in range(3):
        auditor.append(call(number))
        auditor.take_batches()
    auditor.written(2)
    assert auditor.unwritten() == [Batch(3, 1, lines(2))]
    auditor.written(1)  # late and harmless
    assert auditor.unwritten() == [Batch(3, 1, lines(2))]
    auditor.written(3)
    assert auditor.unwritten() == []
    auditor.written(3)
    assert auditor.unwritten() == []


@pytest.mark.parametrize(
    ("rows", "crowded", "full"),
    [(0, False, False), (4, False, False), (5, True, False), (9, True, False), (10, True, True)],
)
def test_refusals_are_left_out_at_half_and_calls_stop_at_the_whole(rows: int, crowded: bool, full: bool) -> None:
    auditor = filled(10, rows)
    assert (auditor.crowded, auditor.full) == (crowded, full)


def test_only_a_confirmation_makes_room() -> None:
    auditor = filled(4, 4)
    auditor.take_batches()
    assert auditor.full
    auditor.written(1)
    assert (auditor.full, auditor.crowded) == (False, False)


def test_a_call_that_runs_while_the_buffer_fills_is_still_recorded() -> None:
    auditor = filled(2, 3)
    assert auditor.take_batches() == [Batch(1, 3, lines(0, 1, 2))]


def test_the_limit_may_change_and_loses_nothing() -> None:
    auditor = filled(10, 4)
    auditor.limit(4)
    assert auditor.full
    assert auditor.take_batches() == [Batch(1, 4, lines(0, 1, 2, 3))]
    auditor.limit(100)
    assert (auditor.full, auditor.crowded) == (False, False)
