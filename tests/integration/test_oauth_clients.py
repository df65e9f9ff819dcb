"""OAuth clients that others wrote, npm's oauth4webapi and PyPI's Authlib, go through every grant of a jotgate."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

from jotgate.jose.keys import KeySet, SigningKey, generate, signing_key_to_pem
from jotgate.testing.issuer_server import IssuerServer, issuer_in_thread
from jotgate.testing.running import Gateway, run_command, running_gateway
from tests.integration.exchanges import Answer, Caller, chat_body
from tests.peers.oidc_provider import FOLDER, node

LIBRARY: Final = FOLDER / "node_modules" / "oauth4webapi"

GRANTS: Final = ("client_credentials", "refresh_token", "token_exchange", "jwt_bearer")
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
WORKLOAD: Final = "job"
CONFIGURATION: Final = """\
[[issuers]]
name = "ci"
issuer = "{issuer}"
types = ["at+jwt", "JWT"]
"""


class Client:
    """A client of the gateway: its name, how it authenticates, and its secret or key."""

    def __init__(self, gateway: Gateway, method: str) -> None:
        self.name = f"client-{method}"
        self.method = method
        self.key: SigningKey = generate("ES256")
        options = [part for grant in GRANTS for part in ("--grant", grant)] + ["--scope", "ai", "--auth", method]
        if method == "private_key_jwt":
            public = gateway.data.with_name("client.jwks")
            public.write_bytes(KeySet([self.key.verification_key]).to_jwks())
            options += ["--jwks", str(public)]
        made = run_command("client", "create", self.name, *options, "--json", data=gateway.data)
        assert made.returncode == 0, made.stderr
        self.secret = str(json.loads(made.stdout).get("client_secret") or "")

    def pem(self) -> bytes:
        """Its private key."""
        return signing_key_to_pem(self.key)


@pytest.fixture(scope="module")
def ci() -> Iterator[IssuerServer]:
    """Somebody else's issuer."""
    with issuer_in_thread() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def gateway(ci: IssuerServer) -> Iterator[Gateway]:
    """A gateway that trusts it, and knows one of its subjects."""
    with running_gateway(CONFIGURATION.format(issuer=ci.issuer)) as running:
        made = run_command("principal", "create", f"ci/{WORKLOAD}", "--scope", "ai", data=running.data)
        assert made.returncode == 0, made.stderr
        yield running


@pytest.fixture(scope="module")
def clients(gateway: Gateway) -> dict[str, Client]:
    """A client for each way to authenticate."""
    return {method: Client(gateway, method) for method in METHODS}


def assertion(ci: IssuerServer, gateway: Gateway) -> str:
    """What the other issuer says of its subject to the gateway's token service."""
    return ci.mint(gateway.url, sub=WORKLOAD)


def complete(gateway: Gateway, token: str) -> Answer:
    """A completion."""
    caller = Caller(gateway, token)
    try:
        return caller.chat()
    finally:
        caller.close()


# npm's oauth4webapi


