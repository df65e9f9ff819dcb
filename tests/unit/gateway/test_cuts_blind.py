"""F18, E04: what was revoked has not been known for too long: running calls end as new ones are refused."""

import json
from collections import deque
from collections.abc import Callable
from typing import Final

import pytest
from msgspec import structs

from jotgate.core.policy_values import Policy, PolicySet
from jotgate.core.routes import EndedTokens
from jotgate.core.snapshot import Limits
from jotgate.errors import Code, JotgateError
from jotgate.gateway.world import build_world
from jotgate.testing.ports import ManualClock, RecordingCaller
from tests.callers import request
from tests.crowds import Crowd, bounded, plain
from tests.cutting import EVENT, TICK_S, Streams, token_name, told

_BLIND_AFTER_S: Final = 5.0
_LIMITS: Final = Limits(max_staleness_s=_BLIND_AFTER_S)


@pytest.fixture
def streams() -> Streams:
    return Streams(limits=_LIMITS)


def silence(streams: Streams, span_s: float) -> None:
    """Let time pass in which control is not heard, and the gateway look at its deadlines."""
    streams.clock.advance(span_s)
    streams.gateway.check_deadlines()


def fate(streams: Streams, **claims: object) -> str:
    """What a new call would be told; empty: it would go on."""
    asked = request(b'{"model":"a"}', authorization=b"Bearer " + streams.issuer.token(**claims))
    try:
        streams.gateway.open(asked)
    except JotgateError as refusal:
        return refusal.code
    return ""


def ruled(streams: Streams, *policies: Policy, ended_tokens: EndedTokens = "cut") -> Streams:
    """The same under these policies and this choice of the routes."""
    world = streams.world
    routes = tuple(structs.replace(one, ended_tokens=ended_tokens) for one in world.snapshot.routes)
    changed = structs.replace(world.snapshot, routes=routes, policies=PolicySet(policies))
    streams.gateway.swap(build_world(changed, world.places, world))
    return streams


def test_streams_are_cut_when_new_calls_begin_to_be_refused_and_not_before(streams: Streams) -> None:
    caller = streams.stream()
    silence(streams, TICK_S)
    silence(streams, _BLIND_AFTER_S - TICK_S)
    assert (caller.state, fate(streams)) == ("begun", "")
    silence(streams, TICK_S)
    assert fate(streams) == Code.CONTROL_STALE
    error = told(caller)
    assert (error["type"], error["param"], error["code"]) == ("server_error", None, "control_stale")
    assert streams.one.last.aborted
    record = streams.trail.only
    assert (record.outcome, record.status, record.code, record.bytes_out) == ("cut", 200, "control_stale", len(EVENT))
    assert record.refused is None, "nothing is wrong with the token"
    assert not streams.gateway.live


def test_a_call_whose_answer_has_not_begun_is_refused_as_a_new_one_would_be(streams: Streams) -> None:
    caller, _ = streams.call()
    silence(streams, _BLIND_AFTER_S + TICK_S)
    assert (caller.state, caller.status, caller.headers["retry-after"]) == ("ended", 503, "1")
    assert json.loads(caller.body)["error"]["code"] == "control_stale"
    assert (streams.trail.only.outcome, streams.trail.only.status) == ("cut", 503)


def test_a_picture_of_the_store_that_is_too_old_cuts_although_control_is_heard(streams: Streams) -> None:
    caller = streams.stream()
    for age_s in (_BLIND_AFTER_S - 1, _BLIND_AFTER_S):
        streams.gateway.control_seen(age_s)
        silence(streams, 0)
        assert caller.state == "begun"
    streams.gateway.control_seen(_BLIND_AFTER_S + 0.1)
    silence(streams, 0)
    assert told(caller)["code"] == "control_stale"


def test_a_bound_that_is_lowered_counts_for_what_runs(streams: Streams) -> None:
    snapshot = structs.replace(streams.world.snapshot, limits=Limits(max_staleness_s=9))
    streams.gateway.swap(build_world(snapshot, streams.world.places, streams.world))
    caller = streams.stream()
    silence(streams, 6)
    assert caller.state == "begun"
    streams.gateway.swap(streams.world)
    silence(streams, TICK_S)
    assert told(caller)["code"] == "control_stale"


def test_what_begins_while_it_is_blind_is_cut_at_the_next_tick(streams: Streams) -> None:
    silence(streams, _BLIND_AFTER_S - TICK_S)
    asked = request(b'{"model":"a"}', authorization=b"Bearer " + streams.issuer.token())
    asked.begun_s = streams.clock.monotonic_s()
    answer = streams.gateway.open(asked)
    silence(streams, 1.5 * TICK_S)
    caller = RecordingCaller()
    assert answer(caller) is not None, "it was judged just now"
    assert caller.state == "waiting"
    silence(streams, TICK_S)
    assert json.loads(caller.body)["error"]["code"] == "control_stale"


def test_it_recovers_by_itself_and_goes_blind_again(streams: Streams) -> None:
    for number in (1, 2):
        caller = streams.stream()
        silence(streams, _BLIND_AFTER_S + TICK_S)
        assert told(caller)["code"] == "control_stale"
        streams.gateway.control_seen()
        assert fate(streams) == ""
        kept = streams.stream()
        streams.wait(TICK_S)
        assert kept.state == "begun"
        streams.one.last.tell(None, b"", complete=True)
        assert len(streams.trail.records) == 2 * number


