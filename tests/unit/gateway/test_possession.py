"""Bound tokens at the gateway: of use to their holder alone, with each proof good for one call."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.core.dpop_nonces import NONCE_LIFE_S
from jotgate.core.possession import certificate_hash
from jotgate.core.proof_times import ProofRules, Sight, Verdict
from jotgate.errors import Code
from jotgate.gateway.proof_waits import PATIENCE_S
from jotgate.gateway.waits import WAITING_MAX
from jotgate.jose.encoding import b64url_encode
from jotgate.ports import Running
from jotgate.processes.messages import ProofShown, frame, read_from_worker
from jotgate.services.proof_desk import ProofDesk
from jotgate.services.used_proofs import UsedProofs
from jotgate.testing.ports import RecordingCaller
from tests.callers import NAME, request
from tests.proving import Holder
from tests.stages import Stage
from tests.token_stage import Chance

PATH = "/v1/chat/completions"
URL = NAME + PATH
BODY = b'{"model":"a"}'
CERTIFICATE = b"a certificate in DER"
PERSONAL = b"jot_p_" + b"A" * 43


class Bound(Stage):
    """The stage with a control that judges proofs when `control_answers`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: deque[tuple[int, Sight]] = deque()
        self.soon: deque[Callable[[], None]] = deque()
        self.rules = ProofRules()
        self.restart_control()
        self.later(600)
        self.holder = Holder()
        self.waits = self.gateway.judge_proofs_by(lambda *question: self.asked.append(question), self.soon.append)

    def later(self, span_s: float) -> None:
        """Time passes, while control beats."""
        self.clock.advance(span_s)
        self.gateway.control_seen()

    def restart_control(self) -> None:
        self.desk = ProofDesk(None, clock=self.clock, entropy=Chance(), rules=lambda: self.rules)

    def token(self, holder: Holder | None = None, **claims: str) -> str:
        jkt = (holder or self.holder).jkt
        return self.issuer.token(
            iat=int(self.clock.now_s()), exp=int(self.clock.now_s()) + 600, cnf={"jkt": jkt}, **claims
        ).decode()

    def prove(self, token: str, **claims: Any) -> str:
        return self.holder.prove("POST", URL, self.clock.now_s(), token, **claims)

    def bring(self, token: str, proof: str | None, scheme: str = "DPoP") -> tuple[RecordingCaller, Running | None]:
        fields = {} if proof is None else {"dpop": proof.encode()}
        return self.ask(request(BODY, authorization=f"{scheme} {token}".encode(), **fields))

    def control_answers(self) -> None:
        while self.asked:
            number, sight = self.asked.popleft()
            self.waits.answered(number, asyncio.run(self.desk.judge(sight)))
        while self.soon:
            self.soon.popleft()()

    def use(self, token: str, proof: str | None, scheme: str = "DPoP") -> RecordingCaller:
        """One call, answered."""
        caller, _ = self.bring(token, proof, scheme)
        self.control_answers()
        if caller.state == "waiting":
            self.one.last.answer(200)
        return caller


@pytest.fixture
def bound() -> Bound:
    return Bound()


def refusal(caller: RecordingCaller) -> tuple[int, str, str]:
    """Status, code, and the error word of the challenge."""
    code = json.loads(caller.body)["error"]["code"]
    challenge = caller.headers.get("www-authenticate", "")
    word = challenge.partition('error="')[2].partition('"')[0]
    return caller.status, code, f"{challenge.partition(' ')[0]} {word}"


def test_DP_12_a_bound_token_with_its_holders_proof_makes_a_call(bound: Bound) -> None:
    token = bound.token()
    caller, _ = bound.bring(token, bound.prove(token))
    assert (caller.state, len(bound.asked)) == ("waiting", 1)
    bound.control_answers()
    bound.one.last.answer(200)
    assert (caller.status, bound.trail.only.outcome) == (200, "complete")
    assert b"dpop" not in bound.one.last.outbound.lines.lower(), "neither proof nor scheme crosses to the upstream"
    assert "dpop-nonce" not in caller.headers


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP "])
def test_the_scheme_is_written_in_any_case(bound: Bound, scheme: str) -> None:
    token = bound.token()
    assert bound.use(token, bound.prove(token), scheme).status == 200


