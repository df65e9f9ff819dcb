"""A request with a personal token that is not held waits for what control says of it, and is then decided anew."""

import json
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.opaque import Mark, make_opaque
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.core.snapshot import Limits
from jotgate.gateway.token_waits import PATIENCE_S, QUESTIONS_PER_ADDRESS, QUESTIONS_PER_S
from jotgate.gateway.waits import WAITING_MAX, Waiting
from jotgate.gateway.world import build_world
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.personal import GOOD, finding
from tests.stages import Stage

_BODY: Final = b'{"model":"a","stream":true}'
UNKNOWN: Final = PersonalFinding(version=1)


def text(number: int) -> bytes:
    """A text of the right form for each number."""
    return make_opaque(Mark.PERSONAL, ((1 << 128) + number).to_bytes(32, "big")).reveal().encode()


class Waits(Stage):
    """The stage with a control that is asked; `asked` are the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.soon: deque[Callable[[], None]] = deque()
        self.waits = self.gateway.find_tokens_by(self.asked.append, self.soon.append)

    def bring(self, token: bytes = GOOD, peer: str = "127.0.0.1") -> tuple[RecordingCaller, Waiting[bytes] | None]:
        """A call with a personal token."""
        asked = request(_BODY, authorization=b"Bearer " + token)
        asked.peer = peer
        caller, running = self.ask(asked)
        return caller, running if isinstance(running, Waiting) else None

    def answer(self, found: PersonalFinding | None, token: bytes = GOOD) -> None:
        """Control's answer, and what comes of it."""
        digest = sha256(token).digest()
        if found is not None:
            self.world.personal.learn(digest, found, self.clock.now_s())
        good = found is not None and found.principal is not None
        self.waits.answered(digest, reached=found is not None, good=good)
        while self.soon:
            self.soon.popleft()()


@pytest.fixture
def waits() -> Waits:
    return Waits()


def code_of(caller: RecordingCaller) -> str:
    return str(json.loads(caller.body)["error"]["code"])


def test_a_call_goes_on_when_control_knows_its_token(waits: Waits) -> None:
    caller, waiting = waits.bring()
    assert waiting is not None
    assert (caller.state, waits.asked) == ("waiting", [sha256(GOOD).digest()])
    waits.answer(finding("t-9"))
    waits.one.last.answer(200)
    record = waits.trail.only
    assert (caller.status, record.subject, record.client_id, record.token) == (200, "alice", "personal-token", "t-9")
    assert len(waits.waits) == 0


def test_what_is_held_waits_for_nothing(waits: Waits) -> None:
    waits.bring()
    waits.answer(finding())
    _, waiting = waits.bring()
    assert waiting is None
    assert len(waits.asked) == 1


def test_there_is_one_question_for_all_who_bring_the_same(waits: Waits) -> None:
    callers = [waits.bring()[0] for _ in range(20)]
    assert len(waits.asked) == 1
    waits.answer(finding())
    for exchange in waits.one.exchanges:
        exchange.answer(200)
    assert [caller.status for caller in callers] == [200] * 20


@pytest.mark.parametrize(
    ("reason", "code"), [("unknown", "token_unknown"), ("expired", "token_expired"), ("disabled", "token_revoked")]
)
def test_a_token_that_does_not_count_is_a_401_for_all_who_waited_and_for_the_next(
    waits: Waits, reason: str, code: str
) -> None:
    callers = [waits.bring()[0] for _ in range(3)]
    waits.answer(PersonalFinding(version=1, reason=reason))  # type: ignore[arg-type]
    callers.append(waits.bring()[0])
    assert [(caller.status, code_of(caller)) for caller in callers] == [(401, code)] * 4
    assert len(waits.asked) == 1
    assert 'error="invalid_token"' in callers[0].headers["www-authenticate"]


def test_the_record_of_a_refused_one_has_its_digest_and_not_its_text(waits: Waits) -> None:
    waits.bring()
    waits.answer(UNKNOWN)
    evidence = waits.trail.only.refused
    assert evidence is not None
    assert evidence.digest == sha256(GOOD).hexdigest()
    assert GOOD not in b"".join(waits.trail.lines)


def test_the_operator_is_told_which_token_it_was_and_its_caller_is_not(waits: Waits) -> None:
    caller, _ = waits.bring()
    waits.answer(PersonalFinding(version=1, reason="disabled", token_id="t-77"))
    evidence = waits.trail.only.refused
    assert evidence is not None
    assert (evidence.claim, evidence.got) == ("jti", "t-77")
    assert b"t-77" not in caller.body + caller.lines


def test_what_cannot_be_known_is_a_503(waits: Waits) -> None:
    caller, _ = waits.bring()
    waits.answer(None)
    assert (caller.status, code_of(caller)) == (503, "control_unreachable")
    assert caller.headers["retry-after"] == "1"


def test_nobody_waits_longer_than_for_a_while(waits: Waits) -> None:
    caller, _ = waits.bring()
    waits.wait(PATIENCE_S - 0.1)
    assert caller.state == "waiting"
    waits.wait(0.1)
    assert (caller.status, code_of(caller)) == (503, "control_unreachable")
    waits.bring()
    waits.wait(0)
    assert len(waits.asked) == 2, "an answer that never came stands in nobody's way"


