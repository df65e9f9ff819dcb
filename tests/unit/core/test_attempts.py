"""Which attempt of a route is made next."""

import pytest

from jotgate.core.attempts import Condition, choose, rest_s, share_of
from jotgate.core.routes import Attempt

_CIVIL_S = 1_445_412_420.0  # a minute before Wed, 21 Oct 2015 07:28:00 GMT


def attempts(*weights: int) -> list[Attempt]:
    return [Attempt(f"u{index}", "m", weight) for index, weight in enumerate(weights)]


def chosen(weights: list[int], conditions: list[Condition], tried: int = 0, turn: int = 0) -> int | None:
    return choose(attempts(*weights), conditions, tried, turn)


def test_without_weights_the_order_decides() -> None:
    assert [chosen([0, 0, 0], ["free"] * 3, tried) for tried in (0b000, 0b001, 0b011, 0b111)] == [0, 1, 2, None]


def test_weights_share_the_calls() -> None:
    found = [chosen([3, 1, 0], ["free"] * 3, turn=turn) for turn in range(400)]
    assert abs(found.count(0) - 300) <= 2
    assert found.count(2) == 0


def test_a_run_of_calls_is_spread_evenly() -> None:
    found = [chosen([1, 1], ["free"] * 2, turn=turn) for turn in range(12)]
    assert found[:5] == [0, 1, 0, 1, 0]
    assert all(found[start : start + 4].count(0) in (1, 2, 3) for start in range(9))


def test_who_is_left_of_the_first_tier_gets_its_calls_before_the_others_do() -> None:
    assert chosen([3, 1, 0], ["suspended", "free", "free"]) == 1
    assert chosen([3, 1, 0], ["suspended", "suspended", "free"]) == 2
    assert {chosen([3, 1, 1], ["free"] * 3, tried=0b001, turn=turn) for turn in range(20)} == {1, 2}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["full", "free"], 1),
        (["resting", "free"], 1),
        (["resting", "full"], 1),
        (["full", "full"], 0),
        (["crowded", "full"], 1),
        (["resting", "suspended"], 0),
        (["resting", "crowded"], 0),
        (["crowded", "suspended"], None),
        (["suspended", "suspended"], None),
    ],
)
def test_room_goes_before_waiting_and_waiting_before_an_upstream_that_rests(
    conditions: list[Condition], expected: int | None
) -> None:
    assert chosen([0, 0], conditions) == expected


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"0", 0.0),
        (b"7", 7.0),
        (b" 17 ", 17.0),
        (b"3600", 60.0),
        (b"9" * 400, 60.0),
        (b"Wed, 21 Oct 2015 07:27:30 GMT", 30.0),
        (b"Wed, 21 Oct 2015 09:28:00 GMT", 60.0),
        (b"Wed, 21 Oct 2014 07:28:00 GMT", 0.0),
        (b"", 0.0),
        (b"-1", 0.0),
        (b"1.5", 0.0),
        (b"soon", 0.0),
        (b"\xb2", 0.0),
        (b"Wed, 99 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_a_retry_after_field_is_seconds_or_a_date(field: bytes, seconds: float) -> None:
    assert rest_s(field, _CIVIL_S) == pytest.approx(seconds)


@pytest.mark.parametrize(("total", "count"), [(4, 1), (4, 2), (5, 2), (7, 3), (64, 64)])
def test_the_shares_of_the_workers_make_up_the_whole(total: int, count: int) -> None:
    shares = [share_of(total, slot, count) for slot in range(count)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1
