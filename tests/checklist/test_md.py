"""Rows MD-01 to MD-08 and PR-01 to PR-07 of the token checklist (RFC 8414, RFC 9728): what jotgate says of itself.

MD-05 is of PKCE and MD-09 of authorization responses, which come with the authorization endpoint; of PR-04, what binds
tokens to keys comes with step 5.
"""

import json
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from jotgate.core.client_proofs import ASSERTION_ALGORITHMS
from jotgate.core.grants import GRANT_TYPES
from jotgate.core.metadata import documents
from jotgate.core.problems import render
from jotgate.core.resources import admin_resource
from jotgate.core.well_known import well_known_url
from jotgate.errors import CredentialsAmbiguous, InsufficientScope, TokenExpired, TokenMissing
from tests.callers import NAME
from tests.checklist.gates import Gate, models, parameters
from tests.token_stage import TokenStage, client

SERVER: Final = "/.well-known/oauth-authorization-server"
RESOURCE: Final = "/.well-known/oauth-protected-resource"
EVERY: Final = tuple(GRANT_TYPES.values())


@pytest.fixture
def stage() -> TokenStage:
    return TokenStage()


def read(stage: TokenStage, path: str, **fields: str) -> Any:
    answer = stage.http.get(path, headers=fields)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


def test_MD_01_the_issuer_is_the_one_that_the_url_was_made_of(stage: TokenStage) -> None:
    told = read(stage, SERVER)
    assert told["issuer"] == NAME
    assert well_known_url(told["issuer"], "oauth-authorization-server") == NAME + SERVER
    assert urlsplit(told["issuer"])[3:] == ("", "")


def test_MD_02_the_well_known_part_stands_between_host_and_path() -> None:
    assert {NAME + path for path in documents(NAME, EVERY, certificates=True)} == {
        NAME + SERVER,
        NAME + "/.well-known/openid-configuration",
        NAME + RESOURCE,
        NAME + RESOURCE + "/admin/api",
    }
    tenant = NAME + "/tenant1"
    assert well_known_url(tenant, "oauth-authorization-server") == f"{NAME}{SERVER}/tenant1"
    assert SERVER + "/tenant1" in documents(tenant, EVERY, certificates=True)
    assert RESOURCE + "/tenant1/admin/api" in documents(tenant, EVERY, certificates=True)


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_MD_03_it_is_json_for_everybody_and_may_be_kept_for_a_while(stage: TokenStage, name: str) -> None:
    answer = stage.http.get(f"/.well-known/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    empty = {member for member, value in answer.json().items() if value in ([], "", None)}
    assert empty == {"response_types_supported"}, "MD-04 demands it, and there is no authorization endpoint"
    assert stage.http.post(f"/.well-known/{name}").status_code == 405


def test_MD_04_what_must_be_there_is_there_and_where_it_says(stage: TokenStage) -> None:
    told = read(stage, SERVER)
    assert "authorization_endpoint" not in told
    assert told["response_types_supported"] == []
    for member in ("token_endpoint", "revocation_endpoint", "introspection_endpoint"):
        assert told[member].startswith(NAME + "/oauth/")
        assert stage.http.post(told[member]).status_code == 400, "it answers, and wants a form"
    assert stage.http.get(told["jwks_uri"]).json()["keys"]


def test_MD_06_algorithms_stand_beside_private_key_jwt(stage: TokenStage) -> None:
    told = read(stage, SERVER)
    for endpoint in ("token", "revocation", "introspection"):
        assert "private_key_jwt" in told[f"{endpoint}_endpoint_auth_methods_supported"]
        algorithms = told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms == list(ASSERTION_ALGORITHMS)
        assert "none" not in algorithms
    assert "none" not in told["introspection_endpoint_auth_methods_supported"]


def test_MD_07_grants_and_methods_are_always_stated_and_true(stage: TokenStage) -> None:
    stage.put(client())
    told = read(stage, SERVER)
    assert told["grant_types_supported"] == ["client_credentials"]
    assert json.loads(documents(NAME, EVERY, certificates=True)[SERVER])["grant_types_supported"] == list(GRANT_TYPES)
    assert "offline_access" not in told["scopes_supported"], "without the grant refresh_token"
    assert "offline_access" in json.loads(documents(NAME, EVERY, certificates=True)[SERVER])["scopes_supported"]
    for grant in GRANT_TYPES:
        unsupported = stage.ask(grant).json().get("error") == "unsupported_grant_type"
        assert unsupported is (grant not in told["grant_types_supported"])
    methods = told["token_endpoint_auth_methods_supported"]
    assert methods == ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "none"]


def test_MD_08_every_key_says_what_it_is_for(stage: TokenStage) -> None:
    assert [key["use"] for key in read_keys(stage)] == ["sig"]


def read_keys(stage: TokenStage) -> list[dict[str, str]]:
    found: list[dict[str, str]] = stage.http.get("/.well-known/jwks.json").json()["keys"]
    return found


@pytest.mark.parametrize("resource", [NAME, admin_resource(NAME)])
def test_PR_01_each_resource_names_itself_as_it_is_named(stage: TokenStage, resource: str) -> None:
    url = well_known_url(resource, "oauth-protected-resource")
    assert read(stage, urlsplit(url).path)["resource"] == resource


def test_PR_02_it_names_who_issues_tokens_for_it(stage: TokenStage) -> None:
    told = read(stage, RESOURCE)
    assert told["authorization_servers"] == [NAME]
    assert set(told["scopes_supported"]) <= set(read(stage, SERVER)["scopes_supported"])


def test_PR_03_tokens_are_taken_in_the_header(stage: TokenStage) -> None:
    told = read(stage, RESOURCE)
    assert told["bearer_methods_supported"] == ["header"]
    assert "none" not in told.get("resource_signing_alg_values_supported", [])


def test_PR_05_every_challenge_says_where_the_resource_describes_itself() -> None:
    gate = Gate()
    for seen in (gate.see(models()), gate.bear(b"x"), gate.bear(gate.issuer.token(scope="embeddings"))):
        assert seen.challenge is not None
        assert seen.challenge["resource_metadata"] == NAME + RESOURCE


@pytest.mark.parametrize(
    "error",
    [TokenMissing("a"), TokenExpired("a"), InsufficientScope("ai", "a"), CredentialsAmbiguous("a")],
)
def test_PR_05_in_one_quoted_parameter(error: Any) -> None:
    problem = render(error, "req-1", NAME + RESOURCE)
    (line,) = [line for line in problem.lines.decode().splitlines() if line.startswith("WWW-Authenticate")]
    assert parameters(line.removeprefix("WWW-Authenticate: "))["resource_metadata"] == NAME + RESOURCE
    assert b"resource_metadata" not in render(error, "req-1").lines


def test_PR_06_nothing_comes_from_what_a_request_says(stage: TokenStage) -> None:
    lies = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http", "forwarded": "h=e"}
    for path in documents(NAME, EVERY, certificates=True):
        assert "evil" not in json.dumps(read(stage, path, **lies))
    seen = Gate().see(models(host=b"evil.example", x_forwarded_host=b"evil.example"))
    assert seen.challenge is not None
    assert seen.challenge["resource_metadata"] == NAME + RESOURCE


def test_PR_07_the_issuer_names_the_resources_that_name_it(stage: TokenStage) -> None:
    for resource in read(stage, SERVER)["protected_resources"]:
        url = well_known_url(resource, "oauth-protected-resource")
        assert read(stage, urlsplit(url).path)["authorization_servers"] == [NAME]