def test_without_a_control_to_ask_nothing_is_taken() -> None:
    caller, _ = Stage().ask(request(_BODY, authorization=b"Bearer " + GOOD))
    assert (caller.status, code_of(caller)) == (503, "control_unreachable")


def test_an_answer_that_changed_accounts_overtook_is_asked_for_once_more(waits: Waits) -> None:
    caller, _ = waits.bring()
    waits.waits.answered(sha256(GOOD).digest(), reached=True, good=True)  # What came with it is gone already.
    while waits.soon:
        waits.soon.popleft()()
    assert (caller.state, len(waits.asked)) == ("waiting", 2)
    waits.waits.answered(sha256(GOOD).digest(), reached=True, good=True)
    while waits.soon:
        waits.soon.popleft()()
    assert (caller.status, code_of(caller)) == (503, "control_unreachable")


def test_a_new_control_is_asked_what_the_last_one_left_open(waits: Waits) -> None:
    waits.bring()
    waits.waits.ask_again()
    assert waits.asked == [sha256(GOOD).digest()] * 2


def test_a_caller_that_leaves_is_recorded_and_its_answer_harms_nobody(waits: Waits) -> None:
    caller, waiting = waits.bring()
    assert waiting is not None
    waiting.caller_gone()
    waits.answer(finding())
    assert (waits.trail.only.status, caller.state, waits.one.exchanges) == (499, "waiting", [])


def test_who_makes_up_tokens_cannot_ask_without_end(waits: Waits) -> None:
    for number in range(QUESTIONS_PER_ADDRESS + 50):
        waits.bring(text(number), "192.0.2.66")
        waits.answer(UNKNOWN, text(number))
    assert len(waits.asked) == QUESTIONS_PER_ADDRESS
    caller, _ = waits.bring(text(1_000), "192.0.2.66")
    assert (caller.status, code_of(caller)) == (503, "control_unreachable")
    other, _ = waits.bring(GOOD, "192.0.2.7")
    waits.answer(finding())
    waits.one.last.answer(200)
    assert other.status == 200
    waits.wait(1.0)
    waits.bring(text(1_001), "192.0.2.66")
    assert len(waits.asked) == QUESTIONS_PER_ADDRESS + 2


def test_who_brings_good_tokens_is_charged_for_none(waits: Waits) -> None:
    for number in range(QUESTIONS_PER_ADDRESS * 3):
        waits.bring(text(number))
        waits.answer(finding(f"t-{number}"), text(number))
    assert len(waits.asked) == QUESTIONS_PER_ADDRESS * 3


def test_many_addresses_share_the_questions_of_a_second(waits: Waits) -> None:
    for number in range(QUESTIONS_PER_S + 100):
        waits.bring(text(number), f"192.0.2.{number}")
        waits.answer(UNKNOWN, text(number))
    assert len(waits.asked) == QUESTIONS_PER_S


def test_who_waits_is_bounded(waits: Waits) -> None:
    callers = [waits.bring(text(number), f"a{number}")[0] for number in range(WAITING_MAX + 1)]
    assert [caller.state for caller in callers[:-1]] == ["waiting"] * WAITING_MAX
    assert (callers[-1].status, code_of(callers[-1])) == (503, "control_unreachable")


def test_jotgate_stops_and_nobody_is_left_waiting(waits: Waits) -> None:
    caller, _ = waits.bring()
    waits.gateway.cancel_all()
    assert (caller.status, len(waits.waits)) == (503, 0)


def test_held_answers_outlive_worlds_and_go_by_the_news_of_accounts(waits: Waits) -> None:
    waits.bring()
    waits.answer(finding())
    snapshot = replace(waits.world.snapshot, version=8, limits=Limits(personal_tokens=2))
    waits.gateway.swap(build_world(snapshot, waits.world.places, waits.world))
    assert waits.bring()[1] is None
    for number in range(10):
        waits.bring(text(number))
        waits.answer(finding(f"t-{number}"), text(number))
    assert len(waits.world.personal) == 2, "the limit of the newest snapshot"
    waits.bring()
    waits.answer(finding())
    waits.world.personal.forget(AccountNews(3))
    assert waits.bring()[1] is None
    waits.world.personal.forget(AccountNews(4, everything=True))
    assert waits.bring()[1] is not None


def test_scopes_and_models_are_those_of_the_answer(waits: Waits) -> None:
    found = finding()
    assert found.principal is not None
    narrow = replace(found, principal=replace(found.principal, scopes=frozenset(("models",))))
    caller, _ = waits.bring()
    waits.answer(narrow)
    assert (caller.status, code_of(caller)) == (403, "insufficient_scope")


def test_one_in_a_subprotocol_is_a_credential_in_the_wrong_place(waits: Waits) -> None:
    offered = request(_BODY, sec_websocket_protocol=b"mcp, " + GOOD)
    assert code_of(waits.ask(offered)[0]) == "token_missing"
    offered = request(_BODY, sec_websocket_protocol=b"mcp, " + GOOD, authorization=b"Bearer " + GOOD)
    assert code_of(waits.ask(offered)[0]) == "credentials_ambiguous"
    assert waits.asked == []


def test_one_with_a_second_credential_behind_it_is_ambiguous(waits: Waits) -> None:
    caller, _ = waits.bring(GOOD + b", Basic YTpi")
    assert (caller.status, code_of(caller)) == (400, "credentials_ambiguous")
