"""The tools of the MCP daemon: what a call asks of the gateway, and what the gateway's answer comes to.

`chat` is a chat completion; any other tool is one of the list that the gateway has at `/mcp`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.mcp_daemon import CHAT
from jotgate.core.mcp_daemon_problems import TOOL_NOT_FOUND, ToldError
from jotgate.core.mcp_eras import STATELESS
from jotgate.core.mcp_messages import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    METHOD_FIELD,
    NAME_FIELD,
    VERSION_FIELD,
    VERSION_KEY,
    write_name,
)
from jotgate.core.mcp_reader import UNREADABLE, find_members
from jotgate.core.mcp_servers import ALL_SERVERS
from jotgate.core.mcp_tools import is_tool_name
from jotgate.core.tool_answers import read_failure
from jotgate.errors import RequestMalformed
from jotgate.mcp_refusals import RPC_INVALID_PARAMS

_CHAT_PATH: Final = b"/v1/chat/completions"
_JSON: Final = {b"content-type": b"application/json", b"accept": b"application/json, text/event-stream"}
_OK: Final = 200
_MESSAGE: Final = ("message", "prompt")
_PASSED: Final = ("temperature", "max_tokens")
_KNOWN: Final = frozenset({*_MESSAGE, *_PASSED, "model", "system"})
_TEXT_SCHEMA: Final = {"type": "string"}
_CODES: Final = {429: "OVER_CAPACITY", 503: "SERVICE_UNAVAILABLE", 504: "TIMEOUT"}
"""What a server of MCP, or of models, does not do, as this protocol calls it."""
_TOOLS_CALL: Final = "tools/call"
_TOOLS_LIST: Final = "tools/list"
_encode: Final = msgspec.json.Encoder().encode
_decode_text: Final = msgspec.json.Decoder(str).decode
Members = Mapping[str, Raw]

CHAT_TOOL: Final = {
    "name": CHAT,
    "description": "Ask a model of the gateway.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "message": _TEXT_SCHEMA,
            "model": _TEXT_SCHEMA,
            "system": _TEXT_SCHEMA,
            "temperature": {"type": "number"},
            "max_tokens": {"type": "integer"},
        },
        "required": ["message"],
        "additionalProperties": False,
    },
}
"""How `chat` is told of in a list."""


class Asked(Struct, frozen=True):
    """A request that the gateway is to be asked: a POST for a path, with these fields beside its credential."""

    path: bytes
    headers: Mapping[bytes, bytes]
    body: bytes


class Outcome(Struct, frozen=True):
    """What came of a call. `result` is as MCP has one (`content`, an array), and None where there is an `error`."""

    status: int
    result: dict[str, object] | None = None
    error: ToldError | None = None


class _Choice(Struct, frozen=True):
    message: dict[str, Raw] = {}


class _Completion(Struct, frozen=True):
    model: str = ""
    choices: list[_Choice] = []
    usage: Raw = Raw(b"null")


class _RpcError(Struct, frozen=True):
    code: int = 0
    message: str = ""
    data: Raw = Raw(b"{}")


class _RpcData(Struct, frozen=True):
    code: str = ""
    hint: str = ""


class _Rpc(Struct, frozen=True):
    result: dict[str, object] | None = None
    error: _RpcError | None = None


class _Refused(Struct, frozen=True):
    """A refusal of the gateway's own, which has its code in `details`; an upstream's has another shape."""

    request_id: str
    error: ToldError


class _Said(Struct, frozen=True):
    message: str = ""


class _Foreign(Struct, frozen=True):
    error: _Said = _Said()


def ask_tool(tool: str, arguments: Members, model: str) -> Asked:
    """What a call of a tool asks; `model` is the one of `chat` where the caller names none. Raises RequestMalformed."""
    if tool == CHAT:
        return Asked(_CHAT_PATH, _JSON, _chat_body(arguments, model))
    if not is_tool_name(tool):
        raise RequestMalformed("this is no name of a tool", param="tool")
    return _ask_mcp(_TOOLS_CALL, {"name": tool, "arguments": arguments}, tool)


def ask_tools() -> Asked:
    """What asks for the list of the other tools."""
    return _ask_mcp(_TOOLS_LIST, {}, "")


def read_answer(tool: str, status: int, body: bytes) -> Outcome:
    """What the gateway's answer to `ask_tool` comes to; an answer that is none is the provider's fault."""
    if find_members(body) is None:
        body = b""  # It cannot be read, and so not be told either.
    if status != _OK:
        return _refused(status, body)
    try:
        return _read_chat(body) if tool == CHAT else _read_rpc(body)
    except UNREADABLE:
        return Outcome(502, error=ToldError("PROVIDER_ERROR", "what answers this tool gave no answer"))


def read_list(status: int, body: bytes) -> tuple[dict[str, object], ...] | ToldError:
    """The tools of an answer to `ask_tools`."""
    outcome = read_answer(_TOOLS_LIST, status, body)
    if outcome.result is None:
        return outcome.error or ToldError("PROVIDER_ERROR", "there is no list of tools")
    found = outcome.result.get("tools")
    return tuple(one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def outputs_of(result: Mapping[str, object]) -> list[object]:
    """The `outputs` of the original: texts, as the contents of a result have them."""
    found = result.get("content")
    return found if isinstance(found, list) else []


def _chat_body(arguments: Members, model: str) -> bytes:
    unknown = sorted(set(arguments) - _KNOWN)
    if unknown:
        raise RequestMalformed(f"chat has no argument '{unknown[0][:64]}'", param="arguments")
    said = [text for name in _MESSAGE if (text := _text(arguments, name))]
    if len(said) != 1:
        raise RequestMalformed("chat wants one 'message'", param="arguments.message")
    system = _text(arguments, "system")
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": said[0]})
    passed = {name: arguments[name] for name in _PASSED if name in arguments}
    return _encode({"model": _text(arguments, "model") or model, "messages": messages, **passed})


def _text(arguments: Members, name: str) -> str:
    raw = arguments.get(name)
    if raw is None:
        return ""
    try:
        return _decode_text(raw)
    except msgspec.DecodeError:
        raise RequestMalformed(f"'{name}' is not a text", param=f"arguments.{name}") from None


def _ask_mcp(method: str, params: Mapping[str, object], name: str) -> Asked:
    version = STATELESS[0]
    meta = {VERSION_KEY: version, CLIENT_KEY: {"name": "mcp-daemon", "version": "1"}, CAPABILITIES_KEY: {}}
    body = _encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}})
    headers = {**_JSON, VERSION_FIELD: version.encode(), METHOD_FIELD: method.encode()}
    if name:
        headers[NAME_FIELD] = write_name(name)
    return Asked(ALL_SERVERS, headers, body)


def _read_chat(body: bytes) -> Outcome:
    found = msgspec.json.decode(body, type=_Completion)
    raw = found.choices[0].message.get("content") if found.choices else None
    text = "" if raw is None or bytes(raw) == b"null" else _decode_text(raw)
    result: dict[str, object] = {"content": [{"type": "text", "text": text}], "model": found.model}
    if bytes(found.usage) != b"null":
        result["usage"] = found.usage
    return Outcome(_OK, result)


def _read_rpc(body: bytes) -> Outcome:
    found = msgspec.json.decode(body, type=_Rpc)
    if found.error is None:
        failure = read_failure(found.result or {})
        if failure:
            return Outcome(502, error=ToldError("TOOL_EXECUTION_ERROR", failure))
        return Outcome(_OK, found.result or {})
    if found.error.code == RPC_INVALID_PARAMS and "tool" in found.error.message:
        return Outcome(404, error=ToldError(TOOL_NOT_FOUND, found.error.message))
    return Outcome(502, error=ToldError("TOOL_EXECUTION_ERROR", found.error.message))


def _refused(status: int, body: bytes) -> Outcome:
    """The gateway's refusal, which is told in the words of this face already; or the server's."""
    try:
        error = msgspec.json.decode(body, type=_Refused).error
    except msgspec.DecodeError:
        error = None
    if error is None or "code" not in error.details:
        error = _error_in(status, body)
    return Outcome(404 if error.code == TOOL_NOT_FOUND else status, error=error)


def _error_in(status: int, body: bytes) -> ToldError:
    """What is said in MCP of a message that is refused, or of a server that does not answer."""
    code = _CODES.get(status, "PROVIDER_ERROR" if status >= 500 else "INVALID_REQUEST")
    try:
        found = msgspec.json.decode(body, type=_Rpc).error
    except msgspec.DecodeError:
        found = None
    if found is None or not found.message:
        return ToldError(code, _message_in(body) or f"it was refused with {status}")
    try:
        details = msgspec.json.decode(found.data, type=_RpcData)
    except msgspec.DecodeError:  # A server's own data have whatever form.
        details = _RpcData()
    told = {name: text for name in ("code", "hint") if (text := getattr(details, name))}
    return ToldError(code, found.message, told)


def _message_in(body: bytes) -> str:
    """What a model's upstream says of what it refuses."""
    try:
        return msgspec.json.decode(body, type=_Foreign).error.message
    except msgspec.DecodeError:
        return ""
