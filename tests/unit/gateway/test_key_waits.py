"""A request whose token names a key that is not held waits for its issuer's keys, and is then decided anew."""

import json
from collections import deque
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from jotgate.core.calls import Outbound
from jotgate.core.issuers import Issuer
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.principals import Principal
from jotgate.errors import JotgateError
from jotgate.gateway.key_waits import PATIENCE_S
from jotgate.gateway.waits import WAITING_BYTES_MAX, WAITING_MAX, Waiting
from jotgate.gateway.world import build_world
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.ports import Answer, UpstreamEvents
from jotgate.services.verifier import Verifier
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import RecordingCaller, ScriptedExchange
from tests.callers import NAME, NOW_S, request
from tests.stages import Stage

_REMOTE = "https://idp.example"
_BODY = b'{"model":"a","stream":true}'
FOUND = KeysOutcome(reached=True, useless_s=30.0)
NOT_REACHED = KeysOutcome(reached=False, useless_s=4.0)


class Waits(Stage):
    """The stage with a remote issuer, `idp`, whose first key is held; `asked` are the questions to control."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.soon: deque[Callable[[], None]] = deque()
        self.key_waits = self.gateway.fetch_keys_by(self.asked.append, self.soon.append)
        self.held = generate("ES256")
        self.publish(self.held)

    def publish(self, *keys: SigningKey) -> None:
        """Let the newest world hold these keys of the issuer."""
        remote = Issuer(
            name="idp",
            issuer=_REMOTE,
            audiences=(NAME,),
            algorithms=("ES256",),
            types=(ACCESS_TOKEN_TYPE,),
            jwks=KeySet([key.verification_key for key in keys]).to_jwks(),
            remote=True,
        )
        snapshot = self.world.snapshot
        issuers = (snapshot.issuers[0], remote)
        self.gateway.swap(build_world(replace(snapshot, issuers=issuers), self.world.places, self.gateway.world))

    def bring(
        self, key: SigningKey, body: bytes = _BODY, **headers: bytes
    ) -> tuple[RecordingCaller, Waiting[str] | None]:
        """A call with a token of the remote issuer under this key."""
        token = TestIssuer(key, _REMOTE, NAME, NOW_S).token()
        caller, running = self.ask(request(body, authorization=b"Bearer " + token, **headers))
        return caller, running if isinstance(running, Waiting) else None

    def open(self, key: SigningKey, **headers: bytes) -> Answer:
        """The head of such a call, whose body has not come yet."""
        token = TestIssuer(key, _REMOTE, NAME, NOW_S).token()
        return self.gateway.open(request(_BODY, authorization=b"Bearer " + token, **headers))

    def answer(self, outcome: KeysOutcome) -> None:
        """Control's answer, and what comes of it."""
        self.key_waits.answered("idp", outcome)
        while self.soon:
            self.soon.popleft()()


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def new() -> SigningKey:
    return generate("ES256")


def code_of(caller: RecordingCaller) -> str:
    code = json.loads(caller.body)["error"]["code"]
    assert isinstance(code, str)
    return code


def test_a_key_that_is_held_waits_for_nothing(waits: Waits) -> None:
    caller, waiting = waits.bring(waits.held)
    assert waiting is None
    waits.one.last.answer(200)
    assert (caller.status, waits.asked) == (200, [])


def test_the_first_token_with_a_new_key_goes_on_when_the_key_has_come(waits: Waits, new: SigningKey) -> None:
    caller, waiting = waits.bring(new)
    assert waiting is not None
    assert (caller.state, waits.asked, waits.one.exchanges) == ("waiting", ["idp"], [])
    waits.publish(waits.held, new)
    waits.answer(FOUND)
    assert waits.one.last.outbound.body.startswith(b'{"model":"real-a"')
    waits.one.last.stream(b"data: x\n\n")
    seen = []
    for tell in (waiting.caller_paused, waiting.caller_resumed):
        tell()
        seen.append(waits.one.last.paused)
    assert seen == [True, False]
    waiting.caller_gone()
    assert waits.one.last.aborted
    assert waits.trail.only.subject == "alice"
    assert len(waits.key_waits) == 0


def test_a_key_that_its_issuer_does_not_publish_is_a_401_for_all_who_waited(waits: Waits, new: SigningKey) -> None:
    callers = [waits.bring(generate("ES256"))[0] for _ in range(20)]
    assert waits.asked == ["idp"]
    waits.answer(FOUND)
    assert {(caller.status, code_of(caller)) for caller in callers} == {(401, "key_unknown")}
    assert {record.code for record in waits.trail.records} == {"key_unknown"}


