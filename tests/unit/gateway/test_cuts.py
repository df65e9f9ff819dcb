"""E04, E07: a call does not outlive its token, unless its route says so; nothing weaker takes the token's place."""

import json
from collections import deque
from collections.abc import Callable
from hashlib import sha256

import pytest
from msgspec import structs

from jotgate.core.accounts import AccountChange
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.core.revocations import Entry
from jotgate.gateway.cuts import PATIENCE_S
from jotgate.gateway.live_calls import TICKS_PER_S
from jotgate.gateway.relay import Relay
from jotgate.gateway.waits import Soon
from jotgate.gateway.world import build_world
from jotgate.jose.keys import KeySet, generate
from jotgate.testing.ports import ManualClock, RecordingCaller, at_once
from tests.callers import NAME, request
from tests.crowds import Crowd, bounded, plain
from tests.personal import GOOD, finding
from tests.stages import Stage

EVENT = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
TICK_S = 1 / TICKS_PER_S
SUBJECT = f"subject {NAME} alice"


class Streams(Stage):
    """The stage, whose gateway follows what is revoked."""

    def __init__(self, clock: ManualClock | None = None, soon: Soon = at_once) -> None:
        super().__init__(clock=clock, soon=soon)
        self.revoked = self.world.verifier.revoked
        self.revoked.follow(self.gateway.cuts.revoked)

    def stream(self, body: bytes = b'{"model":"a","stream":true}', **claims: object) -> RecordingCaller:
        """A call whose answer has begun."""
        caller, _ = self.call(body, **claims)
        (self.one if b'"a"' in body else self.two).last.stream(EVENT)
        return caller

    def revoke(self, *names: str, before_s: int | None = None) -> None:
        self.revoked.take([Entry(name, None, before_s) for name in names])

    def only(self) -> Relay:
        (relay,) = self.gateway.live
        return relay


@pytest.fixture
def streams() -> Streams:
    return Streams()


def token_name(jti: str) -> str:
    return f"token {NAME} {jti}"


def told(caller: RecordingCaller) -> dict[str, object]:
    """The error event that is the last of a stream that was cut."""
    assert caller.state == "aborted"
    assert caller.body.startswith(EVENT)
    event = caller.body.removeprefix(EVENT)
    assert event.startswith(b"\n\ndata: ")
    assert event.endswith(b"\n\n")
    found = json.loads(event.strip().removeprefix(b"data: "))["error"]
    assert isinstance(found, dict)
    return found


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
    claims = {"jti": "child", "ancestors": ["parent"], "family": "f-1", "client_id": "tool", "sub": "alice"}
    caller = streams.stream(tenant="acme", origins=["client parent-of-it"], **claims)
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
    assert cut.state == "aborted"
    assert finished.state == "begun"
    asked = request(b'{"model":"b"}', authorization=b"Bearer " + streams.issuer.token(jti="t"))
    assert streams.ask(asked)[0].status == 401
    streams.two.last.tell(None, b"data: [DONE]\n\n", complete=True)
    assert finished.state == "ended"
    assert [record.outcome for record in streams.trail.records] == ["cut", "refused", "complete"]


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


# Personal tokens


class Personal(Streams):
    """A running stream of the personal token GOOD, with a control that is asked about tokens."""

    def __init__(self, found: PersonalFinding | None = None) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.gateway.find_tokens_by(self.asked.append, at_once)
        self.learn(found or finding())
        self.caller, running = self.ask(request(b'{"model":"a","stream":true}', authorization=b"Bearer " + GOOD))
        assert isinstance(running, Relay)
        self.one.last.stream(EVENT)
        self.wait(TICK_S)

    def learn(self, found: PersonalFinding) -> None:
        digest = sha256(GOOD).digest()
        self.world.personal.learn(digest, found, self.clock.now_s())
        self.gateway.cuts.answered(digest)

    def change(self, *changes: AccountChange, everything: bool = False) -> None:
        """Control tells which accounts have changed."""
        news = AccountNews(2, changes, everything)
        self.world.personal.forget(news)
        self.gateway.cuts.accounts_changed(news)


ABOUT_ITS_OWNER = AccountChange("principal", "alice", 2)


def test_a_personal_token_that_is_revoked_or_expires_cuts_its_streams() -> None:
    ending = Personal(finding(until_s=1_800_000_005))
    ending.wait(4)
    assert ending.caller.state == "begun"
    ending.wait(1)
    assert told(ending.caller)["code"] == "token_unknown", "another secret stands for it"
    revoked = Personal()
    revoked.revoke(token_name("t-1"))
    assert told(revoked.caller)["code"] == "token_revoked"
    assert revoked.trail.only.token == "t-1"


@pytest.mark.parametrize("kind", ["personal_token", "principal", "tenant", ""])
def test_what_an_account_rests_on_changes_and_control_says_that_it_counts_no_more(kind: str) -> None:
    one = Personal()
    names = {"personal_token": "t-1", "principal": "alice", "tenant": "default"}
    if kind:
        one.change(AccountChange(kind, names[kind], 2))  # type: ignore[arg-type] # one of its words
    else:
        one.change(everything=True)
    assert (one.caller.state, one.asked) == ("begun", [sha256(GOOD).digest()])
    one.learn(PersonalFinding(version=2, reason="disabled", token_id="t-1"))
    one.wait(TICK_S)
    assert told(one.caller)["code"] == "token_revoked"
    assert one.trail.only.outcome == "cut"


def test_a_change_of_something_else_asks_nothing() -> None:
    one = Personal()
    for kind, name in (("principal", "bob"), ("tenant", "acme"), ("client", "alice"), ("personal_token", "t-2")):
        one.change(AccountChange(kind, name, 2))  # type: ignore[arg-type] # one of its words
    one.wait(TICK_S)
    assert (one.caller.state, one.asked) == ("begun", [])


def test_a_change_that_does_it_no_harm_lets_the_stream_go_on_and_the_next_is_asked_of_too() -> None:
    one = Personal()
    for _ in range(2):
        one.change(ABOUT_ITS_OWNER)
        one.learn(finding(until_s=1_800_000_005))
        one.wait(TICK_S)
        assert one.caller.state == "begun"
    assert len(one.asked) == 2
    one.wait(5)
    assert told(one.caller)["code"] == "token_unknown"


def test_control_is_asked_again_when_it_does_not_answer_and_nothing_is_cut_meanwhile() -> None:
    one = Personal()
    one.change(ABOUT_ITS_OWNER)
    for _ in range(int(PATIENCE_S / TICK_S)):
        assert len(one.asked) == 1
        one.wait(TICK_S)
    one.wait(TICK_S)
    assert (one.caller.state, len(one.asked)) == ("begun", 2)


def test_looking_again_is_no_use_of_the_token() -> None:
    one = Personal()
    one.world.personal.take_uses()
    one.change(ABOUT_ITS_OWNER)
    one.learn(finding())
    one.wait(TICK_S)
    assert one.world.personal.take_uses() == []


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