def test_DP_16_E07_a_bound_token_is_no_bearer_token(bound: Bound) -> None:
    token = bound.token()
    for proof in (None, bound.prove(token)):
        caller = bound.use(token, proof, "Bearer")
        assert refusal(caller) == (401, Code.TOKEN_BOUND, "DPoP invalid_token")
        assert 'algs="ES256 ' in caller.headers["www-authenticate"]
    assert not bound.asked


def test_DP_16_two_schemes_at_once_are_refused(bound: Bound) -> None:
    token = bound.token()
    for value in (f"Bearer {token}, DPoP {token}", f"DPoP {token}, Bearer {token}"):
        caller, _ = bound.ask(request(BODY, authorization=value.encode(), dpop=bound.prove(token).encode()))
        assert caller.status == 400
        assert json.loads(caller.body)["error"]["code"] == Code.CREDENTIALS_AMBIGUOUS


def test_a_token_that_is_not_bound_to_a_key_is_refused_with_the_scheme_dpop(bound: Bound) -> None:
    now_s = int(bound.clock.now_s())
    plain = bound.issuer.token(iat=now_s, exp=now_s + 60).decode()
    by_certificate = bound.issuer.token(
        iat=now_s, exp=now_s + 60, cnf={"x5t#S256": certificate_hash(CERTIFICATE)}
    ).decode()
    for token in (plain, by_certificate):
        assert refusal(bound.use(token, bound.prove(token))) == (401, Code.TOKEN_BOUND, "DPoP invalid_token")
    assert bound.use(plain, bound.prove(plain), "Bearer").status == 200, "a proof that nobody asked for means nothing"


def test_a_scheme_without_a_token_is_malformed(bound: Bound) -> None:
    caller, _ = bound.ask(request(BODY, authorization=b"DPoP"))
    assert json.loads(caller.body)["error"]["code"] == Code.TOKEN_MALFORMED


def test_a_token_bound_to_what_nobody_can_check_is_refused(bound: Bound) -> None:
    now_s = int(bound.clock.now_s())
    token = bound.issuer.token(iat=now_s, exp=now_s + 60, cnf={"kid": "x"}).decode()
    assert refusal(bound.use(token, None, "Bearer"))[:2] == (401, Code.CLAIM_REFUSED)


def test_DP_12_the_proof_is_of_the_tokens_own_key_and_of_that_token(bound: Bound) -> None:
    token, thief = bound.token(), Holder()
    stolen = thief.prove("POST", URL, bound.clock.now_s(), token)
    assert refusal(bound.use(token, stolen)) == (401, Code.TOKEN_BOUND, "DPoP invalid_token")
    other = bound.prove(bound.issuer.token(jti="another").decode())
    caller = bound.use(token, other)
    assert refusal(caller) == (401, Code.PROOF_REFUSED, "DPoP invalid_dpop_proof")
    evidence = bound.trail.records[-1].refused
    assert evidence is not None
    assert evidence.claim == "ath"


@pytest.mark.parametrize(
    ("claims", "claim"),
    [
        ({"htm": "GET"}, "htm"),
        ({"htu": "https://evil.example" + PATH}, "htu"),
        ({"htu": NAME + "/v1/embeddings"}, "htu"),
        ({"ath": None}, "ath"),
        ({"iat": 1}, "iat"),
    ],
)
def test_F15_a_proof_that_fails_is_not_used_up(bound: Bound, claims: dict[str, Any], claim: str) -> None:
    token = bound.token()
    assert refusal(bound.use(token, bound.prove(token, jti="one", **claims)))[1:] == (
        Code.PROOF_REFUSED,
        "DPoP invalid_dpop_proof",
    )
    evidence = bound.trail.records[-1].refused
    assert evidence is not None
    assert evidence.claim == claim
    assert bound.use(token, bound.prove(token, jti="one")).status == 200


@pytest.mark.parametrize("iat", [10**19, -(10**18), 1e300, 0.5])
def test_a_time_of_any_size_crosses_the_bus_and_is_refused(bound: Bound, iat: float) -> None:
    token = bound.token()
    bound.bring(token, bound.prove(token, iat=iat))
    number, sight = bound.asked[0]
    assert read_from_worker(frame(ProofShown(number, sight))[4:]) == ProofShown(number, sight)
    bound.control_answers()
    assert bound.trail.only.code == Code.PROOF_REFUSED


