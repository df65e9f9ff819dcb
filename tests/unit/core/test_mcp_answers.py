"""Answers of MCP servers as callers get them: under their ids, in their era, with what they are shown."""

import json
from typing import Any

import pytest
from msgspec import Raw

from jotgate.core.mcp_answers import Asked, Rewriting, rewrite
from jotgate.core.mcp_eras import (
    Conversation,
    agreed_version,
    discovered,
    initialized,
    method_of,
    to_legacy_result,
    to_stateless_meta,
)
from jotgate.core.mcp_messages import encode
from jotgate.errors import McpMethodAbsent, McpMethodUnknown, UpstreamTorn

_SERVER = Conversation(
    "legacy",
    "2025-11-25",
    encode({"tools": {}, "logging": {}, "resources": {"subscribe": True, "listChanged": True}}),
    encode({"name": "s", "version": "1"}),
    encode("how"),
    "their-session",
)
_TO_STATELESS = Rewriting(
    "tools/list",
    identity=Raw(b'"mine"'),
    sent=Raw(b"7"),
    token=Raw(b'"t"'),
    sent_token=Raw(b"7"),
    translation="to-stateless",
    server=_SERVER,
    listing="tools",
    stateless=True,
)


def _rewritten(message: Any, how: Rewriting) -> Any:
    made = rewrite(json.dumps(message).encode(), how)
    return json.loads(made) if isinstance(made, bytes) else made


def test_an_answer_of_the_older_era_is_one_of_the_stateless() -> None:
    made = _rewritten({"jsonrpc": "2.0", "id": 7, "result": {"tools": [], "own": 1}}, _TO_STATELESS)
    assert made["id"] == "mine"
    result = made["result"]
    assert (result["resultType"], result["ttlMs"], result["cacheScope"], result["own"]) == ("complete", 0, "private", 1)
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"] == {"name": "s", "version": "1"}


def test_an_answer_of_the_stateless_era_is_one_of_the_older() -> None:
    how = Rewriting("tools/list", translation="to-legacy")
    meta = {"io.modelcontextprotocol/serverInfo": {}, "own": 1}
    result = {"resultType": "complete", "tools": [], "ttlMs": 5, "cacheScope": "public", "_meta": meta}
    made = _rewritten({"jsonrpc": "2.0", "id": 3, "result": result}, how)
    assert made == {"jsonrpc": "2.0", "id": 3, "result": {"tools": [], "_meta": {"own": 1}}}
    assert to_legacy_result({"resultType": encode("complete")}) == {}


def test_a_server_that_wants_to_ask_tells_a_client_of_the_older_era_that_it_cannot() -> None:
    how = Rewriting("tools/call", translation="to-legacy")
    made = _rewritten({"jsonrpc": "2.0", "id": 3, "result": {"resultType": "input_required"}}, how)
    assert made["error"]["code"] == -32603
    assert "result" not in made


def test_progress_comes_under_the_callers_token_and_nobody_elses_comes_at_all() -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7, "progress": 1}}
    assert _rewritten(progress, _TO_STATELESS)["params"] == {"progressToken": "t", "progress": 1}
    progress["params"] = {"progressToken": 8, "progress": 1}
    assert _rewritten(progress, _TO_STATELESS) is None
    said = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "of somebody else"}}
    assert _rewritten(said, _TO_STATELESS) is None


def test_what_a_server_asks_in_a_session_of_many_is_not_passed_on() -> None:
    asked = {"jsonrpc": "2.0", "id": 99, "method": "sampling/createMessage", "params": {}}
    assert _rewritten(asked, _TO_STATELESS) == Asked(Raw(b"99"))
    assert _rewritten(asked, Rewriting("tools/call"))["id"] == 99


def test_a_list_is_shown_in_part_and_is_private() -> None:
    how = Rewriting("tools/list", listing="tools", sift=lambda _: Raw(b'["shown"]'), stateless=True)
    result = {"resultType": "complete", "tools": ["shown", "hidden"], "cacheScope": "public", "nextCursor": "c"}
    made = _rewritten({"jsonrpc": "2.0", "id": 3, "result": result}, how)["result"]
    assert (made["tools"], made["cacheScope"], made["ttlMs"], made["nextCursor"]) == (["shown"], "private", 0, "c")


@pytest.mark.parametrize(
    "method", ["resources/list", "resources/templates/list", "prompts/list", "resources/read", "server/discover"]
)
def test_what_a_caller_may_have_is_no_others_whatever_the_server_says_of_caches(method: str) -> None:
    result: dict[str, Any] = {"resultType": "complete", "contents": [], "ttlMs": 60_000, "cacheScope": "public"}
    for how in (Rewriting(method, stateless=True), Rewriting(method, translation="to-stateless", stateless=True)):
        made = _rewritten({"jsonrpc": "2.0", "id": 3, "result": result}, how)["result"]
        assert (made["cacheScope"], made["ttlMs"], made["contents"]) == ("private", 60_000, [])
    asking = {"resultType": "input_required", "inputRequests": {}}
    assert (
        _rewritten({"jsonrpc": "2.0", "id": 3, "result": asking}, Rewriting(method, stateless=True))["result"] == asking
    )


def test_errors_pass_as_they_are() -> None:
    error = {"jsonrpc": "2.0", "id": 7, "error": {"code": -5, "message": "no", "data": {"a": 1}}}
    assert _rewritten(error, _TO_STATELESS) == {**error, "id": "mine"}


def test_what_is_no_message_breaks_the_answer_off() -> None:
    for text in (b"", b"[]", b'{"result":'):
        with pytest.raises(UpstreamTorn):
            rewrite(text, _TO_STATELESS)


def test_a_shared_session_offers_no_log_and_no_subscriptions_of_single_resources() -> None:
    for members in (discovered(_SERVER), initialized(_SERVER, "2025-11-25")):
        assert json.loads(bytes(members["capabilities"])) == {"tools": {}, "resources": {"listChanged": True}}
        assert json.loads(bytes(members["instructions"])) == "how"
    assert json.loads(bytes(discovered(_SERVER)["supportedVersions"])) == ["2026-07-28"]


def test_a_method_belongs_to_its_era() -> None:
    assert method_of("tools/call", "stateless").operation == "mcp.tools_call"
    assert method_of("ping", "legacy").operation == "mcp.ping"
    for name in ("ping", "initialize", "logging/setLevel", "resources/subscribe", "tasks/get", "nothing"):
        with pytest.raises(McpMethodUnknown) as refused:
            method_of(name, "stateless")
        assert refused.value.status == 404
    for name in ("server/discover", "subscriptions/listen", "nothing"):
        with pytest.raises(McpMethodAbsent) as absent:
            method_of(name, "legacy")
        assert absent.value.status == 200


def test_a_session_is_of_a_version_that_both_speak() -> None:
    assert agreed_version("2025-06-18") == "2025-06-18"
    assert agreed_version("2024-01-01") == "2025-11-25"
    assert agreed_version("2026-07-28") == "2025-11-25"


def test_a_client_that_has_said_nothing_of_itself_is_not_named() -> None:
    assert "io.modelcontextprotocol/clientInfo" not in to_stateless_meta({}, Raw(b"{}"), Raw(b"{}"))
    named = to_stateless_meta({"progressToken": Raw(b"1")}, Raw(b'{"name":"c"}'), Raw(b"{}"))
    assert named["io.modelcontextprotocol/clientInfo"] == Raw(b'{"name":"c"}')
    assert named["progressToken"] == Raw(b"1")
