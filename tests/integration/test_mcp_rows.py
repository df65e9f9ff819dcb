"""Rows MCP-RS-01 to -11, MCP-AS-02, -05 and -08, and E08 of the token checklist: MCP servers behind a real gateway.

MCP-RS-12 and the other rows of MCP-AS are of a browser's sign-in, which comes with the authorization endpoint. So does
what MCP-AS-02 says of PKCE, and what MCP-AS-08 says of authorization requests.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest

from jotgate.core.grants import GRANT_TYPES
from jotgate.core.metadata import documents
from jotgate.core.resources import grant_target
from jotgate.errors import TargetRefused
from jotgate.jose.jwt import peek_unverified
from tests.callers import NAME
from tests.integration.exchanges import Answer, Caller
from tests.mcp_stage import McpStage, mcp_stage, tool

RESOURCE: Final = "/.well-known/oauth-protected-resource"
SERVER: Final = "/.well-known/oauth-authorization-server"
_WRONG: Final = "http://elsewhere.example/mcp/files"


@pytest.fixture(scope="module")
def stage() -> Iterator[McpStage]:
    """One gateway for all rows."""
    with mcp_stage() as found:
        found.servers.tools["files"] = [tool("read_file", readOnlyHint=True), tool("write_file")]
        yield found


def get(stage: McpStage, path: str, **fields: str) -> Answer:
    with closing(Caller(stage.gateway)) as caller:
        return caller("GET", path, headers=fields)


def challenge(answer: Answer) -> str:
    (found,) = answer.all("www-authenticate")
    return found


def test_MCP_RS_01_each_server_describes_itself_and_names_its_authorization_server(stage: McpStage) -> None:
    url = stage.gateway.url
    for path, scopes in (
        ("/mcp/files", ["mcp:files:read", "mcp:files:*"]),
        ("/mcp/keyed", ["mcp:keyed:read", "mcp:keyed:*"]),
    ):
        answer = get(stage, RESOURCE + path)
        assert (answer.status, answer.all("content-type")) == (200, ["application/json"])
        told = answer.json
        assert told["resource"] == url + path, "as the client knows it, without a slash at its end"
        assert told["authorization_servers"] == [url]
        assert told["scopes_supported"] == scopes
        assert told["bearer_methods_supported"] == ["header"]
    every = get(stage, RESOURCE + "/mcp").json
    assert every["resource"] == url + "/mcp"
    assert "mcp:mail:read" in every["scopes_supported"]
    assert get(stage, RESOURCE + "/mcp/none").status == 404


def test_MCP_RS_02_a_challenge_says_where_that_is_and_the_root_has_a_description_too(stage: McpStage) -> None:
    url = stage.gateway.url
    for path in ("/mcp/files", "/mcp"):
        for token in ("", "no.such.token"):
            refused = stage.ask(token, "tools/list", path=path)
            assert refused.status == 401
            assert f'resource_metadata="{url}{RESOURCE}{path}"' in challenge(refused)
    assert get(stage, RESOURCE).json["resource"] == url


def test_MCP_RS_03_a_token_is_for_this_server_or_the_gateway_and_no_other_is_taken_or_passed_on(
    stage: McpStage,
) -> None:
    url = stage.gateway.url
    of_files = stage.token("mcp:files:*", audience=f"{url}/mcp/files")
    of_all = stage.token("mcp:files:*", "mcp:keyed:*", audience=f"{url}/mcp")
    of_gateway = stage.token("mcp:files:*")
    for token in (of_files, of_all, of_gateway):
        assert stage.call(token, "read_file").status == 200
    foreign = (
        stage.token("mcp:files:*", audience=_WRONG),
        stage.token("mcp:files:*", audience=f"{url}/mcp/keyed"),
        stage.token("mcp:files:*", audience=f"{url}/mcp/files/"),
        stage.token("mcp:files:*", audience=f"{url}/admin/api"),
    )
    seen = len(stage.servers.heard)
    for token in foreign:
        refused = stage.call(token, "read_file")
        assert (refused.status, refused.json["error"]["data"]["code"]) == (401, "claim_refused")
    assert stage.ask(of_files, "tools/list", path="/mcp").status == 401, "all of them are another resource"
    assert stage.call(of_files, "act", "/mcp/keyed").status == 401
    with closing(Caller(stage.gateway, of_files)) as caller:
        assert caller("GET", "/v1/models").status == 401, "nor is it good for anything else here"
    assert len(stage.servers.heard) == seen
    sent = json.dumps(stage.servers.heard)
    assert not any(token in sent for token in (of_files, of_all, of_gateway, *foreign))


def test_MCP_RS_04_a_token_that_is_none_or_has_ended_is_answered_with_401(stage: McpStage) -> None:
    revoked = stage.gateway.token("--scope", "mcp:files:*", subject="gone")
    assert stage.call(revoked, "read_file").status == 200
    stage.command("token", "revoke", _id_of(revoked), "--yes")
    answers = [stage.call(token, "read_file") for token in ("x", "a.b.c", revoked)]
    assert [one.status for one in answers] == [401] * 3
    for one in answers:
        assert 'error="invalid_token"' in challenge(one)
    assert answers[2].json["error"]["data"]["code"] == "token_revoked"


def test_MCP_RS_05_a_lack_of_scope_is_told_with_all_that_is_needed_in_one_challenge(stage: McpStage) -> None:
    reader = stage.token("mcp:files:read")
    refused = stage.call(reader, "write_file")
    assert refused.status == 403
    told = challenge(refused)
    assert 'error="insufficient_scope"' in told
    assert 'scope="mcp:files:write_file"' in told
    assert f'resource_metadata="{stage.gateway.url}{RESOURCE}/mcp/files"' in told
    assert "error_description=" in told
    more = stage.gateway.token("--scope", "mcp:files:read", "--scope", "mcp:files:write_file")
    assert stage.call(more, "write_file").status == 200, "it was all that was needed"
    one_tool = stage.token("mcp:files:write_file")
    refused = stage.ask(one_tool, "resources/list")
    assert (refused.status, 'scope="mcp:files:read"' in challenge(refused)) == (403, True)


@pytest.mark.parametrize(
    ("field", "status", "code", "error"),
    [
        ("Basic Og==,Bearer x", 400, "credentials_ambiguous", 'error="invalid_request"'),
        ("Bearer", 401, "token_malformed", 'error="invalid_token"'),
        ("Bearer one two", 401, "token_malformed", 'error="invalid_token"'),
        ("Basic Og==", 401, "token_missing", 'realm="jotgate", scope='),
    ],
)
def test_MCP_RS_06_an_authorization_that_is_none_is_told_apart_from_one_that_is_refused(
    stage: McpStage, field: str, status: int, code: str, error: str
) -> None:
    refused = stage.ask("", "tools/list", headers={"Authorization": field})
    assert (refused.status, refused.json["error"]["data"]["code"]) == (status, code)
    assert error in challenge(refused)
    both = stage.ask(stage.token("mcp:files:*"), "tools/list", headers={"x-api-key": "another"})
    assert (both.status, both.json["error"]["data"]["code"]) == (400, "credentials_ambiguous")


def test_MCP_RS_07_a_token_in_the_query_counts_for_nothing_and_each_request_needs_one(stage: McpStage) -> None:
    token = stage.token("mcp:files:*")
    assert stage.ask("", "tools/list", path=f"/mcp/files?access_token={token}").status == 401
    assert stage.ask(token, "tools/list").status == 200
    assert stage.ask("", "tools/list").status == 401, "what the last one had counts for itself"


def test_MCP_RS_08_a_scope_that_stands_for_others_covers_them(stage: McpStage) -> None:
    every, reader, one = (stage.token(f"mcp:files:{what}") for what in ("*", "read", "write_file"))
    assert stage.list(every) == ["read_file", "write_file"]
    assert stage.list(reader) == ["read_file"]
    assert stage.list(one) == ["write_file"]
    for token, status in ((every, 200), (reader, 200), (one, 403)):
        assert stage.ask(token, "resources/list").status == status
    narrowed = grant_target((), "mcp:files:write_file", allowed=(), scopes=frozenset({"mcp:files:*"}), issuer=NAME)
    assert narrowed.scopes == ("mcp:files:write_file",)


def test_MCP_RS_09_the_first_challenge_says_what_to_ask_for(stage: McpStage) -> None:
    assert 'scope="mcp:files:read"' in challenge(stage.ask("", "tools/list"))
    every = challenge(stage.ask("", "tools/list", path="/mcp"))
    assert "mcp:files:read" in every
    assert "mcp:data:read" in every


def test_MCP_RS_10_nobody_is_told_to_ask_for_offline_access(stage: McpStage) -> None:
    assert "offline_access" not in get(stage, f"{RESOURCE}/mcp/files").body.decode()
    for token in ("", stage.token("ai")):
        assert "offline_access" not in challenge(stage.ask(token, "tools/list"))


def test_MCP_RS_11_a_resource_is_known_whatever_the_case_of_its_scheme_and_host() -> None:
    def audiences(resource: str) -> tuple[str, ...]:
        scopes = frozenset({"mcp:files:*", "ai"})
        return grant_target((resource,), "", allowed=(), scopes=scopes, issuer=NAME).audiences

    plain = f"{NAME}/mcp/files"
    assert audiences(plain) == (plain,)
    assert audiences(plain.replace(NAME, NAME.upper())) == (plain,)
    for wrong in (f"{plain}/", f"{plain}#part", f"{NAME}/MCP/files", f"{NAME}/mcp/Files", f"{NAME}.example/mcp/files"):
        with pytest.raises(TargetRefused):
            audiences(wrong)


def test_MCP_AS_02_the_authorization_server_is_found_in_both_ways(stage: McpStage) -> None:
    issuer = get(stage, f"{RESOURCE}/mcp/files").json["authorization_servers"][0]
    told = get(stage, SERVER).json
    assert told == get(stage, "/.well-known/openid-configuration").json
    assert told["issuer"] == issuer == stage.gateway.url
    assert f"{issuer}/mcp/files" in told["protected_resources"]
    assert "mcp:files:read" in told["scopes_supported"]
    tenant = f"{NAME}/tenant1"
    found = documents(tenant, tuple(GRANT_TYPES.values()), certificates=False, servers=["files"])
    assert f"{SERVER}/tenant1" in found
    assert f"{RESOURCE}/tenant1/mcp/files" in found


def test_MCP_AS_05_access_tokens_live_for_an_hour_and_refresh_tokens_of_public_clients_are_replaced(
    stage: McpStage,
) -> None:
    """The replacing itself is row RT-01 and those behind it."""
    claims = _claims_of(stage.gateway.token("--scope", "mcp:files:read"))
    assert claims["exp"] - claims["iat"] == 3_600
    assert "refresh_token" in get(stage, SERVER).json["grant_types_supported"]


def test_MCP_AS_08_a_token_is_for_the_resource_that_was_asked_for_and_has_what_makes_sense_there() -> None:
    held = frozenset({"ai", "mcp:files:*", "mcp:mail:read"})

    def granted(*resources: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = grant_target(resources, "", allowed=(NAME,), scopes=held, issuer=NAME)
        return found.audiences, found.scopes

    assert granted(f"{NAME}/mcp/files") == ((f"{NAME}/mcp/files",), ("mcp:files:*",))
    assert granted(f"{NAME}/mcp") == ((f"{NAME}/mcp",), ("mcp:files:*", "mcp:mail:read"))
    assert granted(NAME) == ((NAME,), ("ai", "mcp:files:*", "mcp:mail:read"))
    assert granted() == ((NAME,), ("ai", "mcp:files:*", "mcp:mail:read"))
    with pytest.raises(TargetRefused):
        grant_target((f"{NAME}/mcp/files",), "", allowed=("https://files.example",), scopes=held, issuer=NAME)


def test_E_08_a_session_is_of_whoever_began_it_alone(stage: McpStage) -> None:
    """CVE-2026-52869: a session's id is no credential."""
    ann, bob = (stage.token("mcp:files:*", subject=name) for name in ("ann", "bob"))
    session = _initialize(stage, ann)
    assert _in_session(stage, ann, session).status == 200
    renewed = stage.gateway.token("--scope", "mcp:files:*", subject="ann")
    assert _in_session(stage, renewed, session).status == 200, "it is the same caller's with another token"
    assert _in_session(stage, bob, session).status == 404
    assert _in_session(stage, "", session).status == 401
    assert _in_session(stage, ann, session, path="/mcp/keyed").status in (403, 404)
    assert _in_session(stage, ann, "A" * len(session)).status == 404


def _initialize(stage: McpStage, token: str) -> str:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = _say(stage, token, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    assert answer.status == 200, answer.body
    (session,) = answer.all("mcp-session-id")
    return session


def _in_session(stage: McpStage, token: str, session: str, path: str = "/mcp/files") -> Answer:
    fields = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    return _say(stage, token, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, path, **fields)


def _say(stage: McpStage, token: str, message: Any, path: str = "/mcp/files", **fields: str) -> Answer:
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **fields}
    with closing(Caller(stage.gateway, token)) as caller:
        return caller("POST", path, message, headers=headers)


def _claims_of(token: str) -> Any:
    return peek_unverified(token.encode())[1]


def _id_of(token: str) -> str:
    return str(_claims_of(token)["jti"])