def test_F15_a_replayed_proof_is_refused(bound: Bound) -> None:
    token = bound.token()
    proof = bound.prove(token)
    assert bound.use(token, proof).status == 200
    assert refusal(bound.use(token, proof)) == (401, Code.PROOF_REFUSED, "DPoP invalid_dpop_proof")


def test_F15_of_many_calls_with_one_proof_at_once_one_is_made(bound: Bound) -> None:
    token = bound.token()
    proof = bound.prove(token)
    callers = [bound.bring(token, proof)[0] for _ in range(20)]
    assert len(bound.asked) == 20, "each is a question of its own"
    bound.control_answers()
    bound.one.last.answer(200)
    assert sorted(caller.status for caller in callers) == [200] + [401] * 19


def test_F15_no_proof_and_two_proofs_are_refused(bound: Bound) -> None:
    token = bound.token()
    for proof in (None, f"{bound.prove(token)}, {bound.prove(token)}"):
        assert refusal(bound.use(token, proof)) == (401, Code.PROOF_REFUSED, "DPoP invalid_dpop_proof")


def test_DP_13_a_nonce_is_asked_for_and_renewed(bound: Bound) -> None:
    bound.rules = ProofRules(nonce_required=True)
    token = bound.token()
    wanted = bound.use(token, bound.prove(token))
    assert refusal(wanted) == (401, Code.PROOF_NONCE_WANTED, "DPoP use_dpop_nonce")
    assert wanted.lines.lower().count(b"dpop-nonce:") == 1
    bound.later(1)
    good = bound.use(token, bound.prove(token, nonce=wanted.headers["dpop-nonce"]))
    assert good.status == 200
    assert good.lines.lower().count(b"dpop-nonce:") == 1
    assert good.headers["dpop-nonce"] != wanted.headers["dpop-nonce"]
    bound.later(NONCE_LIFE_S)
    stale = bound.use(token, bound.prove(token, nonce=wanted.headers["dpop-nonce"]))
    assert refusal(stale)[1] == Code.PROOF_NONCE_WANTED


def test_F15_a_restarted_control_takes_no_proof_of_before(bound: Bound) -> None:
    token = bound.token()
    used = bound.prove(token)
    assert bound.use(token, used).status == 200
    bound.restart_control()
    wanted = bound.use(token, used)
    assert refusal(wanted)[1] == Code.PROOF_NONCE_WANTED
    assert bound.use(token, bound.prove(token, nonce=wanted.headers["dpop-nonce"])).status == 200


def test_F18_without_control_a_bound_call_is_503_and_another_goes_on(bound: Bound) -> None:
    token = bound.token()
    caller, _ = bound.bring(token, bound.prove(token))
    bound.wait(PATIENCE_S)
    assert (caller.status, refusal(caller)[1]) == (503, Code.CONTROL_UNREACHABLE)
    assert "retry-after" in caller.headers
    plain = bound.issuer.token(iat=int(bound.clock.now_s()), exp=int(bound.clock.now_s()) + 60).decode()
    assert bound.use(plain, None, "Bearer").status == 200


def test_F18_a_store_that_does_not_answer_is_503(bound: Bound) -> None:
    token = bound.token()
    caller, _ = bound.bring(token, bound.prove(token))
    number, _ = bound.asked.popleft()
    bound.waits.answered(number, Verdict("unknown"))
    bound.control_answers()
    assert (caller.status, refusal(caller)[1]) == (503, Code.CONTROL_UNREACHABLE)


def test_who_has_used_up_its_share_of_the_memory_is_told_so_and_others_go_on(bound: Bound) -> None:
    bound.desk._used = UsedProofs(capacity=20)
    token, other = bound.token(client_id="greedy"), bound.token(client_id="modest")
    answers = [bound.use(token, bound.prove(token)) for _ in range(12)]
    assert [one.status for one in answers] == [200] * 10 + [503] * 2
    assert refusal(answers[-1])[1] == Code.CONTROL_UNREACHABLE
    assert "so many DPoP proofs of this client" in answers[-1].body.decode()
    assert "retry-after" in answers[-1].headers
    assert bound.use(other, bound.prove(other)).status == 200


