"""A CI job without a secret of its own: the OIDC token that its CI system gives it is traded for one of jotgate.

The CI system is npm's `oidc-provider`; the job is a principal with rights, and its client proves nothing or a secret.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from jotgate.errors import Code
from jotgate.jose import jwt
from jotgate.testing.running import Gateway, run_command, running_gateway, until
from tests.integration.exchanges import Answer, Caller, record_of, records
from tests.peers.oidc_provider import INSTALLED, JOB, OidcProvider, running_provider

pytestmark = pytest.mark.skipif(
    not INSTALLED.exists(), reason="NOT COVERED, a real OpenID Connect provider: npm could not install it (make setup)"
)

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"
PRINCIPAL: Final = f"ci/{JOB}"
CONFIGURATION: Final = """\
[[issuers]]
name = "ci"
issuer = "{issuer}"
types = ["JWT"]
required = ["aud", "exp", "iat", "iss", "jti", "sub"]
cooldown = "1s"
timeout = "1s"
[limits]
failed_attempts = 0  # Jobs are refused here for as long as it takes, and quick machines try often.
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: OidcProvider) -> Iterator[Gateway]:
    """A gateway that trusts the CI system, and knows the job and two clients of it."""
    with running_gateway(CONFIGURATION.format(issuer=provider.issuer)) as running:
        order(running, "principal", "create", PRINCIPAL, "--scope", "chat.completions", "--model", "echo")
        order(running, "client", "create", "runner", "--grant", "jwt_bearer", "--auth", "none", "--scope", "ai")
        yield running


@pytest.fixture
def caller(gateway: Gateway) -> Iterator[Caller]:
    found = Caller(gateway)
    yield found
    found.close()


def order(gateway: Gateway, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = run_command(*arguments, "--json", data=gateway.data)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(caller: Caller, headers: dict[str, str] | None = None, /, **form: str) -> Answer:
    """Ask for a token."""
    fields = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return caller("POST", "/oauth/token", urlencode(form).encode(), headers=fields)


def complete(caller: Caller, answer: Answer, request_id: str) -> Answer:
    """Use a token that was handed out for a completion."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    token = answer.json["access_token"].encode()
    return caller("POST", "/v1/chat/completions", body, token=token, headers={"X-Request-Id": request_id})


def test_a_job_trades_its_token_as_an_assertion_and_completes(
    provider: OidcProvider, gateway: Gateway, caller: Caller
) -> None:
    job = provider.job_token(gateway.url)
    # It proves who the job is, and opens nothing by itself.
    assert (caller("GET", "/v1/models", token=job.encode()).code) == Code.INSUFFICIENT_SCOPE
    answer = ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=job)
    assert answer.status == 200, answer.body
    assert answer.all("cache-control") == ["no-store"]
    assert (answer.json["token_type"], answer.json["scope"]) == ("Bearer", "chat.completions")
    completed = complete(caller, answer, "ci-assertion")
    assert completed.status == 200
    assert "hello" in str(completed.json)
    record = record_of(gateway, "ci-assertion")
    assert (record["subject"], record["client_id"], record["issuer"]) == (PRINCIPAL, "runner", gateway.url)
    again = ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=job)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert again.json["code"] == Code.GRANT_REFUSED
    assert job not in (gateway.data.with_name("data.stderr")).read_text()


def test_a_job_trades_its_token_by_token_exchange_and_completes(
    provider: OidcProvider, gateway: Gateway, caller: Caller
) -> None:
    made = order(gateway, "client", "create", "trader", "--grant", "token_exchange", "--scope", "ai")
    basic = b64encode(f"{made['client_id']}:{made['client_secret']}".encode()).decode()
    proof = {"Authorization": f"Basic {basic}"}
    job = provider.job_token(gateway.url)
    answer = ask(caller, proof, grant_type=EXCHANGE, subject_token=job, subject_token_type=JWT_TYPE)
    assert answer.status == 200, answer.body
    assert answer.json["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert complete(caller, answer, "ci-exchange").status == 200
    record = record_of(gateway, "ci-exchange")
    assert (record["subject"], record["client_id"]) == (PRINCIPAL, "trader")
    # A child of that token, for one thing less.
    parent = answer.json["access_token"]
    kind = answer.json["issued_token_type"]
    wider = ask(caller, proof, grant_type=EXCHANGE, subject_token=parent, subject_token_type=kind, scope="ai")
    assert (wider.status, wider.json["error"]) == (400, "invalid_scope")
    child = ask(caller, proof, grant_type=EXCHANGE, subject_token=parent, subject_token_type=kind)
    assert child.status == 200
    claims = jwt.peek_unverified(child.json["access_token"].encode())[1]
    assert len(claims["ancestors"]) == 2  # type: ignore[arg-type]  # JSON
    # Who holds the parent gives it back: the child is refused everywhere within a second.
    given_back = caller(
        "POST",
        "/oauth/revoke",
        urlencode({"token": parent}).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded", **proof},
    )
    assert given_back.status == 200
    until(lambda: complete(caller, child, "ci-late").status == 401, "the child ends with its parent", 5.0)
    assert complete(caller, child, "ci-late").code == Code.TOKEN_REVOKED
    refused = ask(caller, proof, grant_type=EXCHANGE, subject_token=parent, subject_token_type=kind)
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    assert refused.json["code"] == Code.SUBJECT_TOKEN_REFUSED


def test_a_job_that_may_have_no_tokens_any_more_gets_none(
    provider: OidcProvider, gateway: Gateway, caller: Caller
) -> None:
    order(gateway, "principal", "disable", PRINCIPAL, "--yes")
    answer = ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=provider.job_token(gateway.url))
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    order(gateway, "principal", "enable", PRINCIPAL)

    def granted() -> bool:
        """Once what is issued, by the provider too, is behind the leeway of what was ended with the principal."""
        answer = ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=provider.job_token(gateway.url))
        assert answer.status == 200 or answer.json["code"] in (Code.ISSUANCE_HELD, Code.GRANT_REFUSED)
        return answer.status == 200

    until(granted, "the job has its token again", 20.0)


def test_a_key_that_cannot_be_had_is_no_reason_to_refuse_a_job(
    provider: OidcProvider, gateway: Gateway, caller: Caller
) -> None:
    provider.rotate(keep=0)
    job = provider.job_token(gateway.url)
    provider.kill()
    answer = ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=job)
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert int(answer.all("retry-after")[0]) >= 1
    provider.start()

    def granted() -> bool:
        return ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=job).status == 200

    until(granted, "the same assertion is taken, for it was not used up", 15.0)


def test_what_was_presented_is_in_the_audit_log(provider: OidcProvider, gateway: Gateway, caller: Caller) -> None:
    job = provider.job_token(gateway.url)
    assert ask(caller, grant_type=JWT_BEARER, client_id="runner", assertion=job).status == 200
    jti = jwt.peek_unverified(job.encode())[1]["jti"]
    presented = [event for event in records(gateway, "event") if event["event"] == "token.presented"]
    found = [event for event in presented if event["details"] == {"issuer": provider.issuer, "jti": jti}]
    assert [(event["actor"], event["subject"]) for event in found] == [("runner", PRINCIPAL)]
