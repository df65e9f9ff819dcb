"""Rows SL-02 to SL-06 where jotgate itself looks at a list: that of another issuer, whose settings say so."""

import asyncio
from typing import Any, Final

import pytest
from msgspec.structs import replace

from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import Failed, Get, Got, KeysOutcome, Unchanged
from jotgate.core.reach import Way
from jotgate.core.status_lists import LIST_TYPE, SUSPENDED, StatusRules, list_claims, pack_statuses
from jotgate.core.status_references import StatusFound, StatusQuestion
from jotgate.errors import ClaimRefused, JotgateError, SignatureInvalid, StatusUnresolved, TokenRevoked
from jotgate.gateway.world import build_verifier
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import KeySet, generate
from jotgate.services.status_reading import FAILED_S, HELD_MAX, StatusReader
from jotgate.services.verifier import Verifier
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, NOW_S, issuer_of, make_issuer

IDP: Final = "https://idp.example"
URI: Final = IDP + "/lists/1"
RULES: Final = StatusRules(on=True, ttl_s=60, life_s=600)
WAY: Final = Way("public", secure=True)


class Web:
    """What stands at URLs (ports.KeyFetch): a list, or why there is none; `asked` is what was asked, in order."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.asked: list[Get] = []
        self.max_age_s: float | None = None

    async def get(self, get: Get) -> Got | Unchanged | Failed:
        self.asked.append(get)
        found = self.there.get(get.location)
        return Failed("is not there") if found is None else Got(found, WAY, max_age_s=self.max_age_s)


class Elsewhere:
    """Another issuer, its lists, and a control that looks at them. `said` is what the operator is told."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_S)
        self.idp = TestIssuer(generate("ES256"), IDP, NAME, NOW_S)
        self.web = Web()
        self.said: list[str] = []
        self.wanted_keys = 0
        self.source = KeySource(name="idp", kind="url", location="https://keys.example/jwks", issuer=IDP)
        self.trust(self.idp)
        self.reader = StatusReader(
            self.web,
            self.clock,
            federation=lambda: self.verifier.federation,
            sources=lambda: (self.source,),
            wanted=self.wanted,
            tell=self.said.append,
        )

    def trust(self, idp: TestIssuer, **changes: Any) -> None:
        """Trust this issuer beside ourselves."""
        demanded = replace(
            issuer_of(idp),
            name="idp",
            issuer=IDP,
            jwks=KeySet([idp.key.verification_key]).to_jwks(),
            remote=True,
            status_lists=True,
            **changes,
        )
        ours = issuer_of(make_issuer())
        self.verifier: Verifier = build_verifier((ours, demanded), 100)

    async def wanted(self, issuer: str) -> KeysOutcome:
        self.wanted_keys += 1
        return KeysOutcome(reached=True, useless_s=30.0)

    def publish(self, invalid: tuple[int, ...] = (), *, uri: str = URI, header: Any = None, **changes: Any) -> None:
        """Put a list there, signed by the issuer."""
        claims = {**list_claims(uri, pack_statuses(invalid), self.clock.now_s(), RULES), **changes}
        stated = {name: value for name, value in claims.items() if value is not None}
        self.web.there[uri] = self.idp.seal(header or self.idp.header(typ=LIST_TYPE), stated)

    def look(self, index: int, uri: str = URI) -> StatusFound | None:
        return asyncio.run(self.reader.look(StatusQuestion(IDP, uri, index)))

    def verify(self, token: bytes) -> str:
        """The subject of a token that counts; or the name of why it does not."""

        async def bare(shown: bytes) -> Any:
            return self.verifier.verify(shown, self.clock.now_s())

        async def ask() -> str:
            return (await self.reader.verifying(bare)(token)).subject

        try:
            return asyncio.run(ask())
        except JotgateError as refusal:
            return type(refusal).__name__

    def token(self, index: Any, uri: str = URI, **claims: Any) -> bytes:
        return self.idp.with_claims(status={"status_list": {"idx": index, "uri": uri}}, **claims)


@pytest.fixture
def idp() -> Elsewhere:
    return Elsewhere()


def test_SL_02_a_place_that_the_list_does_not_have_is_none_to_rely_on(idp: Elsewhere) -> None:
    idp.publish()
    assert idp.verify(idp.token(7)) == "alice"
    assert idp.verify(idp.token(1 << 40)) == StatusUnresolved.__name__
    assert "a place that its status list does not have" in idp.said[-1]


def test_SL_03_a_token_is_verified_before_anybody_is_asked_for_its_status(idp: Elsewhere) -> None:
    idp.publish()
    other = TestIssuer(generate("ES256"), IDP, NAME, NOW_S)
    forged = other.seal({**idp.idp.header()}, {**idp.idp.claims(), "status": {"status_list": {"idx": 1, "uri": URI}}})
    assert idp.verify(forged) == SignatureInvalid.__name__
    assert idp.verify(idp.token(1, exp=int(NOW_S) - 60, iat=int(NOW_S) - 120)) == "TokenExpired"
    assert idp.verify(idp.token("7")) == ClaimRefused.__name__
    assert idp.web.asked == []


def test_SL_03_a_token_that_names_no_list_needs_none(idp: Elsewhere) -> None:
    assert idp.verify(idp.idp.token()) == "alice"
    assert idp.web.asked == []


