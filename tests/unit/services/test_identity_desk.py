"""What control makes of a token that a caller showed, for the upstream: claims, times, and what makes none."""

import asyncio
from math import inf

import pytest
from msgspec.structs import replace

from jotgate.core.identity_tokens import Identity, IdentityRules, identity_claims, identity_times
from jotgate.core.lineage import Actor
from jotgate.core.principals import Principal
from jotgate.core.values import Secret
from jotgate.errors import ClaimRefused, JotgateError, StoreUnavailable, TokenRevoked
from jotgate.gateway.world import build_verifier
from jotgate.jose.jwt import peek_unverified
from jotgate.ports import Signer
from jotgate.services.identity_desk import IdentityDesk
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, NOW_S, issuer_of, make_issuer, principal
from tests.signers import OneSigner
from tests.token_stage import Chance

RULES = IdentityRules("https://orders.example", 60)
KEYS = make_issuer()


class Desk:
    """Control's desk; `refusal` is what becomes of every token that is shown, `fault` of every signature."""

    def __init__(self, found: Principal | None = None) -> None:
        self.clock = ManualClock(NOW_S)
        self.found = found or principal()
        self.rules: IdentityRules | None = RULES
        self.refusal: JotgateError | None = None
        self.fault: JotgateError | None = None
        self.seen: list[bytes] = []
        self.signer = OneSigner(KEYS.key)
        self.desk = IdentityDesk(
            issuer=NAME,
            verify=self.verify,
            sign=self.sign,
            clock=self.clock,
            entropy=Chance(),
            rules=lambda: self.rules,
        )

    async def verify(self, token: bytes) -> Principal:
        self.seen.append(token)
        if self.refusal is not None:
            raise self.refusal
        return self.found

    async def sign(self, expires_at_s: int) -> Signer:
        if self.fault is not None:
            raise self.fault
        return await self.signer.sign_until(expires_at_s)

    def write(self) -> Identity | None:
        return asyncio.run(self.desk.write(Secret("shown")))


def test_what_the_caller_showed_is_verified_here_and_told_of() -> None:
    desk = Desk()
    found = desk.write()
    assert desk.seen == [b"shown"]
    assert found is not None
    header, claims = peek_unverified(found.token.reveal().encode())
    assert header["typ"] == "jot-identity+jwt"
    assert claims.pop("jti")
    assert claims == {
        "iss": NAME,
        "sub": "alice",
        "aud": RULES.audience,
        "exp": NOW_S + 60,
        "iat": NOW_S,
        "subject_issuer": NAME,
        "scope": "ai",
        "client_id": "jotgate-cli",
    }
    assert (found.audience, found.used_until_s) == (RULES.audience, NOW_S + 45)
    assert "shown" not in repr(found)
    assert found.token.reveal() not in repr(found)


def test_all_that_is_known_of_a_caller_is_told() -> None:
    known = replace(
        principal(scopes=()), tenant="acme", roles=frozenset({"b", "a"}), actors=(Actor("agent"),), client_id="app"
    )
    claims = identity_claims(known, RULES, NAME, "x", NOW_S)
    assert (claims["tenant"], claims["roles"], claims["act"]) == ("acme", ["a", "b"], {"sub": "agent"})
    assert "scope" not in claims


def test_it_is_no_access_token_of_ours() -> None:
    found = Desk().write()
    assert found is not None
    verifier = build_verifier((replace(issuer_of(KEYS), audiences=(RULES.audience,)),), 10)
    with pytest.raises(ClaimRefused) as refused:
        verifier.verify(found.token.reveal().encode(), NOW_S)
    assert refused.value.claim == "typ"


@pytest.mark.parametrize(
    ("ends_s", "exp", "used_until_s"),
    [
        (inf, 60, 45),
        (NOW_S + 600, 60, 45),
        (NOW_S + 30, 30, 30),
        (NOW_S + 2, 5, 5),
        (NOW_S - 3, 5, 5),
    ],
)
def test_it_ends_with_what_it_was_made_for(ends_s: float, exp: int, used_until_s: float) -> None:
    """A token that is taken within its leeway still can be told of, for a moment."""
    found = identity_times(replace(principal(), expires_at_s=ends_s), RULES, NOW_S)
    assert found == (NOW_S + exp, NOW_S + used_until_s)


def test_nothing_is_made_for_a_token_that_is_no_good_or_that_nobody_wants_or_can_sign_for() -> None:
    desk = Desk()
    desk.refusal = TokenRevoked("gone")
    assert desk.write() is None
    desk.refusal = StoreUnavailable("out")
    assert desk.write() is None
    desk.refusal, desk.fault = None, StoreUnavailable("out")
    assert desk.write() is None
    desk.fault, desk.rules = None, None
    assert desk.write() is None