def test_only_so_many_wait_at_once(bound: Bound) -> None:
    token = bound.token()
    callers = [bound.bring(token, bound.prove(token))[0] for _ in range(WAITING_MAX + 1)]
    assert [caller.status for caller in callers if caller.state != "waiting"] == [503]
    assert len(bound.asked) == len(bound.waits) == WAITING_MAX


def test_a_question_is_put_to_the_next_control_as_the_same(bound: Bound) -> None:
    token = bound.token()
    caller, _ = bound.bring(token, bound.prove(token))
    _, first = bound.asked[0]
    asyncio.run(bound.desk.judge(first))  # the answer is lost on the way
    bound.waits.ask_again()
    assert [sight for _, sight in bound.asked] == [first, first]
    bound.asked.popleft()
    bound.control_answers()
    bound.one.last.answer(200)
    assert caller.status == 200


def test_E04_a_call_whose_body_came_late_is_judged_again_and_its_proof_counts_once(bound: Bound) -> None:
    token = bound.token()
    asked: Request = request(BODY, authorization=f"DPoP {token}".encode(), dpop=bound.prove(token).encode())
    answer = bound.gateway.open(asked)
    bound.control_answers()
    bound.later(30)
    caller = RecordingCaller()
    answer(caller)
    bound.control_answers()
    bound.one.last.answer(200)
    assert (caller.status, len(bound.asked)) == (200, 0)


def test_E04_a_late_call_is_refused_when_its_token_has_ended_meanwhile(bound: Bound) -> None:
    token = bound.token()
    asked: Request = request(BODY, authorization=f"DPoP {token}".encode(), dpop=bound.prove(token).encode())
    answer = bound.gateway.open(asked)
    bound.control_answers()
    bound.later(3_600)
    caller = RecordingCaller()
    answer(caller)
    assert refusal(caller)[:2] == (401, Code.TOKEN_EXPIRED)


def test_a_personal_token_has_no_proof(bound: Bound) -> None:
    caller, _ = bound.ask(request(BODY, authorization=b"DPoP " + PERSONAL))
    assert caller.status in (401, 503)


def test_MT_01_a_token_that_is_bound_to_a_certificate_needs_it(bound: Bound) -> None:
    now_s = int(bound.clock.now_s())
    thumbprint = b64url_encode(sha256(CERTIFICATE).digest()).decode()
    token = bound.issuer.token(iat=now_s, exp=now_s + 60, cnf={"x5t#S256": thumbprint})

    def call(certificate: bytes) -> RecordingCaller:
        asked = request(BODY, authorization=b"Bearer " + token)
        asked.certificate = certificate
        caller, _ = bound.ask(asked)
        if caller.state == "waiting":
            bound.one.last.answer(200)
        return caller

    assert call(CERTIFICATE).status == 200
    for wrong in (b"", b"another", CERTIFICATE + b"\0"):
        assert refusal(call(wrong)) == (401, Code.TOKEN_BOUND, "Bearer invalid_token")
    assert call(CERTIFICATE).status == 200


def test_one_who_leaves_while_control_is_asked_is_recorded(bound: Bound) -> None:
    token = bound.token()
    _, running = bound.bring(token, bound.prove(token))
    assert running is not None
    running.caller_gone()
    bound.control_answers()
    assert bound.trail.only.status == 499
    assert len(bound.waits) == 0


def test_the_worlds_name_decides_the_url_and_never_the_request(bound: Bound) -> None:
    token = bound.token()
    proof = bound.holder.prove("POST", "https://evil.example" + PATH, bound.clock.now_s(), token)
    asked = request(BODY, authorization=f"DPoP {token}".encode(), dpop=proof.encode(), host=b"evil.example")
    asked.headers[b"x-forwarded-host"] = b"evil.example"
    caller, _ = bound.ask(asked)
    assert refusal(caller)[1] == Code.PROOF_REFUSED


def test_a_proof_shown_twice_by_different_askers_is_used(bound: Bound) -> None:
    token = bound.token()
    bound.bring(token, bound.prove(token))
    _, sight = bound.asked[0]
    assert asyncio.run(bound.desk.judge(sight)).word == "fresh"
    assert asyncio.run(bound.desk.judge(replace(sight, asker=b"other"))).word == "used"