@pytest.mark.parametrize(("of_route", "of_policy"), [("finish", None), ("cut", "finish")])
def test_who_may_finish_with_a_token_that_has_ended_may_where_that_is_not_known(
    streams: Streams, of_route: EndedTokens, of_policy: EndedTokens | None
) -> None:
    policies = () if of_policy is None else (Policy(name="rest", effect="allow", ended_tokens=of_policy),)
    caller = ruled(streams, *policies, ended_tokens=of_route).stream()
    silence(streams, _BLIND_AFTER_S + TICK_S)
    assert (caller.state, fate(streams)) == ("begun", "control_stale")
    streams.one.last.tell(None, b"", complete=True)
    assert streams.trail.only.outcome == "complete"


_BATCH: Final = Policy(name="batch", effect="allow", subjects=("batch",), stale=True)
_REST: Final = Policy(name="rest", effect="allow")


def test_the_policy_that_lets_calls_go_on_while_blind_lets_running_ones_too_and_is_recorded(streams: Streams) -> None:
    ruled(streams, _BATCH, _REST)
    let, other = streams.stream(sub="batch", jti="t-1"), streams.stream(sub="ann")
    silence(streams, TICK_S)
    silence(streams, _BLIND_AFTER_S)
    assert (let.state, told(other)["code"]) == ("begun", "control_stale")
    for _ in range(3):
        silence(streams, TICK_S)
    assert let.state == "begun"
    streams.gateway.control_seen()
    streams.revoke(token_name("t-1"))
    assert told(let)["code"] == "token_revoked", "its token is asked about all the same"
    found = {record.subject: (record.policy, record.code) for record in streams.trail.records}
    assert found == {"batch": ("batch", "token_revoked"), "ann": ("", "control_stale")}


def test_a_call_that_a_policy_let_begin_while_blind_goes_on(streams: Streams) -> None:
    ruled(streams, _BATCH, _REST)
    silence(streams, _BLIND_AFTER_S + TICK_S)
    let = streams.stream(sub="batch")
    for _ in range(3):
        silence(streams, TICK_S)
    assert let.state == "begun"


def test_a_policy_is_recorded_of_no_call_that_ended_while_all_was_known(streams: Streams) -> None:
    ruled(streams, _BATCH, _REST).stream(sub="batch")
    streams.wait(TICK_S)
    streams.one.last.tell(None, b"", complete=True)
    assert streams.trail.only.policy == ""


def test_calls_that_wait_for_an_upstream_leave_before_room_is_made() -> None:
    crowd = Crowd(plain("one"), {"one": bounded("one", 1)})
    callers = [crowd.call()[0] for _ in range(3)]
    crowd.gateway.control_seen(crowd.world.limits.max_staleness_s + 1)
    crowd.gateway.check_deadlines()
    assert {caller.status for caller in callers} == {503}
    assert crowd.sent == ["one"], "nobody was sent there only to be cut"


class SlowClock(ManualClock):
    """A clock on which a look takes time."""

    look_s = 0.0

    def monotonic_s(self) -> float:
        self._monotonic_s += self.look_s
        return self._monotonic_s


def crowded(turns: deque[Callable[[], None]]) -> tuple[Streams, SlowClock, list[RecordingCaller]]:
    """Sixty streams of a gateway that has just gone blind; `turns` get the steps."""
    clock = SlowClock()
    streams = Streams(clock, turns.append, _LIMITS)
    callers = [streams.stream(jti=f"t-{number}") for number in range(60)]
    silence(streams, _BLIND_AFTER_S + TICK_S)
    clock.look_s = 0.0001
    return streams, clock, callers


def test_many_are_cut_in_steps() -> None:
    turns: deque[Callable[[], None]] = deque()
    streams, _, callers = crowded(turns)
    steps = 0
    while turns:
        before = len(streams.trail.records)
        turns.popleft()()
        assert len(streams.trail.records) - before < 20
        steps += 1
    assert steps > 3
    assert [record.code for record in streams.trail.records] == ["control_stale"] * 60
    assert {caller.state for caller in callers} == {"aborted"}


def test_what_is_left_when_control_is_heard_again_goes_on() -> None:
    turns: deque[Callable[[], None]] = deque()
    streams, clock, callers = crowded(turns)
    turns.popleft()()
    cut = [caller for caller in callers if caller.state == "aborted"]
    assert 0 < len(cut) < 20
    clock.look_s = 0.0
    streams.gateway.control_seen()
    while turns:
        turns.popleft()()
    assert len(streams.gateway.live) == 60 - len(cut)
    assert sum(caller.state == "begun" for caller in callers) == 60 - len(cut)


def test_all_are_looked_at_once_and_no_more_while_it_stays_blind(streams: Streams) -> None:
    ruled(streams, _BATCH, _REST)
    for number in range(5):
        streams.stream(sub="batch", jti=f"t-{number}")
    silence(streams, TICK_S)
    silence(streams, _BLIND_AFTER_S)
    lookups = streams.world.verifier.lookups
    for _ in range(3):
        silence(streams, TICK_S)
    assert streams.world.verifier.lookups == lookups
