"""Calls wait for their quotas and units for a moment, and are refused, or let through, when nobody can say."""

import json

import pytest

from jotgate.core.audit import Charge
from jotgate.core.ledger import LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.routes import MeteringRules
from jotgate.gateway.metered import MeteredRelay, UncountedRelay
from jotgate.gateway.relay import Relay
from jotgate.gateway.waits import WAITING_MAX
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.metering import MeteredStage, quota
from tests.stages import Stage

UNARY = b'{"model":"a"}'
ANSWER = b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}'
OPEN = MeteringRules(quota_outage="open")


def code_of(caller: RecordingCaller) -> str:
    code = json.loads(caller.body)["error"]["code"]
    assert isinstance(code, str)
    return code


def test_a_call_waits_for_control_to_say_which_quotas_meet_it() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, running = stage.begin(UNARY)
    assert (caller.state, len(stage.gateway.metered.waits), stage.one.exchanges) == ("waiting", 1, [])
    assert running is not None
    stage.mute = False
    stage.run()
    assert (len(stage.gateway.metered.waits), len(stage.one.exchanges)) == (0, 1)
    stage.one.last.answer(200, ANSWER)
    assert caller.status == 200


def test_only_calls_that_a_quota_meets_are_metered() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(UNARY)
    (relay,) = stage.gateway.live
    assert type(relay) is MeteredRelay
    other = MeteredStage()
    other.begin(UNARY)
    (relay,) = other.gateway.live
    assert type(relay) is Relay


def test_a_call_waits_for_two_seconds_and_a_half_however_often_it_is_told() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, _ = stage.begin(UNARY)
    stage.tick(9)
    assert caller.state == "waiting"
    stage.tick(2)
    assert (caller.status, code_of(caller), caller.headers["retry-after"]) == (503, "quota_unavailable", "1")
    record = stage.trail.only
    assert (record.outcome, record.code, record.subject) == ("refused", "quota_unavailable", "alice")
    assert not stage.gateway.metered.waits


def test_a_call_is_refused_at_once_when_control_cannot_say() -> None:
    stage = MeteredStage(quota(1_000))
    stage.planless = True
    caller, _ = stage.begin(UNARY)
    assert (caller.status, code_of(caller)) == (503, "quota_unavailable")


def test_a_route_may_let_calls_through_uncounted_when_nobody_can_say() -> None:
    stage = MeteredStage(quota(1_000), rules=OPEN)
    stage.planless = True
    caller, _ = stage.begin(UNARY)
    (relay,) = stage.gateway.live
    assert type(relay) is UncountedRelay
    stage.one.last.answer(200, ANSWER)
    assert caller.status == 200
    assert stage.trail.only.charged == Charge(uncounted=True)


def test_it_does_so_behind_their_patience_too() -> None:
    stage = MeteredStage(quota(1_000), rules=OPEN)
    stage.mute = True
    caller, _ = stage.begin(UNARY)
    stage.tick(11)
    stage.one.last.answer(200, ANSWER)
    assert (caller.status, stage.trail.only.charged) == (200, Charge(uncounted=True))


def test_it_does_not_let_through_what_has_no_units_left() -> None:
    stage = MeteredStage(quota(1, "requests"), rules=OPEN)
    stage.begin(UNARY)
    caller, _ = stage.begin(UNARY)
    assert caller.status == 429


def test_a_store_that_is_down_refuses_what_is_not_held_and_recovers_by_itself() -> None:
    stage = MeteredStage(quota(1_000))
    stage.begin(UNARY)
    stage.one.last.answer(200, ANSWER)
    stage.tick(9)
    stage.down = True
    caller, _ = stage.begin(UNARY)
    stage.tick(11)
    assert (caller.status, code_of(caller)) == (503, "quota_unavailable")
    stage.down = False
    stage.tick(4)
    caller, _ = stage.begin(UNARY)
    stage.tick(2)
    stage.one.last.answer(200, ANSWER)
    assert caller.status == 200


