"""What a gateway says while it cannot know the answer, and that it recovers by itself."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from jotgate.errors import Code
from jotgate.testing.running import Gateway, until
from tests.integration.exchanges import Answer, Caller, record_of, records

_STALE_AFTER_S = 5.0
_AUDIT_ROWS = 64

StartGateway = Callable[..., Gateway]


@pytest.fixture
def stopped() -> Iterator[Callable[[int], None]]:
    """Stop processes; all go on after the test."""
    pids: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        pids.append(pid)

    yield stop
    for pid in pids:
        go_on(pid)


def go_on(pid: int) -> None:
    """Let a stopped process go on, if there still is one."""
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # The test has ended it.


def assert_unavailable(answer: Answer, code: Code) -> None:
    """The refusal that tells a client to try again soon."""
    assert (answer.status, answer.code) == (503, code)
    assert answer.all("retry-after") == ["1"]
    assert answer.json["error"]["type"] == "server_error"


def test_a_worker_that_has_not_heard_of_control_for_too_long_lets_nothing_through(
    start_gateway: StartGateway, stopped: Callable[[int], None]
) -> None:
    gateway = start_gateway(f"[limits]\nmax_staleness_s = {_STALE_AFTER_S}\n")
    caller, control = Caller(gateway, gateway.token()), gateway.pids["control"]
    assert caller("GET", "/health/ready").status == 200
    stopped(control)
    assert caller.chat().status == 200  # What is held is still fresh.
    until(lambda: caller("GET", "/health/ready").status == 503, "the worker is not ready", _STALE_AFTER_S + 5)
    assert caller("GET", "/health").json["reason"] == Code.CONTROL_STALE
    assert caller("GET", "/health/live").status == 200
    assert_unavailable(caller.chat(), Code.CONTROL_STALE)
    assert_unavailable(caller("GET", "/v1/models"), Code.CONTROL_STALE)
    go_on(control)
    until(lambda: caller.chat().status == 200, "calls are let through again")
    caller.close()
    assert gateway.errors == ""


def test_nothing_is_let_through_that_cannot_be_recorded(
    start_gateway: StartGateway, stopped: Callable[[int], None]
) -> None:
    gateway = start_gateway(f"[limits]\naudit_rows = {_AUDIT_ROWS}\n")
    caller, control = Caller(gateway, gateway.token()), gateway.pids["control"]
    stopped(control)
    answers = [caller.chat() for _ in range(_AUDIT_ROWS + 10)]
    served = [answer for answer in answers if answer.status == 200]
    assert len(served) == _AUDIT_ROWS
    for refused in answers[_AUDIT_ROWS:]:
        assert_unavailable(refused, Code.AUDIT_UNAVAILABLE)
    assert caller("GET", "/health").json["reason"] == Code.AUDIT_UNAVAILABLE
    go_on(control)
    until(lambda: caller.chat().status == 200, "calls are let through again")
    last = caller.chat()
    record_of(gateway, last.all("x-request-id")[0])
    recorded = {record["request_id"] for record in records(gateway)}
    assert {answer.all("x-request-id")[0] for answer in served} <= recorded
    caller.close()
    assert gateway.errors == ""


def test_a_control_that_dies_while_it_answers_is_told(
    start_gateway: StartGateway, stopped: Callable[[int], None]
) -> None:
    gateway = start_gateway()
    control = gateway.pids["control"]
    caller = Caller(gateway, gateway.token())
    other = Caller(gateway)
    keys = other("GET", "/.well-known/jwks.json").body  # From now on the worker keeps a connection to control.
    stopped(control)
    other.send("GET", "/.well-known/jwks.json")
    assert caller.chat().status == 200  # It came later: when it is answered, the one before is on its way to control.
    os.kill(control, signal.SIGKILL)
    answer = other.receive()
    assert_unavailable(answer, Code.CONTROL_UNREACHABLE)
    until(lambda: caller("GET", "/.well-known/jwks.json").status == 200, "control is back")
    assert caller("GET", "/.well-known/jwks.json").body == keys
    caller.close()
    other.close()
