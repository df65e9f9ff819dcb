"""What clients of the MCP daemon send and are answered: bare frames, the original's operations, and JSON-RPC.

A frame is read strictly. Whatever is answered carries what its question had: `op` and `request_id`, or the `id`.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from jotgate.core.calls import BODY_DEPTH_MAX, opens_beyond, require_shallow, require_unique
from jotgate.core.mcp_daemon_problems import ToldError
from jotgate.errors import RequestMalformed

Kind = Literal["call", "hello", "list", "ping", "cancel", "rotate", "health", "initialize", "notice"]
Members = Mapping[str, Raw]

PROTOCOL: Final = "2024-11-05"
"""The version of MCP that the original says it speaks."""
_OPS: Final[Mapping[str, Kind]] = {
    "hello": "hello",
    "call_tool": "call",
    "tool_call": "call",
    "list_tools": "list",
    "ping": "ping",
    "cancel": "cancel",
    "rotate_token": "rotate",
    "health": "health",
}
_METHODS: Final[Mapping[str, Kind]] = {
    "initialize": "initialize",
    "tools/list": "list",
    "tools/call": "call",
    "ping": "ping",
    "notifications/cancelled": "cancel",
}
_ANSWERS: Final = {
    "call_tool": "call_tool_res",
    "tool_call": "call_tool_res",
    "list_tools": "list_tools_res",
    "hello": "hello_ack",
    "ping": "pong",
    "cancel": "cancelled",
    "rotate_token": "rotate_token_res",
    "health": "health_res",
}
_RPC_INVALID: Final = -32600
_RPC_UNKNOWN: Final = -32601
_RPC_PARAMS: Final = -32602
_RPC_FAILED: Final = -32000
_RPC_CODES: Final = {"INVALID_REQUEST": _RPC_PARAMS, "TOOL_NOT_FOUND": _RPC_PARAMS, "VALIDATION_ERROR": -32700}
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode
_NO_MEMBERS: Final[Members] = {}


class Frame(Struct, frozen=True):
    """One message of a client. `op` is the original's word for it; `rpc_id` its id in JSON, where it is JSON-RPC.

    `request_id` is what the client calls it by; empty: it has not said. Two that have neither `op` nor `rpc_id` are
    bare frames, which have `tool` and `arguments` alone.
    """

    kind: Kind
    op: str = ""
    rpc_id: Raw | None = None
    request_id: str = ""
    tool: str = ""
    arguments: Members = _NO_MEMBERS
    members: Members = _NO_MEMBERS

    @property
    def key(self) -> str:
        """By what a client cancels it."""
        return self.request_id or ("" if self.rpc_id is None else bytes(self.rpc_id).decode())


class FrameFault(Exception):
    """A frame is none. `frame` is as much of it as was read, so that the answer carries what it has to."""

    def __init__(self, frame: Frame, code: str, message: str, *, rpc_code: int = _RPC_INVALID) -> None:
        super().__init__(message)
        self.frame = frame
        self.error = ToldError(code, message)
        self.rpc_code = rpc_code


def read_members(raw: bytes) -> Members:
    """The members of an object in JSON, read strictly. Raises RequestMalformed."""
    try:
        if not raw.isascii():
            str(raw, "utf-8")
        members = _decode_members(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestMalformed("message must be a JSON object") from None
    if len(raw) != len(_encode(members)) and members:
        require_unique(raw, members)
    if opens_beyond(BODY_DEPTH_MAX, raw):
        require_shallow(raw)
    return members


def read_frame(raw: bytes) -> Frame:
    """Read what a client says. Raises FrameFault."""
    unread = Frame("call")
    try:
        members = read_members(raw)
    except RequestMalformed as fault:
        is_json = _is_json(raw)
        text = fault.message if is_json else "Invalid JSON: message could not be parsed"
        raise FrameFault(Frame("call", "error"), "INVALID_REQUEST" if is_json else "VALIDATION_ERROR", text) from None
    if "jsonrpc" in members:
        return _read_rpc(members)
    if "op" in members:
        return _read_op(members)
    if "tool" in members:
        return read_call(members)
    fault_text = "missing or invalid 'op' field (must be string)"
    raise FrameFault(structs_op(unread, members), "INVALID_REQUEST", f"Invalid message: {fault_text}")


def structs_op(frame: Frame, members: Members) -> Frame:
    """The frame as an `error` of the original, with the id that the client gave."""
    return msgspec.structs.replace(frame, op="error", request_id=_optional(members, "request_id"))


def read_call(members: Members) -> Frame:
    """A bare frame, or the body of `POST /call`. Raises FrameFault."""
    frame = Frame("call", request_id=_optional(members, "request_id"))
    _check_id(frame, members)
    tool = _text(members.get("tool"))
    if not tool:
        raise FrameFault(frame, "INVALID_REQUEST", "'tool' is not the name of a tool")
    return msgspec.structs.replace(frame, tool=tool, arguments=_arguments(frame, members))


def answer_to(frame: Frame, **members: object) -> bytes:
    """The answer to an operation of the original, or to a bare frame."""
    said: dict[str, object] = {}
    if frame.op:
        said["op"] = _ANSWERS.get(frame.op, "error")
    if frame.op != "hello" or frame.request_id:
        said["request_id"] = frame.request_id
    return _encode({**said, **members})


def rpc_result(frame: Frame, result: object) -> bytes:
    """The result of a JSON-RPC request."""
    return _encode({"jsonrpc": "2.0", "id": frame.rpc_id, "result": result})


def error_to(frame: Frame, error: ToldError, rpc_code: int = 0) -> bytes:
    """An error, in the form in which was asked."""
    if frame.rpc_id is not None or frame.kind == "notice":
        data = {"code": error.code, "details": error.details} if error.details else {"code": error.code}
        told = {
            "code": rpc_code or _RPC_CODES.get(error.code, _RPC_FAILED),
            "message": error.message,
            "data": data,
        }
        return _encode({"jsonrpc": "2.0", "id": frame.rpc_id, "error": told})
    if frame.op or not frame.tool:
        return answer_to(frame, error=error)
    return answer_to(frame, tool=frame.tool, error=error)


def event_of(frame: Frame, op: str, **members: object) -> bytes:
    """What is said of a call while it runs, in the original's words."""
    return _encode({"op": op, "request_id": frame.request_id, **members})


