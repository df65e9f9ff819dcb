"""Rows AT-03, AT-08 to AT-10 and AT-12 of the token checklist (RFC 9068), at a gateway.

The others are of whoever issues tokens: `test_at_issued.py`.
"""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.testing.forge import ABSENT
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from tests.callers import NAME, NOW_S
from tests.checklist.gates import Gate

_LEEWAY_S: Final = 5


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+jwt"])
def test_AT_03_the_type_of_access_tokens_is_taken_in_any_case(gate: Gate, typ: str) -> None:
    assert gate.bear(gate.issuer.with_header(typ=typ)).status == 200


@pytest.mark.parametrize(
    "typ",
    ["JWT", "jwt", "", "at+jwt ", "at+jwt;v=1", "text/at+jwt", "application/application/at+jwt", "at", ABSENT],
    ids=str,
)
def test_AT_03_every_other_type_is_refused(gate: Gate, typ: object) -> None:
    seen = gate.bear(gate.issuer.with_header(typ=typ))
    assert (seen.status, seen.code) == (401, Code.CLAIM_REFUSED)
    evidence = gate.trail.records[-1].refused
    assert evidence is not None
    assert (evidence.claim, evidence.fault) == ("typ", "missing" if typ is ABSENT else "mismatch")


@pytest.mark.parametrize("aud", [NAME, [NAME], ["https://other.example", NAME]])
def test_AT_08_a_token_for_this_resource_is_taken(gate: Gate, aud: object) -> None:
    assert gate.bear(gate.issuer.with_claims(aud=aud)).status == 200


@pytest.mark.parametrize("aud", ["https://gate.example/other", "https://other.example", ["a", "b"], NAME + "/"])
def test_AT_08_a_token_for_another_resource_of_the_issuer_is_refused(gate: Gate, aud: object) -> None:
    seen = gate.bear(gate.issuer.with_claims(aud=aud))
    assert (seen.status, seen.code) == (401, Code.CLAIM_REFUSED)
    evidence = gate.trail.records[-1].refused
    assert evidence is not None
    assert (evidence.claim, evidence.fault, evidence.wanted) == ("aud", "mismatch", f'["{NAME}"]')


@pytest.mark.parametrize("iss", [NAME + "/", NAME.upper(), NAME[:-1], "http" + NAME[5:], " " + NAME])
def test_AT_09_the_issuer_is_compared_exactly(gate: Gate, iss: str) -> None:
    seen = gate.bear(gate.issuer.with_claims(iss=iss))
    assert (seen.status, seen.code) == (401, Code.CLAIM_REFUSED)
    assert (evidence := gate.trail.records[-1].refused) is not None
    assert evidence.claim == "iss"


@pytest.mark.parametrize(("past_s", "status"), [(_LEEWAY_S - 1, 200), (_LEEWAY_S, 401), (_LEEWAY_S + 1, 401)])
def test_AT_09_a_token_ends_at_its_second_and_the_leeway(gate: Gate, past_s: int, status: int) -> None:
    seen = gate.bear(gate.issuer.with_claims(exp=int(NOW_S) - past_s, iat=int(NOW_S) - 100))
    assert (seen.status, seen.code) == (status, Code.TOKEN_EXPIRED if status == 401 else "")


def test_AT_10_whatever_fails_is_invalid_token(gate: Gate) -> None:
    """Every wrong token that there is a name for, and those without an issuer, a subject, a client or an id."""
    wrong = wrong_tokens(gate.issuer.key, NAME, NAME, NOW_S)
    wrong |= {
        f"without_{claim}": (gate.issuer.with_claims(**{claim: ABSENT}), Code.CLAIM_REFUSED)
        for claim in ("iss", "sub", "client_id", "jti", "aud", "exp", "iat")
    }
    seen = {name: gate.bear(token) for name, (token, _) in wrong.items()}
    assert {name: (one.status, one.code) for name, one in seen.items()} == {
        name: (401, code) for name, (_, code) in wrong.items()
    }
    assert {one.challenge["error"] for one in seen.values() if one.challenge is not None} == {"invalid_token"}
    assert [name for name, one in seen.items() if one.challenge is None] == []


_EVENTS: Final = {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {"event_timestamp": 1}}
# Each with its `typ`, its `aud`, and what it has beside or in place of an access token's claims.
KINDS: Final[Mapping[str, tuple[str, str, Mapping[str, object]]]] = {
    "id_token": ("JWT", "jotgate-cli", {"nonce": "n", "auth_time": int(NOW_S), "azp": "jotgate-cli"}),
    "refresh_jwt": ("rt+jwt", NAME, {"token_use": "refresh"}),
    "logout_token": ("logout+jwt", "jotgate-cli", {"sid": "s", "events": _EVENTS}),
    "dpop_proof": ("dpop+jwt", "", {"htm": "POST", "htu": f"{NAME}/v1/chat/completions"}),
    "client_assertion": ("client-authentication+jwt", NAME, {"sub": "jotgate-cli"}),
    "txn_token": ("txntoken+jwt", "https://trust.example", {"txn": "t", "req_wl": "w"}),
    "id_jag": ("oauth-id-jag+jwt", "https://other-as.example", {"resource": NAME}),
    "set": ("secevent+jwt", "https://receiver.example", {"sub_id": {"format": "opaque", "id": "a"}, "events": _EVENTS}),
    "introspection_jwt": ("token-introspection+jwt", NAME, {"token_introspection": {"active": True}}),
}


def _by_type(issuer: TestIssuer, kind: str) -> bytes:
    """With everything that an access token has, so that its type alone tells it."""
    typ, _, members = KINDS[kind]
    return issuer.seal(issuer.header(typ=typ), issuer.claims(**members))


def _as_it_is(issuer: TestIssuer, kind: str) -> bytes:
    typ, aud, members = KINDS[kind]
    return issuer.seal(issuer.header(typ=typ), issuer.claims(aud=aud or ABSENT, scope=ABSENT, **members))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [_by_type, _as_it_is])
def test_AT_12_another_kind_of_token_of_the_same_issuer_and_key_is_refused(
    gate: Gate, make: Callable[[TestIssuer, str], bytes], kind: str
) -> None:
    seen = gate.bear(make(gate.issuer, kind))
    assert (seen.status, seen.code) == (401, Code.CLAIM_REFUSED)
    assert (evidence := gate.trail.records[-1].refused) is not None
    assert (evidence.claim, evidence.got, evidence.typ) == ("typ", KINDS[kind][0], KINDS[kind][0])


@pytest.mark.parametrize("kind", [kind for kind, (_, aud, _) in KINDS.items() if aud != NAME])
def test_AT_12_their_audience_tells_them_even_under_the_type_of_access_tokens(gate: Gate, kind: str) -> None:
    _, aud, members = KINDS[kind]
    seen = gate.bear(gate.issuer.with_claims(aud=aud or ABSENT, **members))
    assert (seen.status, seen.code) == (401, Code.CLAIM_REFUSED)
    assert (evidence := gate.trail.records[-1].refused) is not None
    assert evidence.claim == "aud"
