"""What a server of MCP says whose tools are jotgate's own settings: endpoints of HTTP and functions of Python.

It is of the stateless revision, has tools and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.mcp_eras import STATELESS

FAILED_KEY: Final = "jotgate/failed"
"""A member of `_meta` in a result that is no answer but the failure of a tool of these."""
_COMPLETE: Final = Raw(b'"complete"')
_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, Raw]


def answer(identity: Raw | None, result: Members) -> bytes:
    """The response with a result."""
    return _encode({"jsonrpc": "2.0", "id": identity, "result": result})


def error(identity: Raw | None, code: int, message: str) -> bytes:
    """The response with an error."""
    return _encode({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}})


def discovered(name: str) -> Members:
    """The result of `server/discover`."""
    info = {"name": name, "version": "1"}
    return {
        "resultType": _COMPLETE,
        "supportedVersions": _raw(list(STATELESS)),
        "capabilities": _raw({"tools": {}}),
        "serverInfo": _raw(info),
        "ttlMs": _raw(0),
        "cacheScope": _raw("private"),
        "_meta": _raw({"io.modelcontextprotocol/serverInfo": info}),
    }


def listed(definitions: Iterable[str]) -> Members:
    """The result of `tools/list`."""
    tools = _raw([Raw(one.encode()) for one in definitions])
    return {"resultType": _COMPLETE, "tools": tools, "ttlMs": _raw(0), "cacheScope": _raw("private")}


def text_result(text: str, structured: Raw | None = None) -> Members:
    """The result of a call: a text, and the object that this is, if it is one."""
    result = {"resultType": _COMPLETE, "content": _raw([{"type": "text", "text": text}])}
    return result if structured is None else {**result, "structuredContent": structured}


def failed(text: str) -> Members:
    """The result of a call that has failed, and why."""
    return {**text_result(text), "isError": _raw(True), "_meta": _raw({FAILED_KEY: True})}


def read_failure(result: Mapping[str, object]) -> str:
    """Why a call has failed, of a result of `failed`; empty for any other."""
    meta, content = result.get("_meta"), result.get("content")
    if not isinstance(meta, dict) or meta.get(FAILED_KEY) is not True or not isinstance(content, list):
        return ""
    text = content[0].get("text") if content and isinstance(content[0], dict) else None
    return text if isinstance(text, str) else "the tool has failed"


def _raw(value: object) -> Raw:
    return Raw(_encode(value))
