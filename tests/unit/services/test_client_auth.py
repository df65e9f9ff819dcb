"""Clients are who they prove to be; what a proof is compared with does not depend on whether there is such a client."""

import asyncio
import dis
import hmac

import pytest

from jotgate.core.accounts import SecretDigest, TenantRecord
from jotgate.core.oauth_form import Form
from jotgate.core.opaque import opaque_digest
from jotgate.core.senders import Sender
from jotgate.errors import AuditUnavailable, ClientRefused
from jotgate.services import client_auth
from jotgate.services.accounts import KnownClient
from tests.callers import NOW_S
from tests.token_stage import SECRET, TokenStage, asserting, assertion, basic, client, key_client

NEWER = "jot_s_" + "B" * 43


@pytest.fixture
def stage() -> TokenStage:
    return TokenStage()


def authenticate(stage: TokenStage, name: str = "ci", secret: str = SECRET) -> KnownClient:
    return asyncio.run(stage.clients.authenticate(Form({}), Sender("192.0.2.1", (basic(name, secret),))))


def digests(*secrets: tuple[str, int | None]) -> tuple[SecretDigest, ...]:
    return tuple(SecretDigest(opaque_digest(text), int(NOW_S), ends_at_s) for text, ends_at_s in secrets)


def refused(stage: TokenStage, name: str = "ci", secret: str = SECRET) -> str:
    with pytest.raises(ClientRefused) as caught:
        authenticate(stage, name, secret)
    return caught.value.message


def test_a_client_is_known_with_what_it_may_do(stage: TokenStage) -> None:
    stage.put(client(scopes=("ai", "metrics"), models=("a",)))
    found = authenticate(stage)
    assert (found.record.name, found.rights.scopes, found.rights.models) == (
        "ci",
        frozenset({"ai", "metrics"}),
        frozenset({"a"}),
    )


def test_two_secrets_count_while_one_takes_the_place_of_the_other(stage: TokenStage) -> None:
    stage.put(client(secrets=digests((SECRET, int(NOW_S) + 60), (NEWER, None))))
    assert authenticate(stage, secret=SECRET) == authenticate(stage, secret=NEWER)
    stage.clock.advance(60)
    refused(stage, secret=SECRET)
    authenticate(stage, secret=NEWER)


def test_no_more_than_the_two_newest_count(stage: TokenStage) -> None:
    stage.put(client(secrets=digests((SECRET, None), (NEWER, None), ("third", None))))
    refused(stage, secret=SECRET)
    authenticate(stage, secret=NEWER)
    authenticate(stage, secret="third")


def test_every_refusal_of_a_secret_says_the_same(stage: TokenStage) -> None:
    """Whether there is the client, is disabled, has no secret, or another: nobody learns which clients there are."""
    stage.put(client())
    stage.put(client("off", enabled=False))
    stage.put(client("bare", secrets=()))
    stage.put(client("lost", tenant="gone"))
    stage.put(TenantRecord(name="shut", enabled=False))
    stage.put(client("shut-in", tenant="shut"))
    stage.put(key_client())
    said = {refused(stage, secret="wrong"), refused(stage, secret="")}
    said |= {refused(stage, name) for name in ("nobody", "off", "bare", "lost", "shut-in", "robot")}
    assert len(said) == 1


def test_secrets_are_compared_as_digests_and_whole() -> None:
    code = list(dis.get_instructions(client_auth._is_secret))
    assert vars(client_auth)["compare_digest"] is hmac.compare_digest
    compared = [step.argval for step in code if step.opname == "COMPARE_OP"]
    assert compared == ["<"], "only times are compared otherwise"
    assert not [step for step in code if step.opname == "RETURN_VALUE"][1:], "there is no way out before the last"


def test_an_unknown_client_costs_the_same_comparisons(stage: TokenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.put(client(secrets=digests((SECRET, None), (NEWER, None))))
    compared = []

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(client_auth, "compare_digest", counted)
    refused(stage, secret="wrong")
    known, compared[:] = len(compared), []
    refused(stage, "nobody", secret="wrong")
    assert (known, len(compared)) == (2, 2)
    assert not client_auth._is_secret(SECRET, client_auth._NOBODY, NOW_S)


def test_a_refusal_that_cannot_be_recorded_is_told_as_such(stage: TokenStage) -> None:
    stage.put(client())
    stage.log.full = True
    with pytest.raises(AuditUnavailable):
        authenticate(stage, secret="wrong")


def test_an_assertion_is_marked_last_so_that_a_wrong_one_stops_no_right_one(stage: TokenStage) -> None:
    stage.put(key_client())
    form = {name: (value,) for name, value in asserting(assertion(jti="a", aud="https://other.example")).items()}
    with pytest.raises(ClientRefused):
        asyncio.run(stage.clients.authenticate(Form(form), Sender("192.0.2.1")))
    good = {name: (value,) for name, value in asserting(assertion(jti="a")).items()}
    assert asyncio.run(stage.clients.authenticate(Form(good), Sender("192.0.2.1"))).record.name == "robot"
