"""Tokens of a real OpenID Connect provider, npm's `oidc-provider`: keys by discovery, rotations, outages."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.testing.running import Gateway, running_gateway, until
from tests.integration.exchanges import Answer, Caller, record_of
from tests.peers.oidc_provider import APP, INSTALLED, RS256_SERVICE, SERVICE, OidcProvider, running_provider

pytestmark = pytest.mark.skipif(
    not INSTALLED.exists(), reason="NOT COVERED, a real OpenID Connect provider: npm could not install it (make setup)"
)

COOLDOWN_S: Final = 1
CONFIGURATION: Final = """\
[[issuers]]
name = "people"
issuer = "{issuer}"
algorithms = ["ES256", "RS256"]
refresh = "10m"
cooldown = "1s"
fetches_per_minute = 600
timeout = "1s"
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """One provider for all tests here; each leaves it alive."""
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def trusting(provider: OidcProvider) -> Iterator[Gateway]:
    """A gateway that trusts it."""
    with running_gateway(CONFIGURATION.format(issuer=provider.issuer)) as running:
        yield running


@pytest.fixture
def ask(trusting: Gateway) -> Iterator[Callable[..., Answer]]:
    """A chat completion, or another request, with a token."""
    caller = Caller(trusting)

    def send(token: str, path: str = "", **headers: str) -> Answer:
        if path:
            return caller("GET", path, token=token.encode(), headers=headers)
        body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
        return caller("POST", "/v1/chat/completions", body, token=token.encode(), headers=headers)

    yield send
    caller.close()


def cool_down() -> None:
    """Let the time pass in which no further fetch is allowed."""
    over_s = time.monotonic() + 1.05 * COOLDOWN_S
    until(lambda: time.monotonic() >= over_s, "the cooldown is over")


@pytest.mark.parametrize("client", [SERVICE, RS256_SERVICE])
def test_a_token_of_a_service_is_taken_for_what_it_says(
    client: str, provider: OidcProvider, trusting: Gateway, ask: Callable[..., Answer]
) -> None:
    token = provider.token(trusting.url, "models chat.completions", client=client)
    assert ask(token, **{"X-Request-Id": f"good-{client}"}).status == 200
    record = record_of(trusting, f"good-{client}")
    # A client that speaks for itself is its own subject (RFC 9068 s2.2).
    assert (record["issuer"], record["subject"], record["client_id"]) == (provider.issuer, client, client)
    narrow = provider.token(trusting.url, "models", client=client)
    assert ask(narrow, "/v1/models").status == 200
    assert (ask(narrow).status, ask(narrow).code) == (403, Code.INSUFFICIENT_SCOPE)


def test_somebody_who_logged_in_to_an_app_is_the_subject_and_the_app_the_client(
    provider: OidcProvider, trusting: Gateway, ask: Callable[..., Answer]
) -> None:
    logged_in = provider.log_in("alice", trusting.url)
    assert ask(logged_in.access_token, **{"X-Request-Id": "alice"}).status == 200
    record = record_of(trusting, "alice")
    assert (record["issuer"], record["subject"], record["client_id"]) == (provider.issuer, "alice", APP)


def test_what_the_provider_gives_for_others_is_refused_with_the_reason(
    provider: OidcProvider, trusting: Gateway, ask: Callable[..., Answer]
) -> None:
    refused = {
        "an ID token": (provider.log_in("alice", trusting.url).id_token, Code.CLAIM_REFUSED, "typ"),
        "of another resource": (provider.token("https://other.example"), Code.CLAIM_REFUSED, "aud"),
        "an opaque token": (provider.token(""), Code.TOKEN_MALFORMED, ""),
    }
    for name, (token, code, claim) in refused.items():
        answer = ask(token, **{"X-Request-Id": name.replace(" ", "-")})
        assert (answer.status, answer.code) == (401, code), name
        told = record_of(trusting, name.replace(" ", "-"))["refused"]
        assert told.get("claim", "") == claim, name


def test_the_first_token_of_a_new_key_goes_through_and_those_of_a_dropped_key_do_not(
    provider: OidcProvider, trusting: Gateway, ask: Callable[..., Answer]
) -> None:
    old = provider.token(trusting.url)
    assert ask(old).status == 200
    cool_down()
    fetched = provider.requests().jwks
    provider.rotate(keep=1)
    assert ask(provider.token(trusting.url)).status == 200
    assert provider.requests().jwks == fetched + 1
    assert ask(old).status == 200
    cool_down()
    provider.rotate(keep=0)
    assert ask(provider.token(trusting.url)).status == 200
    assert (ask(old).status, ask(old).code) == (401, Code.KEY_UNKNOWN)


def test_tokens_whose_key_is_known_outlive_the_provider(
    provider: OidcProvider, trusting: Gateway, ask: Callable[..., Answer]
) -> None:
    known = provider.token(trusting.url)
    assert ask(known).status == 200
    cool_down()
    provider.rotate(keep=1)
    unseen = provider.token(trusting.url)
    provider.kill()
    assert ask(known).status == 200
    # Whether the unknown key is a good one cannot be known now.
    answer = ask(unseen)
    assert (answer.status, answer.code) == (503, Code.ISSUER_UNAVAILABLE)
    assert int(answer.all("retry-after")[0]) >= 1
    assert ask(known).status == 200
    assert ask("", "/health/ready").status == 200
    (standing,) = trusting.status()["issuer_keys"]
    assert (standing["issuer"], bool(standing["kids"]), bool(standing["fault"])) == ("people", True, True)
    provider.start()
    cool_down()
    assert ask(unseen).status == 200
    (standing,) = trusting.status()["issuer_keys"]
    assert standing["fault"] == ""


def test_a_gateway_that_starts_without_the_provider_serves_its_own_and_takes_up_the_provider_when_it_comes(
    provider: OidcProvider, start_gateway: Callable[..., Gateway], call: Callable[..., Caller]
) -> None:
    provider.kill()
    gateway = start_gateway(CONFIGURATION.format(issuer=provider.issuer))
    caller = call(gateway, gateway.token())
    assert caller.chat().status == 200
    provider.start()
    token = provider.token(gateway.url).encode()
    answers: list[Answer] = []

    def taken() -> bool:
        answers.append(caller("GET", "/v1/models", token=token))
        return answers[-1].status == 200

    until(taken, "the provider's tokens are taken", 15.0)
    refused = {(answer.status, answer.code) for answer in answers[:-1]}
    assert refused <= {(503, Code.ISSUER_UNAVAILABLE)}