def test_while_asking_is_of_no_use_nobody_is_asked_and_nobody_waits(waits: Waits, new: SigningKey) -> None:
    waits.bring(new)
    waits.answer(FOUND)
    for _ in range(100):
        caller, waiting = waits.bring(generate("ES256"))
        assert (caller.status, waiting) == (401, None)
    assert waits.asked == ["idp"]
    waits.clock.advance(29.0)
    assert waits.bring(new)[0].status == 401
    waits.clock.advance(1.0)
    waits.bring(new)
    assert waits.asked == ["idp", "idp"]


def test_in_an_outage_it_is_a_503_with_the_time_of_the_next_fetch(waits: Waits, new: SigningKey) -> None:
    first, _ = waits.bring(new)
    waits.answer(NOT_REACHED)
    second, waiting = waits.bring(generate("ES256"))
    assert waiting is None
    for caller in (first, second):
        assert (caller.status, code_of(caller), caller.headers["retry-after"]) == (503, "issuer_unavailable", "4")
    known, _ = waits.bring(waits.held)
    waits.one.last.answer(200)
    assert known.status == 200, "a key that is held goes on being used"
    waits.clock.advance(4.0)
    waits.bring(new)
    assert waits.asked == ["idp", "idp"]


def test_keys_that_came_all_the_same_are_used_whatever_the_answer(waits: Waits, new: SigningKey) -> None:
    caller, _ = waits.bring(new)
    waits.publish(new)
    waits.answer(NOT_REACHED)
    waits.one.last.answer(200)
    assert caller.status == 200


def test_who_came_behind_the_begin_of_a_fetch_asks_once_more(waits: Waits, new: SigningKey) -> None:
    caller, _ = waits.bring(new)
    waits.answer(KeysOutcome(reached=True, useless_s=0.0))
    assert (caller.state, waits.asked) == ("waiting", ["idp", "idp"])
    waits.publish(new)
    waits.answer(FOUND)
    waits.one.last.answer(200)
    assert caller.status == 200


def test_nobody_asks_more_than_twice(waits: Waits, new: SigningKey) -> None:
    caller, _ = waits.bring(new)
    for _ in range(2):
        waits.answer(KeysOutcome(reached=True, useless_s=0.0))
    assert (caller.status, waits.asked) == (401, ["idp", "idp"])


def test_the_body_may_come_before_the_answer_or_behind_it(waits: Waits, new: SigningKey) -> None:
    late = waits.open(new)
    assert waits.asked == ["idp"], "asked as soon as the head is read"
    waits.publish(new)
    waits.answer(FOUND)
    assert not waits.one.exchanges
    caller = RecordingCaller()
    late(caller)
    waits.one.last.answer(200)
    assert caller.status == 200


def test_a_refusal_may_wait_for_the_body_too(waits: Waits, new: SigningKey) -> None:
    late = waits.open(new)
    waits.answer(FOUND)
    assert not waits.trail.records
    caller = RecordingCaller()
    assert late(caller) is None
    assert (caller.status, waits.trail.only.code) == (401, "key_unknown")


def test_a_caller_who_leaves_ends_its_wait_and_is_recorded(waits: Waits, new: SigningKey) -> None:
    _, waiting = waits.bring(new)
    assert waiting is not None
    waiting.caller_gone()
    assert len(waits.key_waits) == 0
    assert (waits.trail.only.status, waits.trail.only.code) == (499, "key_unknown")
    waits.publish(new)
    waits.answer(FOUND)
    assert not waits.one.exchanges
    waiting.caller_gone()
    assert len(waits.trail.records) == 1


def test_a_caller_who_leaves_between_the_answer_and_its_turn_gets_nothing(waits: Waits, new: SigningKey) -> None:
    _, waiting = waits.bring(new)
    assert waiting is not None
    waits.publish(new)
    waits.key_waits.answered("idp", FOUND)
    waiting.caller_gone()
    while waits.soon:
        waits.soon.popleft()()
    assert not waits.one.exchanges


def test_a_caller_who_reads_slowly_while_it_waits_is_one_whose_answer_is_held_back(
    waits: Waits, new: SigningKey
) -> None:
    _, waiting = waits.bring(new)
    assert waiting is not None
    waiting.caller_paused()
    waits.publish(new)
    waits.answer(FOUND)
    waits.one.last.stream(b"data: x\n\n")
    assert waits.one.last.paused


def test_no_wait_is_longer_than_patience(waits: Waits, new: SigningKey) -> None:
    caller, _ = waits.bring(new)
    waits.wait(PATIENCE_S - 1.0)
    assert caller.state == "waiting"
    waits.wait(1.0)
    assert (caller.status, code_of(caller), caller.headers["retry-after"]) == (503, "issuer_unavailable", "1")
    waits.bring(new)
    waits.wait(PATIENCE_S)
    assert waits.asked == ["idp"] * 2, "a question that nobody answered is put again, but not each time"