def test_who_waits_in_vain_is_told_what_is_known_then_and_not_what_was_when_it_came() -> None:
    """Others have what is left, when control goes and is not there again before the patience ends."""
    stage = MeteredStage(quota(2, "requests"))
    stage.begin(UNARY)
    other = LeaseAsk("another worker's", meter_of(stage.quotas[0], ("alice",)), want=1, least=1)
    assert [one.units for one in stage.store.turn([other])] == [1]
    caller, _ = stage.begin(UNARY)
    stage.mute = True
    stage.tick(11)
    assert (caller.status, code_of(caller)) == (503, "quota_unavailable")

    stage.mute = False
    caller, _ = stage.begin(UNARY)
    stage.tick(11)
    assert (caller.status, code_of(caller)) == (429, "quota_exceeded")


def test_a_caller_that_leaves_while_it_waits_reserves_nothing() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    _, running = stage.begin(UNARY)
    assert running is not None
    running.caller_gone()
    stage.mute = False
    stage.run()
    assert stage.one.exchanges == []
    record = stage.trail.only
    assert (record.status, record.code, record.subject) == (499, "quota_unavailable", "alice")
    balance = stage.rest()
    assert (balance.posted, balance.leased) == (0, 0)


def test_a_caller_that_leaves_after_it_waited_stops_its_call() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    _, running = stage.begin(UNARY)
    assert running is not None
    stage.mute = False
    stage.run()
    running.caller_gone()
    assert stage.one.last.aborted
    assert stage.trail.only.outcome == "caller_gone"


def test_a_call_whose_token_ends_while_it_waits_is_refused() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, _ = stage.begin(UNARY, exp=int(stage.clock.now_s()) + 1)
    stage.tick(8)
    stage.clock.advance(6)
    stage.gateway.control_seen()
    stage.mute = False
    stage.run()
    assert (caller.status, code_of(caller)) in ((401, "token_expired"), (503, "quota_unavailable"))
    assert stage.one.exchanges == []


def test_a_call_is_looked_at_anew_when_it_has_waited_for_long() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, _ = stage.begin(UNARY)
    stage.tick(4)
    stage.mute = False
    stage.run()
    stage.one.last.answer(200, ANSWER)
    assert caller.status == 200


def test_nothing_is_let_through_that_cannot_be_recorded() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, _ = stage.begin(UNARY)
    stage.trail.full = True
    stage.mute = False
    stage.run()
    assert (caller.status, code_of(caller)) == (503, "audit_unavailable")


def test_those_that_wait_are_refused_when_jotgate_stops() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, _ = stage.begin(UNARY)
    stage.gateway.cancel_all()
    assert caller.status == 503


def test_only_so_many_wait() -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    for _ in range(WAITING_MAX):
        stage.begin(UNARY)
    caller, _ = stage.begin(UNARY)
    assert (caller.status, len(stage.gateway.metered.waits)) == (503, WAITING_MAX)


def test_those_that_wait_go_on_in_the_order_in_which_they_came() -> None:
    stage = MeteredStage(quota(100_000))
    stage.mute = True
    bodies = [b'{"model":"a","user":"%d"}' % number for number in range(10)]
    for body in bodies:
        stage.begin(body, jti="t-1")
    stage.mute = False
    stage.tick(2)
    assert [json.loads(one.outbound.body)["user"] for one in stage.one.exchanges] == [str(one) for one in range(10)]


def fail(*_: object) -> None:
    raise ZeroDivisionError


def test_a_fault_that_nobody_foresaw_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = MeteredStage(quota(1_000))
    stage.mute = True
    caller, _ = stage.begin(UNARY)
    monkeypatch.setattr(stage.metering, "reserve", fail)
    stage.mute = False
    with pytest.raises(ZeroDivisionError):
        stage.run()
    assert (caller.status, code_of(caller)) == (500, "internal")


def test_without_a_way_to_the_ledger_a_limited_call_is_refused() -> None:
    stage = Stage()
    stage.gateway.swap(MeteredStage(quota(1)).world)
    caller, _ = stage.ask(request(UNARY, authorization=b"Bearer " + stage.issuer.token()))
    assert (caller.status, code_of(caller)) == (503, "quota_unavailable")
