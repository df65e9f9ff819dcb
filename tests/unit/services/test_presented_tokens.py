"""What the audit log says of a token that was presented in vain: which it is where that is verified, and why."""

import pytest

from jotgate.core.accounts import PrincipalRecord
from jotgate.errors import OAuthRefused
from tests.callers import NAME
from tests.trading import CI, JOB, TradingFloor


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def told(floor: TradingFloor) -> dict[str, str | int]:
    """What the last refusal says of a token."""
    details = floor.log.named("token.refused")[-1].details
    return {name: details[name] for name in ("issuer", "jti", "subject", "reason") if name in details}


def test_a_verified_token_is_named_with_the_reason(floor: TradingFloor) -> None:
    made = floor.made(scopes=("models",))
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(made.token, scope="embeddings")
    assert told(floor) == {
        "issuer": NAME, "jti": made.token_id, "subject": "alice", "reason": caught.value.message,
    }  # fmt: skip
    floor.drop(PrincipalRecord, f"ci/{JOB}")
    with pytest.raises(OAuthRefused):
        floor.present(floor.job(jti="j-1"))
    assert (told(floor)["issuer"], told(floor)["jti"], told(floor)["subject"]) == (CI, "j-1", f"ci/{JOB}")


def test_of_a_token_that_is_not_verified_stands_why_alone(floor: TradingFloor) -> None:
    made = floor.made()
    floor.clock.advance(4_000)
    with pytest.raises(OAuthRefused):
        floor.trade(made.token)
    assert told(floor) == {"reason": "token_expired"}
    with pytest.raises(OAuthRefused):
        floor.present(floor.job(aud="https://other.example"))
    assert told(floor) == {"reason": "claim_refused"}
