"""Logouts of a real OpenID Connect provider, npm's `oidc-provider`, whose forms a script fills in: what they end."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, NamedTuple
from urllib.parse import urlencode

import pytest

from jotgate.core.grants import ACCESS_TOKEN_URN
from jotgate.errors import Code
from jotgate.testing.running import Gateway, run_command, until
from jotgate.testing.upstream import UpstreamServer
from tests.integration.exchanges import Caller, configuration, records
from tests.integration.streams import Stream, endless
from tests.integration.test_revocation import codes
from tests.peers.oidc_provider import APP, DESK, INSTALLED, Browser, OidcProvider, running_provider

pytestmark = pytest.mark.skipif(
    not INSTALLED.exists(), reason="NOT COVERED, a real OpenID Connect provider: npm could not install it (make setup)"
)

_BOUND_S: Final = 1.0
_CUT_S: Final = 1.5
_FORM: Final = "application/x-www-form-urlencoded"
_KEY: Final = {"SCRIPTED_KEY": "k"}
_ISSUERS: Final = """\
[server]
workers = 2

[[issuers]]
name = "people"
issuer = "{issuer}"
algorithms = ["ES256", "RS256"]
leeway = "1s"
logout_audiences = ["app", "desk"]

"""

Start = Callable[..., Gateway]
Call = Callable[..., Caller]


class Session(NamedTuple):
    """Somebody who has logged in: where, and the access token for the gateway."""

    browser: Browser
    token: str


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """One provider for all tests here."""
    with running_provider() as running:
        yield running


@pytest.fixture
def gateway(provider: OidcProvider, start_gateway: Start, upstream: UpstreamServer) -> Gateway:
    """Two workers that trust the provider, which tells them of logouts, before an upstream whose streams do not end."""
    upstream.default = endless()
    running = start_gateway(configuration(upstream, _ISSUERS.format(issuer=provider.issuer)), environment=_KEY)
    provider.tell(f"{running.url}/oauth/backchannel-logout")
    return running


@pytest.fixture
def log_in(provider: OidcProvider, gateway: Gateway) -> Callable[..., Session]:
    """Log somebody in to a client of the provider, in a browser of their own."""

    def go(subject: str, client: str = APP) -> Session:
        browser = Browser()
        return Session(browser, provider.log_in(subject, gateway.url, client=client, browser=browser).access_token)

    return go


def refused(gateway: Gateway, token: str) -> bool:
    """Whether every worker refuses a token as revoked."""
    return codes(gateway, token) == {Code.TOKEN_REVOKED}


def child_of(caller: Caller, token: str) -> str:
    """What a token is traded for (RFC 8693)."""
    form = {
        "client_id": "narrow",
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN_URN,
    }
    answer = caller("POST", "/oauth/token", urlencode(form).encode(), headers={"Content-Type": _FORM})
    assert answer.status == 200, answer.body
    return str(answer.json["access_token"])


def test_who_logs_out_at_the_provider_is_out_here_with_all_that_came_of_it(
    provider: OidcProvider, gateway: Gateway, log_in: Callable[..., Session], call: Call
) -> None:
    for words in (
        ("client", "create", "narrow", "--grant", "token_exchange", "--auth", "none", "--scope", "ai"),
        ("principal", "create", "people/alice", "--scope", "ai"),
    ):
        assert run_command(*words, data=gateway.data).returncode == 0
    alice, bob = log_in("alice"), log_in("bob")
    child = child_of(call(gateway), alice.token)
    assert [codes(gateway, one) for one in (alice.token, bob.token, child)] == [{""}, {""}, {""}]
    with closing(Stream(gateway, alice.token)) as stream, closing(Stream(gateway, child)) as other:
        begun_s = time.monotonic()
        provider.log_out(alice.browser)
        for one in (stream, other):
            error, ended_s = one.read_end()
            assert (error["code"], ended_s - begun_s < _CUT_S) == (Code.TOKEN_REVOKED, True)
    for token in (alice.token, child):
        until(lambda token=token: refused(gateway, token), "every worker refuses it", _BOUND_S)  # type: ignore[misc]
    assert codes(gateway, bob.token) == {""}
    told = [one for one in records(gateway, "event") if one["event"] == "tokens.revoked"]
    assert [(one["actor"], one["details"]["kind"], one["details"]["name"]) for one in told] == [
        ("people", "subject", "alice")
    ]
    until(lambda: codes(gateway, log_in("alice").token) == {""}, "who logs in again is let in", 10.0)


def test_a_session_ends_alone(provider: OidcProvider, gateway: Gateway, log_in: Callable[..., Session]) -> None:
    here, there = log_in("carol", DESK), log_in("carol", DESK)
    assert [codes(gateway, one.token) for one in (here, there)] == [{""}, {""}]
    provider.log_out(here.browser)
    until(lambda: refused(gateway, here.token), "every worker refuses it", _BOUND_S)
    assert codes(gateway, there.token) == {""}
    provider.log_out(there.browser)
    until(lambda: refused(gateway, there.token), "every worker refuses it", _BOUND_S)


def test_what_the_provider_did_not_mean_as_a_logout_ends_nothing(
    provider: OidcProvider, gateway: Gateway, log_in: Callable[..., Session], call: Call
) -> None:
    dave = log_in("dave")
    got = provider.log_in("dave", gateway.url)
    caller = call(gateway)
    for token in (got.id_token, got.access_token, dave.token[:-1], ""):
        form = urlencode({"logout_token": token}).encode()
        answer = caller("POST", "/oauth/backchannel-logout", form, headers={"Content-Type": _FORM})
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")
        assert answer.all("cache-control") == ["no-store"]
    assert codes(gateway, dave.token) == {""}
