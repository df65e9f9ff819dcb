"""A command that verifies a token waits for its key as a request does."""

import pytest

from jotgate.core.issuers import Issuer
from jotgate.core.key_fetches import KeysOutcome
from jotgate.errors import IssuerUnavailable, KeyUnpublished, TokenExpired
from jotgate.gateway.world import build_verifier
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.services.key_seeking import SeekingVerifier
from jotgate.services.verifier import Verifier
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, NOW_S, issuer_of, make_issuer

pytestmark = pytest.mark.anyio
_REMOTE = "https://idp.example"
_OURS = issuer_of(make_issuer())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Control:
    """What control does: answers each question with the next outcome, and has fetched `comes` by then."""

    def __init__(self, *outcomes: KeysOutcome) -> None:
        self.key = generate("ES256")
        self.outcomes = list(outcomes)
        self.comes: list[SigningKey | None] = [None] * len(outcomes)
        self.held: list[SigningKey] = []
        self.asked: list[str] = []
        self.seeking = SeekingVerifier(self.verifier, self.wanted, ManualClock())

    def verifier(self) -> Verifier:
        remote = Issuer(
            name="idp",
            issuer=_REMOTE,
            audiences=(NAME,),
            algorithms=("ES256",),
            types=(ACCESS_TOKEN_TYPE,),
            jwks=KeySet([key.verification_key for key in self.held]).to_jwks(),
            remote=True,
        )
        return build_verifier((_OURS, remote), 2)

    async def wanted(self, issuer: str) -> KeysOutcome:
        self.asked.append(issuer)
        key = self.comes.pop(0)
        if key is not None:
            self.held.append(key)
        return self.outcomes.pop(0)

    def token(self, **claims: object) -> bytes:
        return TestIssuer(self.key, _REMOTE, NAME, NOW_S).token(**claims)


_LATE = KeysOutcome(reached=True, useless_s=0.0)
_DONE = KeysOutcome(reached=True, useless_s=30.0)


@pytest.mark.parametrize("outcomes", [[_DONE], [_LATE], [_LATE, _DONE], [KeysOutcome(reached=False, useless_s=3.0)]])
async def test_a_key_that_comes_is_used(outcomes: list[KeysOutcome]) -> None:
    control = Control(*outcomes)
    control.comes[-1] = control.key
    assert (await control.seeking.verify(control.token())).issuer == _REMOTE
    assert control.asked == ["idp"] * len(outcomes)


@pytest.mark.parametrize("outcomes", [[_DONE], [_LATE, _DONE], [_LATE, _LATE]])
async def test_a_key_that_is_not_published_is_unknown(outcomes: list[KeysOutcome]) -> None:
    control = Control(*outcomes)
    with pytest.raises(KeyUnpublished):
        await control.seeking.verify(control.token())
    assert control.outcomes == []


async def test_an_issuer_out_of_reach_leaves_it_open() -> None:
    control = Control(KeysOutcome(reached=False, useless_s=3.2))
    with pytest.raises(IssuerUnavailable) as caught:
        await control.seeking.verify(control.token())
    assert caught.value.retry_after_s == 4


async def test_what_is_wrong_for_another_reason_asks_nobody() -> None:
    control = Control()
    control.held.append(control.key)
    with pytest.raises(TokenExpired):
        await control.seeking.verify(control.token(iat=NOW_S - 600, exp=NOW_S - 300))
    assert control.asked == []
