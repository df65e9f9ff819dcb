"""The worker's audit buffer keeps every row until control has it, and says in time when there is no room."""

import pytest

from jotgate.services.auditor import Auditor


def filled(capacity: int, rows: int) -> Auditor:
    auditor = Auditor(capacity)
    for number in range(rows):
        auditor.append(b"%d" % number)
    return auditor


def test_rows_are_counted_from_one() -> None:
    auditor = Auditor(10)
    assert [auditor.next_row(), auditor.next_row(), auditor.next_row()] == [1, 2, 3]


def test_rows_leave_in_numbered_batches_in_their_order() -> None:
    auditor = filled(10, 2)
    assert auditor.take_batch() == (1, [b"0", b"1"])
    assert auditor.take_batch() is None
    auditor.append(b"2")
    assert auditor.take_batch() == (2, [b"2"])


def test_what_control_has_not_confirmed_is_sent_again_whole_and_in_order() -> None:
    auditor = filled(10, 1)
    auditor.take_batch()
    auditor.append(b"later")
    auditor.take_batch()
    auditor.append(b"open")
    assert auditor.unwritten() == [(1, [b"0"]), (2, [b"later"])]
    assert auditor.unwritten() == [(1, [b"0"]), (2, [b"later"])]


def test_a_confirmation_covers_all_batches_up_to_its_number() -> None:
    auditor = Auditor(10)
    for number in range(3):
        auditor.append(b"%d" % number)
        auditor.take_batch()
    auditor.written(2)
    assert auditor.unwritten() == [(3, [b"2"])]
    auditor.written(1)  # late and harmless
    assert auditor.unwritten() == [(3, [b"2"])]
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
    auditor.take_batch()
    assert auditor.full
    auditor.written(1)
    assert (auditor.full, auditor.crowded) == (False, False)


def test_a_call_that_runs_while_the_buffer_fills_is_still_recorded() -> None:
    auditor = filled(2, 3)
    assert auditor.take_batch() == (1, [b"0", b"1", b"2"])


def test_the_limit_may_change_and_loses_nothing() -> None:
    auditor = filled(10, 4)
    auditor.limit(4)
    assert auditor.full
    assert auditor.take_batch() == (1, [b"0", b"1", b"2", b"3"])
    auditor.limit(100)
    assert (auditor.full, auditor.crowded) == (False, False)