def test_SL_04_a_list_is_kept_for_its_ttl_whatever_HTTP_says(idp: Elsewhere) -> None:
    idp.publish()
    for max_age_s in (0.0, 86_400.0):
        idp.web.max_age_s = max_age_s
        before = len(idp.web.asked)
        assert idp.look(7) == StatusFound(0, 60.0)
        idp.clock.advance(59)
        assert idp.look(7) == StatusFound(0, 1.0)
        assert len(idp.web.asked) == before + 1
        idp.clock.advance(1)
        idp.publish()
    assert {one.accept for one in idp.web.asked} == {"application/statuslist+jwt"}


def test_SL_04_a_list_says_nothing_after_its_exp(idp: Elsewhere) -> None:
    idp.publish(exp=int(NOW_S) + 20)
    assert idp.look(7) == StatusFound(0, 20.0)
    idp.clock.advance(26)
    assert idp.look(7) is None, "the same one is there still, and has expired"
    assert "expired" in idp.said[-1]


def test_SL_05_only_VALID_counts(idp: Elsewhere) -> None:
    idp.publish((7,))
    assert (idp.verify(idp.token(7)), idp.verify(idp.token(8))) == (TokenRevoked.__name__, "alice")
    two_bits = {"bits": 2, "lst": "eNo76fITAAPfAgc"}
    idp.publish(uri=URI + "0", status_list=two_bits)
    assert [idp.verify(idp.token(index, URI + "0")) for index in (0, 1, 2, 3)] == [
        TokenRevoked.__name__,
        TokenRevoked.__name__,
        "alice",
        TokenRevoked.__name__,
    ]
    assert idp.look(1, URI + "0") == StatusFound(SUSPENDED, 60.0)


def test_SL_06_a_list_that_is_too_large_or_broken_is_no_list(idp: Elsewhere) -> None:
    idp.publish(status_list={"bits": 1, "lst": b64url_encode(b"x" * 40).decode()})
    assert idp.look(7) is None
    idp.clock.advance(FAILED_S)
    idp.web.there[URI] = b"x" * 300_000
    assert idp.look(7) is None


@pytest.mark.parametrize(
    "changes",
    [{"sub": URI + "x"}, {"iat": None}, {"iss": "https://evil.example"}, {"aud": "me"}, {"status_list": None}],
)
def test_SL_01_what_is_not_the_list_that_was_asked_for_says_nothing(idp: Elsewhere, changes: dict[str, Any]) -> None:
    idp.publish(**changes)
    assert idp.look(7) is None
    assert idp.verify(idp.token(7)) == StatusUnresolved.__name__


def test_SL_01_a_list_may_name_its_issuer(idp: Elsewhere) -> None:
    idp.publish(iss=IDP)
    assert idp.look(7) == StatusFound(0, 60.0)


def test_SL_01_another_type_or_key_is_no_list(idp: Elsewhere) -> None:
    idp.publish(header=idp.idp.header(typ="at+jwt"))
    assert idp.look(7) is None
    idp.clock.advance(FAILED_S)
    signed, idp.idp = idp.idp, TestIssuer(generate("ES256"), IDP, NAME, NOW_S)
    idp.publish()
    assert (idp.look(7), idp.wanted_keys) == (None, 1), "the keys of the issuer are asked for once more"
    idp.clock.advance(FAILED_S)
    idp.trust(idp.idp)
    assert idp.look(7) == StatusFound(0, 60.0)
    assert signed is not idp.idp


def test_a_list_is_fetched_from_its_issuer_or_that_ones_keys_and_from_nowhere_else(idp: Elsewhere) -> None:
    for uri in ("https://keys.example/lists/2", IDP + "/lists/2"):
        idp.publish(uri=uri)
        assert idp.look(7, uri) == StatusFound(0, 60.0)
    for uri in ("https://evil.example/l", "http://idp.example/l", "https://idp.example:8443/l", "file:///l", "x"):
        before = len(idp.web.asked)
        idp.publish(uri=uri)
        assert idp.look(7, uri) is None
        assert len(idp.web.asked) == before, uri


def test_a_list_that_cannot_be_had_is_not_asked_for_again_at_once(idp: Elsewhere) -> None:
    for _ in range(5):
        assert idp.look(7) is None
    assert len(idp.web.asked) == len(idp.said) == 1
    idp.clock.advance(FAILED_S)
    idp.publish()
    assert idp.look(7) is not None


def test_those_who_ask_at_once_fetch_once(idp: Elsewhere) -> None:
    idp.publish()

    async def many() -> list[StatusFound | None]:
        return await asyncio.gather(*(idp.reader.look(StatusQuestion(IDP, URI, index)) for index in range(20)))

    assert asyncio.run(many()) == [StatusFound(0, 60.0)] * 20
    assert len(idp.web.asked) == 1


def test_the_lists_that_are_held_are_bounded(idp: Elsewhere) -> None:
    for number in range(HELD_MAX + 1):
        idp.publish(uri=f"{IDP}/l/{number}")
        idp.look(7, f"{IDP}/l/{number}")
    before = len(idp.web.asked)
    idp.look(7, f"{IDP}/l/{HELD_MAX}")
    idp.look(7, f"{IDP}/l/0")
    assert len(idp.web.asked) == before + 1
