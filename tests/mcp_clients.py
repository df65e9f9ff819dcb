"""MCP clients for tests: the official SDK's in either era, and single messages as bytes."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

STATELESS: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"
MODES: Final = ("legacy", STATELESS)
"""What `connected` takes: an era each."""
_WITHIN_S: Final = 20.0
_BEGIN: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


class Said(NamedTuple):
    """An answer: its status, its header fields in lower case, its body as JSON (None: it has none)."""

    status: int
    headers: Mapping[str, str]
    body: Any


@asynccontextmanager
async def connected(url: str, token: str, mode: str = "auto", **options: Any) -> AsyncIterator[Client]:
    """The official client, connected to a server with a token."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=_WITHIN_S) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, **options) as client,
    ):
        yield client


def stateless(method: str, params: Mapping[str, Any] | None = None, *, identity: object = 1) -> dict[str, Any]:
    """A request of the stateless revision."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    given = dict(params or {})
    return {
        "jsonrpc": "2.0",
        "id": identity,
        "method": method,
        "params": {**given, "_meta": {**meta, **given.get("_meta", {})}},
    }


def headers_of(message: Mapping[str, Any]) -> dict[str, str]:
    """The headers that go with such a request."""
    params = message.get("params", {})
    found = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": str(message["method"])}
    name = params.get("uri") if message["method"] == "resources/read" else params.get("name")
    return {**found, "Mcp-Name": name} if name is not None else found


def post(url: str, token: str, message: object, headers: Mapping[str, str] | None = None) -> Said:
    """Send one message, which is bytes or is written as JSON; `headers` None: those that go with it."""
    if headers is None:
        headers = headers_of(message) if isinstance(message, dict) else {}
    content = message if isinstance(message, bytes) else json.dumps(message).encode()
    fields = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **headers,
    }
    return _said(httpx2.post(url, content=content, headers=fields, timeout=_WITHIN_S))


@contextmanager
def waiting(url: str, token: str, fields: dict[str, str], name: str) -> Iterator[None]:
    """A call that its server has begun and does not answer, under the id "mine"."""
    params = {"name": "wait", "arguments": {"name": name}, "_meta": {"progressToken": 7}}
    message = {"jsonrpc": "2.0", "id": "mine", "method": "tools/call", "params": params}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream", **fields}
    with httpx2.stream("POST", url, json=message, headers=headers, timeout=_WITHIN_S) as response:
        lines = response.iter_lines()  # Held: to let go of it is to go away.
        assert any(line.startswith("data:") for line in lines)
        yield


def begin(url: str, token: str) -> dict[str, str]:
    """The headers of a session of the older era that has begun."""
    fields = {"MCP-Protocol-Version": LEGACY, "Mcp-Session-Id": post(url, token, _BEGIN, {}).headers["mcp-session-id"]}
    post(url, token, {"jsonrpc": "2.0", "method": "notifications/initialized"}, fields)
    return fields


def _said(response: httpx2.Response) -> Said:
    text = response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        text = next(line[5:] for line in reversed(text.splitlines()) if line.startswith("data:"))
    body = json.loads(text) if text else None
    return Said(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)
