"""E04, E07: a call does not outlive its token, unless its route says so; nothing weaker takes the token's place."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from jotgate.core.policy_values import Policy, PolicySet
from jotgate.core.revocations import Entry
from jotgate.gateway.world import build_world
from jotgate.jose.keys import KeySet, generate
from jotgate.testing.ports import ManualClock, RecordingCaller
from tests.callers import NAME, issuer_of, make_issuer, request
from tests.crowds import Crowd, bounded, plain
from tests.cutting import EVENT, SUBJECT, TICK_S, Streams, token_name, told


@pytest.fixture
def streams() -> Streams:
    return Streams()


def test_E04_a_stream_whose_token_is_revoked_ends_with_an_event_that_says_so(streams: Streams) -> None:
    caller, other = streams.stream(jti="t-1"), streams.stream(jti="t-2")
    streams.wait(TICK_S)
    streams.revoke(token_name("t-1"))
    error = told(caller)
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("authentication_error", None, "token_revoked")
    assert streams.one.exchanges[0].aborted
    record = streams.trail.only
    assert (record.outcome, record.status, record.code, record.stream) == ("cut", 200, "token_revoked", True)
    assert (record.token, record.bytes_out) == ("t-1", len(EVENT))
    assert record.refused is not None
    assert (record.refused.claim, record.refused.got) == ("jti", "t-1")
    assert record.request_id in str(error["message"])
    assert (other.state, len(streams.gateway.live)) == ("begun", 1)


def test_a_call_whose_answer_has_not_begun_is_refused_as_a_new_one_would_be(streams: Streams) -> None:
    caller, _ = streams.call(jti="t-1")
    streams.wait(TICK_S)
    streams.revoke(token_name("t-1"))
    assert (caller.state, caller.status) == ("ended", 401)
    assert json.loads(caller.body)["error"]["code"] == "token_revoked"
    challenge = caller.headers["www-authenticate"]
    assert 'error="invalid_token"' in challenge
    assert "resource_metadata=" in challenge
    assert (streams.trail.only.outcome, streams.trail.only.status) == ("cut", 401)
    assert streams.one.last.aborted


def test_a_call_so_young_that_no_tick_has_seen_it_is_cut_too(streams: Streams) -> None:
    caller = streams.stream(jti="t-1")
    streams.revoke(token_name("t-1"))
    assert told(caller)["code"] == "token_revoked"


def test_a_call_that_was_admitted_before_and_begins_after_is_cut_at_the_next_tick(streams: Streams) -> None:
    asked = request(b'{"model":"a","stream":true}', authorization=b"Bearer " + streams.issuer.token(jti="t-1"))
    answer = streams.gateway.open(asked)
    streams.revoke(token_name("t-1"))
    caller = RecordingCaller()
    assert answer(caller) is not None
    streams.wait(TICK_S)
    assert json.loads(caller.body)["error"]["code"] == "token_revoked"


@pytest.mark.parametrize(
    "name",
    [
        token_name("parent"),
        token_name("child"),
        "family f-1",
        "client tool",
        f"subject {NAME} alice",
        "tenant acme",
        "client parent-of-it",
    ],
)
def test_whatever_ends_a_token_cuts_its_streams_and_no_other(streams: Streams, name: str) -> None:
    whose: dict[str, Any] = {"sub": "alice", "client_id": "tool", "tenant": "acme"}
    line: dict[str, Any] = {"ancestors": ["parent"], "family": "f-1", "origins": ["client parent-of-it"]}
    caller = streams.stream(jti="child", **whose, **line)
    other = streams.stream(jti="other", sub="bob", client_id="else", tenant="else")
    streams.wait(TICK_S)
    streams.revoke(name)
    assert told(caller)["code"] == "token_revoked"
    assert other.state == "begun"


def test_a_watermark_cuts_what_was_issued_until_then(streams: Streams) -> None:
    now_s = int(streams.clock.now_s())
    old = streams.stream(jti="old", sub="alice", iat=now_s - 100)
    new = streams.stream(jti="new", sub="alice", iat=now_s)
    streams.wait(TICK_S)
    streams.revoke(SUBJECT, before_s=now_s - 50)
    assert told(old)["code"] == "token_revoked"
    assert new.state == "begun"


def test_E04_a_stream_whose_token_expires_is_cut_then_and_not_before(streams: Streams) -> None:
    exp = int(streams.clock.now_s()) + 9
    leeway_s = streams.world.snapshot.issuers[0].leeway_s
    caller = streams.stream(exp=exp)
    for _ in range(int((9 + leeway_s) / TICK_S) - 1):
        streams.wait(TICK_S)
        streams.one.last.tell(None, b"", complete=False)
        assert caller.state == "begun"
    streams.wait(TICK_S)
    assert told(caller)["code"] == "token_expired"
    assert (streams.trail.only.outcome, streams.trail.only.code) == ("cut", "token_expired")


def test_what_waits_for_an_upstream_leaves_its_queue_before_room_is_made() -> None:
    crowd = Crowd(plain("one"), {"one": bounded("one", 1)})
    revoked = crowd.world.verifier.revoked
    revoked.follow(crowd.gateway.cuts.revoked)
    running, _ = crowd.call()
    waiting = [crowd.call()[0] for _ in range(3)]
    other, _ = crowd.call(tenant="else")
    crowd.wait(TICK_S)
    assert crowd.standing("one").waiting == 4
    tokens = {relay.call.principal.token_id for relay in crowd.gateway.live if not relay.call.principal.tenant}
    revoked.take([Entry(token_name(one), None) for one in tokens])
    assert {caller.status for caller in (running, *waiting)} == {401}
    assert crowd.sent == ["one", "one"], "the room went to the call whose token still counts"
    assert other.state == "waiting"
    assert (crowd.standing("one").waiting, crowd.standing("one").running) == (0, 1)
    assert [record.outcome for record in crowd.trail.records] == ["cut"] * 4


def test_a_route_may_let_its_calls_finish_while_new_ones_are_refused(streams: Streams) -> None:
    snapshot = streams.world.snapshot
    routes = tuple(structs.replace(one, ended_tokens="finish") if one.alias == "b" else one for one in snapshot.routes)
    streams.gateway.swap(build_world(structs.replace(snapshot, routes=routes), streams.world.places, streams.world))
    cut, finished = streams.stream(jti="t"), streams.stream(b'{"model":"b","stream":true}', jti="t")
    streams.wait(TICK_S)
    streams.revoke(token_name("t"))
    assert [one.state for one in (cut, finished)] == ["aborted", "begun"]
    asked = request(b'{"model":"b"}', authorization=b"Bearer " + streams.issuer.token(jti="t"))
    assert streams.ask(asked)[0].status == 401
    streams.two.last.tell(None, b"data: [DONE]\n\n", complete=True)
    assert finished.state == "ended"
    assert [record.outcome for record in streams.trail.records] == ["cut", "refused", "complete"]


@pytest.mark.parametrize(("of_route", "of_policy"), [("cut", "finish"), ("finish", "cut")])
def test_the_policy_that_lets_a_call_go_on_may_choose_for_it(streams: Streams, of_route: Any, of_policy: Any) -> None:
    snapshot = streams.world.snapshot
    policies = (
        Policy(name="one", effect="allow", subjects=("alice",), ended_tokens=of_policy),
        Policy(name="two", effect="allow"),
    )
    routes = tuple(structs.replace(one, ended_tokens=of_route) for one in snapshot.routes)
    changed = structs.replace(snapshot, routes=routes, policies=PolicySet(policies))
    streams.gateway.swap(build_world(changed, streams.world.places, streams.world))
    by_policy, by_route = streams.stream(jti="t-1", sub="alice"), streams.stream(jti="t-2", sub="bob")
    streams.wait(TICK_S)
    streams.revoke(token_name("t-1"), token_name("t-2"))
    states = {"cut": "aborted", "finish": "begun"}
    assert (by_policy.state, by_route.state) == (states[of_policy], states[of_route])


def test_a_key_that_is_gone_cuts_what_it_signed_and_a_change_beside_it_nothing(streams: Streams) -> None:
    world = streams.world
    caller = streams.stream()
    streams.wait(TICK_S)
    second = generate("ES256").verification_key
    both = structs.replace(
        world.snapshot.issuers[0], jwks=KeySet([streams.issuer.key.verification_key, second]).to_jwks()
    )
    kept = build_world(structs.replace(world.snapshot, issuers=(both,)), world.places, world)
    streams.gateway.swap(kept)
    streams.wait(TICK_S)
    assert caller.state == "begun"
    alone = structs.replace(both, jwks=KeySet([second]).to_jwks())
    streams.gateway.swap(build_world(structs.replace(world.snapshot, issuers=(alone,)), world.places, kept))
    assert told(caller)["code"] == "key_unknown"


def test_an_issuer_whose_keys_cannot_be_had_cuts_nothing(streams: Streams) -> None:
    world = streams.world
    caller = streams.stream()
    streams.wait(TICK_S)
    blind = structs.replace(world.snapshot.issuers[0], jwks=None)
    streams.gateway.swap(build_world(structs.replace(world.snapshot, issuers=(blind,)), world.places, world))
    for _ in range(3):
        streams.wait(TICK_S)
    assert caller.state == "begun"
    streams.gateway.swap(world)
    streams.wait(TICK_S)
    streams.revoke(SUBJECT)
    assert told(caller)["code"] == "token_revoked"


def test_a_clock_that_goes_back_ends_no_token(streams: Streams) -> None:
    now_s = int(streams.clock.now_s())
    caller = streams.stream(iat=now_s, exp=now_s + 600)
    streams.wait(TICK_S)
    streams.clock.set_back(100)
    streams.revoke(SUBJECT, before_s=now_s - 500)
    streams.wait(TICK_S)
    assert caller.state == "begun"
    streams.revoke(SUBJECT)
    streams.clock.set_back(-100)
    streams.wait(TICK_S)
    streams.wait(TICK_S)
    assert told(caller)["code"] == "token_revoked"


def test_an_issuer_that_is_removed_takes_its_calls_with_it(streams: Streams) -> None:
    world = streams.world
    caller = streams.stream()
    streams.wait(TICK_S)
    other = issuer_of(make_issuer())
    another = structs.replace(world.snapshot, issuers=(structs.replace(other, issuer="https://another.example"),))
    streams.gateway.swap(build_world(another, world.places, world))
    assert told(caller)["code"] == "claim_refused"


def test_each_is_settled_once_however_often_its_token_ends(streams: Streams) -> None:
    caller, running = streams.call(jti="t-1", exp=int(streams.clock.now_s()) + 9)
    streams.wait(TICK_S)
    streams.revoke(token_name("t-1"), SUBJECT, "family f")
    streams.revoke("client " + "x")
    running.caller_gone()
    streams.wait(60)
    assert streams.trail.only.outcome == "cut"
    assert caller.state == "ended"


def test_a_call_that_has_ended_leaves_nothing_behind(streams: Streams) -> None:
    streams.stream(exp=int(streams.clock.now_s()) + 9)
    streams.wait(TICK_S)
    relay = streams.only()
    assert relay.watch is not None
    streams.one.last.tell(None, b"", complete=True)
    index = streams.gateway.cuts._index
    assert all(not getattr(index, kept) for kept in ("_by_name", "_by_tick"))


def test_a_short_call_is_never_looked_at(streams: Streams) -> None:
    streams.call()
    relay = streams.only()
    streams.one.last.answer(200, b"{}")
    streams.wait(TICK_S)
    assert relay.watch is None


# Steps


class SlowClock(ManualClock):
    """A clock on which a look takes time; `turns` are the steps that wait."""

    look_s = 0.0

    def monotonic_s(self) -> float:
        self._monotonic_s += self.look_s
        return self._monotonic_s


def test_a_cut_of_many_is_done_in_steps_and_none_is_forgotten() -> None:
    turns: deque[Callable[[], None]] = deque()
    streams = Streams(SlowClock(), turns.append)
    callers = [streams.stream(jti=f"t-{number}", sub="alice") for number in range(60)]
    streams.revoke(SUBJECT)
    streams.revoke(token_name("t-0"))
    SlowClock.look_s = 0.0001
    steps = 0
    while turns:
        before = sum(caller.state == "aborted" for caller in callers)
        turns.popleft()()
        assert sum(caller.state == "aborted" for caller in callers) - before < 20
        steps += 1
    assert {caller.state for caller in callers} == {"aborted"}
    assert steps > 3
    assert len(streams.trail.records) == 60


def test_a_fault_at_one_call_keeps_no_other_from_being_cut() -> None:
    class Broken(RecordingCaller):
        def write(self, piece: bytes) -> None:
            raise RuntimeError("a fault that nobody foresaw")

    turns: deque[Callable[[], None]] = deque()
    streams = Streams(soon=turns.append)
    callers = [streams.stream(jti=f"t-{number}", sub="alice") for number in range(3)]
    callers[1].__class__ = Broken
    streams.revoke(SUBJECT)
    faults = 0
    while turns:
        try:
            turns.popleft()()
        except RuntimeError:
            faults += 1
    assert faults == 1
    assert [callers[0].state, callers[2].state] == ["aborted", "aborted"]
