"""Whoever runs jotgate can have every token judged that one of its listeners takes, and is told which that is."""

import asyncio
from typing import Final

import pytest
from msgspec import structs

from jotgate.assembly.face_tokens import FaceTokens
from jotgate.core.durable import RevocationKind
from jotgate.core.faces import Face
from jotgate.core.principals import Principal, Verified
from jotgate.core.prompt_chain import PROMPT_CHAIN, PromptChainRules
from jotgate.core.revocations import Entry, handle_name, token_handle
from jotgate.errors import ClaimRefused, JotgateError, SignatureInvalid, TokenExpired, TokenMalformed, TokenRevoked
from jotgate.gateway.world import build_verifier
from jotgate.jose.keys import generate
from jotgate.services.revocation import RevokedSet
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock
from tests.callers import NOW_S, issuer_of

_NATIVE: Final = TestIssuer(generate("ES256"), "https://i.example", "https://i.example", NOW_S)
_CHAIN: Final = TestIssuer(generate("ES256"), "https://chain.example", "https://chain.example", NOW_S)


class Desk:
    """A native verifier, and one face beside it."""

    def __init__(self) -> None:
        self.revoked = RevokedSet()
        chain = structs.replace(issuer_of(_CHAIN), name=PROMPT_CHAIN)
        self.faces = [Face(name=PROMPT_CHAIN, listen=("::1", 0), issuers=(chain,), rules=PromptChainRules())]
        native = build_verifier((issuer_of(_NATIVE),), 2, revoked=self.revoked)

        async def verify(token: bytes) -> Principal:
            return native.verify(token, NOW_S)

        self._judge = FaceTokens(lambda: self.faces, self.revoked, ManualClock()).beside(verify)

    def find(self, token: bytes) -> Verified:
        async def judge() -> Verified:
            return await self._judge(token)

        return asyncio.run(judge())

    def code(self, token: bytes) -> type[JotgateError]:
        with pytest.raises(JotgateError) as refusal:
            self.find(token)
        return type(refusal.value)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_token_is_told_with_the_face_at_which_it_counts(desk: Desk) -> None:
    native, chain = desk.find(_NATIVE.token(sub="ann")), desk.find(_CHAIN.token(sub="bob"))
    assert (native.principal.subject, native.face) == ("ann", "")
    assert (chain.principal.subject, chain.face) == ("bob", PROMPT_CHAIN)


def test_a_face_says_what_ails_a_token_of_its_own(desk: Desk) -> None:
    assert desk.code(_CHAIN.expired()) is TokenExpired
    name = handle_name(RevocationKind.TOKEN, token_handle(_CHAIN.issuer, "leaver"))
    desk.revoked.take([Entry(name, None)])
    assert desk.code(_CHAIN.token(jti="leaver")) is TokenRevoked


def test_of_what_is_no_faces_the_native_listener_says_why(desk: Desk) -> None:
    assert desk.code(b"a.b") is TokenMalformed
    assert desk.code(_NATIVE.expired()) is TokenExpired
    assert desk.code(_NATIVE.token()[:-8] + b"AAAAAAAA") is SignatureInvalid


def test_a_face_that_has_other_issuers_now_is_asked_by_those(desk: Desk) -> None:
    token = _CHAIN.token()
    assert desk.find(token).face == PROMPT_CHAIN
    (face,) = desk.faces
    desk.faces[0] = structs.replace(face, issuers=(issuer_of(_NATIVE),))
    assert desk.code(token) is ClaimRefused
    desk.faces[0] = face
    assert desk.find(token).face == PROMPT_CHAIN
    desk.faces.clear()
    assert desk.code(token) is ClaimRefused