def test_so_many_wait_and_no_more(waits: Waits) -> None:
    callers = [waits.bring(generate("ES256"))[0] for _ in range(WAITING_MAX)]
    extra, waiting = waits.bring(generate("ES256"))
    assert (extra.status, waiting, len(waits.key_waits)) == (503, None, WAITING_MAX)
    good, _ = waits.bring(waits.held)
    waits.one.last.answer(200)
    assert good.status == 200, "others are none the worse for it"
    waits.answer(FOUND)
    assert {caller.status for caller in callers} == {401}
    assert len(waits.key_waits) == 0


def test_the_bodies_of_those_who_wait_are_bounded_together(waits: Waits, new: SigningKey) -> None:
    half = b"%d" % (WAITING_BYTES_MAX // 2)
    waits.open(new, content_length=half)
    waits.open(new, content_length=half)
    with pytest.raises(JotgateError, match="cannot be had now"):
        waits.open(new, content_length=b"1")
    waits.open(new)
    waits.answer(FOUND)
    waits.clock.advance(30.0)
    for _ in range(64):
        waits.open(new, transfer_encoding=b"chunked")
    with pytest.raises(JotgateError, match="cannot be had now"):
        waits.open(new, transfer_encoding=b"chunked")


def test_callers_who_come_and_go_leave_nothing_behind(waits: Waits, new: SigningKey) -> None:
    for _ in range(1_000):
        _, waiting = waits.bring(new)
        assert waiting is not None
        waiting.caller_gone()
    assert (len(waits.key_waits), waits.asked) == (0, ["idp"])
    waits.wait(PATIENCE_S)
    waits.bring(new)
    assert waits.asked == ["idp", "idp"]


def test_another_control_process_is_asked_what_is_open(waits: Waits, new: SigningKey) -> None:
    caller, _ = waits.bring(new)
    waits.key_waits.ask_again()
    assert waits.asked == ["idp", "idp"]
    waits.publish(new)
    waits.answer(FOUND)
    waits.one.last.answer(200)
    assert caller.status == 200


def test_an_answer_that_nobody_waits_for_does_no_harm(waits: Waits) -> None:
    waits.answer(KeysOutcome(reached=True, useless_s=0.0))
    assert waits.bring(waits.held)[1] is None


def test_at_the_end_all_who_wait_are_told(waits: Waits, new: SigningKey) -> None:
    caller, _ = waits.bring(new)
    waits.gateway.cancel_all()
    assert caller.status == 503


class _Faulty(Verifier):
    """One that nobody foresaw."""

    def verify(self, token: bytes, now_s: float) -> Principal:
        raise ArithmeticError


@pytest.mark.parametrize("early", [True, False])
def test_a_fault_that_nobody_foresaw_is_a_500_and_is_recorded(waits: Waits, new: SigningKey, early: bool) -> None:
    answer, caller = waits.open(new), RecordingCaller()
    if early:
        answer(caller)
    known = waits.world.verifier
    waits.gateway.swap(replace(waits.world, verifier=_Faulty(known.federation, known.cache, known.revoked)))
    with pytest.raises(ArithmeticError):
        waits.answer(FOUND)
    if not early:
        assert answer(caller) is None
    assert (caller.status, code_of(caller), caller.state) == (500, "internal", "ended")
    assert (waits.trail.only.status, waits.trail.only.code) == (500, "internal")
    assert len(waits.key_waits) == 0


def test_a_fault_behind_the_wait_ends_the_call_once(
    waits: Waits, new: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(outbound: Outbound, events: UpstreamEvents) -> ScriptedExchange:
        raise ArithmeticError

    caller, _ = waits.bring(new)
    waits.publish(new)
    monkeypatch.setattr(waits.one, "begin", fail)
    with pytest.raises(ArithmeticError):
        waits.answer(FOUND)
    assert (caller.status, code_of(caller), caller.state) == (500, "internal", "ended")
    assert (waits.trail.only.status, waits.trail.only.code) == (500, "internal")
    assert not waits.gateway.live


def test_each_is_decided_in_a_turn_of_its_own(waits: Waits) -> None:
    for _ in range(10):
        waits.bring(generate("ES256"))
    waits.key_waits.answered("idp", FOUND)
    assert len(waits.soon) == 10
    for left in range(9, -1, -1):
        waits.soon.popleft()()
        assert len(waits.key_waits) == left


def test_a_token_that_is_refused_for_another_reason_is_told_that(waits: Waits, new: SigningKey) -> None:
    token = TestIssuer(new, _REMOTE, NAME, NOW_S - 86_400).token()
    caller, running = waits.ask(request(_BODY, authorization=b"Bearer " + token))
    assert running is not None
    waits.publish(new)
    waits.answer(FOUND)
    assert code_of(caller) == "token_expired"