def tell(gateway: Gateway, client: Client, steps: list[dict[str, Any]]) -> Any:
    """What the library gets from each step."""
    jwk = ECKey.import_key(client.pem()).as_dict(private=True, kid=client.key.kid)
    story = {
        "issuer": gateway.url,
        "client": {"id": client.name, "method": client.method, "secret": client.secret, "key": jwk},
        "steps": steps,
    }
    done = subprocess.run(
        [node(), FOLDER / "client.mjs"],
        input=json.dumps(story),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def step(name: str, do: str, /, **given: object) -> dict[str, Any]:
    return {"name": name, "do": do, "with": given}


@pytest.mark.skipif(not LIBRARY.exists(), reason="NOT COVERED, oauth4webapi: npm could not install it (make setup)")
@pytest.mark.parametrize("method", METHODS)
def test_oauth4webapi_goes_through_every_grant(
    gateway: Gateway, ci: IssuerServer, clients: dict[str, Client], method: str
) -> None:
    bearer = {"assertion": assertion(ci, gateway), "scope": "ai offline_access"}
    exchange = {"subject_token": "$own.access_token", "subject_token_type": ACCESS_TOKEN, "scope": "models"}
    told = tell(
        gateway,
        clients[method],
        [
            step("own", "client_credentials", parameters={"scope": "ai", "resource": gateway.url}),
            step("said", "verify", token="$own.access_token", audience=gateway.url),
            step("active", "introspect", token="$own.access_token"),
            step("child", "grant", type=EXCHANGE, parameters=exchange),
            step("job", "grant", type=JWT_BEARER, parameters=bearer),
            step("next", "refresh", token="$job.refresh_token"),
            step("again", "refresh", token="$next.refresh_token"),
            step("returned", "revoke", token="$again.refresh_token"),
            step("ended", "refresh", token="$again.refresh_token"),
            step("wide", "client_credentials", parameters={"scope": "admin:*"}),
            step("gone", "revoke", token="$own.access_token"),
            step("inactive", "introspect", token="$own.access_token"),
        ],
    )
    given = told["given"]
    name = clients[method].name
    assert (given["own"]["token_type"].lower(), given["own"]["scope"]) == ("bearer", "ai")
    assert (given["said"]["sub"], given["said"]["client_id"]) == (name, name)
    assert given["active"]["active"] is True
    assert (given["child"]["scope"], given["child"]["issued_token_type"]) == ("models", ACCESS_TOKEN)
    assert len({given[one]["refresh_token"] for one in ("job", "next", "again")}) == 3
    assert complete(gateway, given["again"]["access_token"]).status == 401, "its family was ended"
    assert given["ended"] == {"refused": "invalid_grant", "status": 400}
    assert given["wide"] == {"refused": "invalid_scope", "status": 400}
    assert given["inactive"] == {"active": False}
    assert complete(gateway, given["child"]["access_token"]).status == 401, "its parent was given back"
    assert told["metadata"]["issuer"] == told["openid"]["issuer"] == told["resource"]["resource"] == gateway.url


@pytest.mark.skipif(not LIBRARY.exists(), reason="NOT COVERED, oauth4webapi: npm could not install it (make setup)")
@pytest.mark.parametrize("nonce", ["off", "required"])
def test_oauth4webapi_gets_bound_tokens_and_makes_calls_with_them(ci: IssuerServer, nonce: str) -> None:
    """DPoP (RFC 9449): its proofs, its nonces, its nonce errors; jotgate's own code has no part in the client."""
    settings = CONFIGURATION.format(issuer=ci.issuer) + f'[dpop]\nnonce = "{nonce}"\n'
    with running_gateway(settings, "--workers", "2") as gateway:
        made = run_command("principal", "create", f"ci/{WORKLOAD}", "--scope", "ai", data=gateway.data)
        assert made.returncode == 0, made.stderr
        client = Client(gateway, "client_secret_basic")
        chat = {"url": f"{gateway.url}/v1/chat/completions", "body": json.dumps(chat_body())}
        child = {"subject_token": "$own.access_token", "subject_token_type": ACCESS_TOKEN, "scope": "chat.completions"}
        said = {"assertion": assertion(ci, gateway), "scope": "ai offline_access"}
        told = tell(
            gateway,
            client,
            [
                step("own", "bound", parameters={"scope": "ai"}),
                step("first", "call", token="$own.access_token", **chat),
                step("second", "call", token="$own.access_token", **chat),
                step("active", "introspect", token="$own.access_token"),
                step("child", "bound_grant", type=EXCHANGE, parameters=child),
                step("third", "call", token="$child.access_token", **chat),
                step("job", "bound_grant", type=JWT_BEARER, parameters=said),
                step("next", "bound_refresh", token="$job.refresh_token"),
                step("fourth", "call", token="$next.access_token", **chat),
            ],
        )
        given = told["given"]
        assert [given[one]["token_type"].lower() for one in ("own", "child", "job", "next")] == ["dpop"] * 4
        assert [given[one].get("status") for one in ("first", "second", "third", "fourth")] == [200] * 4, given
        assert (given["active"]["token_type"], list(given["active"]["cnf"])) == ("DPoP", ["jkt"])
        answer = complete(gateway, given["own"]["access_token"])
        assert (answer.status, answer.code) == (401, "token_bound"), "it is no bearer token"


# PyPI's Authlib


def session(gateway: Gateway, client: Client, audience: str | None = None) -> OAuth2Session:
    """A session of the library; `audience` is that of its assertions, which without one is the endpoint's URL."""
    methods = {"token_endpoint_auth_method": client.method, "revocation_endpoint_auth_method": client.method}
    if client.method != "private_key_jwt":
        return OAuth2Session(client.name, client.secret, **methods)
    key = ECKey.import_key(client.pem(), {"kid": client.key.kid})
    found = OAuth2Session(client.name, key, **methods)
    found.register_client_auth_method(PrivateKeyJWT(audience, alg="ES256"))
    return found


@pytest.mark.parametrize("method", METHODS)
def test_authlib_goes_through_every_grant(
    gateway: Gateway, ci: IssuerServer, clients: dict[str, Client], method: str
) -> None:
    endpoint = f"{gateway.url}/oauth/token"
    with session(gateway, clients[method], gateway.url) as asking:
        own = asking.fetch_token(endpoint, grant_type="client_credentials", scope="ai")
        assert complete(gateway, own["access_token"]).status == 200

        subject = {"subject_token": own["access_token"], "subject_token_type": ACCESS_TOKEN}
        child = asking.fetch_token(endpoint, grant_type=EXCHANGE, scope="chat.completions", **subject)
        assert (child["scope"], child["issued_token_type"]) == ("chat.completions", ACCESS_TOKEN)

        said = assertion(ci, gateway)
        job = asking.fetch_token(endpoint, grant_type=JWT_BEARER, assertion=said, scope="ai offline_access")
        following = asking.refresh_token(endpoint, refresh_token=job["refresh_token"])
        assert following["refresh_token"] != job["refresh_token"]
        assert complete(gateway, following["access_token"]).status == 200

        found = asking.introspect_token(f"{gateway.url}/oauth/introspect", token=own["access_token"])
        assert found.json()["active"] is True
        returned = asking.revoke_token(f"{gateway.url}/oauth/revoke", token=own["access_token"])
        assert returned.status_code == 200, returned.text
        found = asking.introspect_token(f"{gateway.url}/oauth/introspect", token=own["access_token"])
        assert found.json() == {"active": False}


def test_the_assertion_that_authlib_makes_by_itself_is_refused(gateway: Gateway, clients: dict[str, Client]) -> None:
    """CA-02: its audience is the URL of the token endpoint, and must be the issuer's name alone."""
    with (
        session(gateway, clients["private_key_jwt"]) as asking,
        pytest.raises(OAuthError, match=r"invalid_client.*another audience"),
    ):
        asking.fetch_token(f"{gateway.url}/oauth/token", grant_type="client_credentials", scope="ai")


def test_the_metadata_names_what_the_libraries_used(gateway: Gateway) -> None:
    caller = Caller(gateway)
    found = caller("GET", "/.well-known/oauth-authorization-server").json
    caller.close()
    assert set(METHODS) <= set(found["token_endpoint_auth_methods_supported"])
    assert {EXCHANGE, JWT_BEARER, "client_credentials", "refresh_token"} == set(found["grant_types_supported"])
