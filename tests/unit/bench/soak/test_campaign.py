"""Which failures a kill explains, and how the disturbances are mixed."""

import pytest

from bench.soak.campaign import spread, unexplained
from bench.soak.outcomes import Failure
from bench.soak.rig import Kill

KILL = Kill(at_s=10.0, ports=frozenset({4001, 4002}))


def failure(kind: str = "closed", port: int = 4001, began_s: float = 9.0, ended_s: float = 10.1) -> Failure:
    return Failure("a client", "wrong" if kind == "wrong" else "closed", "", port, began_s, ended_s)


def test_a_request_in_flight_in_the_killed_worker_may_be_closed() -> None:
    assert unexplained([failure()], [KILL]) == []


@pytest.mark.parametrize(
    "other",
    [
        failure(kind="wrong"),
        failure(port=4003),
        failure(port=0),
        failure(began_s=10.05),
        failure(ended_s=9.9),
    ],
    ids=["a wrong answer", "another connection", "an unknown connection", "begun after it", "ended before it"],
)
def test_nothing_else_may(other: Failure) -> None:
    assert unexplained([failure(), other], [KILL]) == [other]


def test_every_deed_is_done_as_often_as_counted_and_evenly() -> None:
    assert spread({"a": 4, "b": 2, "c": 0}) == ["a", "b", "a", "a", "b", "a"]