def text_of(members: Members, name: str) -> str:
    """A member that is a text; empty: it is none."""
    return _text(members.get(name))


def _read_op(members: Members) -> Frame:
    op = _text(members["op"])
    frame = Frame("call", op or "error", request_id=_optional(members, "request_id"), members=members)
    if not op:
        raise FrameFault(frame, "INVALID_REQUEST", "Invalid message: missing or invalid 'op' field (must be string)")
    kind = _OPS.get(op)
    if kind is None:
        raise FrameFault(msgspec.structs.replace(frame, op="error"), "INVALID_REQUEST", f"Unknown operation: {op[:64]}")
    frame = msgspec.structs.replace(frame, kind=kind)
    _check_id(frame, members)
    if kind == "rotate" and not (_text(members.get("new")) and _text(members.get("old"))):
        raise FrameFault(frame, "INVALID_REQUEST", "rotate_token requires 'old' and 'new' (strings)")
    if kind != "call":
        return frame
    tool = _text(members.get("name")) if op == "call_tool" else _named(members.get("tool"))
    if not tool:
        raise FrameFault(frame, "INVALID_REQUEST", f"{op} requires 'name' (non-empty string)")
    return msgspec.structs.replace(frame, tool=tool, arguments=_arguments(frame, members))


def _read_rpc(members: Members) -> Frame:
    identity, method = members.get("id"), _text(members.get("method"))
    frame = Frame("notice" if identity is None else "call", rpc_id=identity, members=members)
    if bytes(members["jsonrpc"]) != b'"2.0"' or not method or (identity is not None and not _is_id(identity)):
        known = identity if identity is not None and _is_id(identity) else None
        # What has no id that could be told is answered with one of null (JSON-RPC 2.0 s5).
        unread = msgspec.structs.replace(frame, rpc_id=known, kind="call" if known is not None else "notice")
        raise FrameFault(unread, "INVALID_REQUEST", "this is no request of JSON-RPC 2.0")
    params = _inner(frame, members.get("params"), "params")
    kind = _METHODS.get(method)
    if identity is None:
        wanted = params.get("requestId")
        is_cancel = kind == "cancel" and wanted is not None and _is_id(wanted)
        return msgspec.structs.replace(frame, kind="cancel" if is_cancel else "notice", members=params)
    if kind is None or kind == "cancel":
        raise FrameFault(frame, "INVALID_REQUEST", "there is no such method", rpc_code=_RPC_UNKNOWN)
    frame = msgspec.structs.replace(frame, kind=kind)
    if kind != "call":
        return frame
    tool = _text(params.get("name"))
    if not tool:
        raise FrameFault(frame, "INVALID_REQUEST", "'params' has no 'name'", rpc_code=_RPC_PARAMS)
    return msgspec.structs.replace(frame, tool=tool, arguments=_inner(frame, params.get("arguments"), "arguments"))


def _arguments(frame: Frame, members: Members) -> Members:
    return _inner(frame, members.get("arguments"), "arguments")


def _inner(frame: Frame, raw: Raw | None, name: str) -> Members:
    if raw is None or bytes(raw) == b"null":
        return _NO_MEMBERS
    try:
        return read_members(bytes(raw))
    except RequestMalformed:
        raise FrameFault(frame, "INVALID_REQUEST", f"{name} must be a JSON object", rpc_code=_RPC_PARAMS) from None


def _named(raw: Raw | None) -> str:
    """The tool of a `tool_call`: its name, or an object that has it."""
    text = _text(raw)
    if text or raw is None:
        return text
    try:
        return _text(read_members(bytes(raw)).get("name"))
    except RequestMalformed:
        return ""


def _check_id(frame: Frame, members: Members) -> None:
    raw = members.get("request_id")
    if raw is not None and not frame.request_id:
        raise FrameFault(frame, "INVALID_REQUEST", "request_id must be a string")


def _optional(members: Members, name: str) -> str:
    return _text(members.get(name))


def _text(raw: Raw | None) -> str:
    try:
        text = "" if raw is None else _decode_text(raw)
    except msgspec.DecodeError:
        return ""
    return text


def _is_id(raw: Raw) -> bool:
    text = bytes(raw)
    return text[:1] == b'"' or text.lstrip(b"-").isdigit()


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
