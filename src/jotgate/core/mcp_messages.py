"""One JSON-RPC message of MCP, read strictly and written anew, and what its headers must say of it.

A message is decoded to raw members, checked and encoded again, so that what was decided on is what is sent. Its era is
told by its `_meta` and its headers: the stateless revision carries its version in each message, the older ones agree on
it with `initialize`.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.calls import BODY_DEPTH_MAX, opens_beyond, require_shallow, require_unique
from jotgate.core.mcp_eras import NAMED_BY, STATELESS, SUPPORTED
from jotgate.errors import McpHeaderMismatch, McpMalformed, McpVersionUnsupported, RequestMalformed
from jotgate.mcp_refusals import RPC_INVALID_PARAMS, RPC_INVALID_REQUEST, RPC_PARSE

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY: Final = "io.modelcontextprotocol/clientInfo"
SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"
OF_PROTOCOL: Final = "io.modelcontextprotocol/"
"""Members of `_meta` that begin so are the protocol's own."""
VERSION_FIELD: Final = b"mcp-protocol-version"
METHOD_FIELD: Final = b"mcp-method"
NAME_FIELD: Final = b"mcp-name"
SESSION_FIELD: Final = b"mcp-session-id"
LAST_EVENT_FIELD: Final = b"last-event-id"
TORN_FIELD: Final = b"x-jotgate-torn"
"""Control says so of what a child has answered and is no answer: its caller's harm, which keeps nobody else off."""

_SENTINEL: Final = re.compile(rb"=\?base64\?([A-Za-z0-9+/]*={0,2})\?=")
_VISIBLE: Final = re.compile(rb"[\t\x20-\x7e]*")
_METHOD: Final = re.compile(r"[A-Za-z0-9_$./-]{1,128}")
_JSON_TWO: Final = b'"2.0"'
_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})")

_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, Raw]
_NO_MEMBERS: Final[Members] = {}


class Message(Struct, frozen=True):
    """A request (`id` and `method`), a notification (`method` alone) or a response (`id` alone).

    `name` is the tool, prompt or resource that it is about, `version` that of its `_meta`; either may be empty.
    """

    members: Members
    id: Raw | None
    method: str
    params: Members
    meta: Members
    name: str = ""
    version: str = ""

    @property
    def is_request(self) -> bool:
        """Whether it wants an answer."""
        return self.id is not None and bool(self.method)

    @property
    def progress_token(self) -> Raw | None:
        """By which its sender wants to be told how far it has come."""
        return self.meta.get("progressToken")


def read_message(raw: bytes) -> Message:
    """Read the body of a request.

    Raises:
        McpMalformed: it is no JSON, or no single message of JSON-RPC 2.0; a member stands twice; it is nested too deep.
    """
    members = _members(raw)
    if bytes(members.get("jsonrpc", b"")) != _JSON_TWO:
        raise McpMalformed(RPC_INVALID_REQUEST, "'jsonrpc' is not \"2.0\"", param="jsonrpc")
    identity = members.get("id")
    if identity is not None and not _is_id(identity):
        raise McpMalformed(RPC_INVALID_REQUEST, "'id' is neither a text nor an integer", param="id")
    if "method" not in members:
        if identity is None or ("result" in members) == ("error" in members):
            raise McpMalformed(RPC_INVALID_REQUEST, "the body is no request, notification or response of JSON-RPC")
        return Message(members, identity, "", _NO_MEMBERS, _NO_MEMBERS)
    method = _text(members["method"])
    if _METHOD.fullmatch(method) is None:
        raise McpMalformed(RPC_INVALID_REQUEST, "'method' is not the name of one", param="method")
    params = _inner(members.get("params"), "params")
    meta = _inner(params.get("_meta"), "params._meta")
    named_by = NAMED_BY.get(method)
    name = "" if named_by is None else _named(params, named_by)
    stated = meta.get(VERSION_KEY)
    version = "" if stated is None else _text(stated, f"params._meta.{VERSION_KEY}", RPC_INVALID_PARAMS)
    return Message(members, identity, method, params, meta, name, version)


def write_message(message: Message, **changed: Raw) -> bytes:
    """The message as it is sent, its `params` and `_meta` as they were read; `changed` are members of `params`."""
    if not message.method:
        return _encode(message.members)
    params = {**message.params, **changed}
    if "_meta" not in changed and message.meta:
        params["_meta"] = Raw(_encode(message.meta))
    members = message.members
    return _encode({**members, "params": params} if params or "params" in members else members)


def encode(value: object) -> Raw:
    """A value as raw JSON."""
    return Raw(_encode(value))


def check_agreement(message: Message, headers: Mapping[bytes, bytes]) -> None:
    """Hold the headers of a stateless message against its body (MCP 2026-07-28, "Server Validation").

    Raises:
        McpHeaderMismatch: one is missing, is not well-formed, or says something else.
        McpVersionUnsupported: they agree on a version that jotgate does not speak.
        McpMalformed: a member of `_meta` is missing that each request has.
    """
    stated = headers.get(VERSION_FIELD)
    if stated is None:
        raise McpHeaderMismatch("the header MCP-Protocol-Version is missing")
    if message.version and stated != message.version.encode():
        raise McpHeaderMismatch("MCP-Protocol-Version is not the version in the body's _meta")
    text = stated.decode("latin-1")
    if text not in SUPPORTED:
        raise unsupported(text)
    if not message.is_request:
        return  # What headers a notification has, nobody says.
    if headers.get(METHOD_FIELD) != message.method.encode():
        what = "is missing" if METHOD_FIELD not in headers else "is not the body's method"
        raise McpHeaderMismatch(f"the header Mcp-Method {what}")
    if message.method in NAMED_BY:
        _check_name(message, headers.get(NAME_FIELD))
    for key in (VERSION_KEY, CAPABILITIES_KEY):
        if key not in message.meta:
            raise McpMalformed(RPC_INVALID_PARAMS, f"'_meta' has no '{key}'", param="params._meta")


def unsupported(version: str) -> McpVersionUnsupported:
    """The refusal of a version; what is shown of it is short."""
    return McpVersionUnsupported(version[:64], "jotgate does not speak this version of MCP")


def is_stateless(message: Message, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a message is of the revision that carries its version in each of them, by its body or by its headers."""
    return bool(message.version) or headers.get(VERSION_FIELD, b"").decode("latin-1") in STATELESS


def read_name(field: bytes) -> str:
    """What a header such as Mcp-Name says, decoded where it is in base64. Raises McpHeaderMismatch."""
    if _VISIBLE.fullmatch(field) is None:
        raise McpHeaderMismatch("the header Mcp-Name holds a character that no header may")
    coded = _SENTINEL.fullmatch(field)
    if coded is None:
        return field.decode("ascii")
    try:
        return b64decode(coded[1], validate=True).decode("utf-8")
    except (Base64Error, UnicodeDecodeError):
        raise McpHeaderMismatch("the header Mcp-Name is not base64 of UTF-8") from None


def write_name(name: str) -> bytes:
    """A name as the header Mcp-Name has it."""
    raw = name.encode()
    plain = _VISIBLE.fullmatch(raw) is not None and raw.strip(b" \t") == raw and not _SENTINEL.fullmatch(raw)
    if plain:
        return raw
    return b"=?base64?%b?=" % b64encode(raw)


def _check_name(message: Message, field: bytes | None) -> None:
    if field is None:
        if message.name:
            raise McpHeaderMismatch("the header Mcp-Name is missing")
        return
    if read_name(field) != message.name:
        raise McpHeaderMismatch("the header Mcp-Name is not the name in the body")


def _members(body: bytes) -> Members:
    try:
        if not body.isascii():
            str(body, "utf-8")
        members = _decode_members(body)
        if len(body) != len(_encode(members)) and members:
            require_unique(body, members)
        if opens_beyond(BODY_DEPTH_MAX, body):
            require_shallow(body)
    except msgspec.ValidationError:
        raise McpMalformed(RPC_INVALID_REQUEST, "the body is not one JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise McpMalformed(RPC_PARSE, "the body is no JSON in UTF-8") from None
    except RequestMalformed as refusal:
        raise McpMalformed(RPC_INVALID_REQUEST, refusal.message) from None
    return members


def _inner(raw: Raw | None, param: str) -> Members:
    if raw is None:
        return {}
    body = bytes(raw)
    try:
        members = _decode_members(body)
        if len(body) != len(_encode(members)) and members:
            require_unique(body, members)
    except msgspec.DecodeError:
        raise McpMalformed(RPC_INVALID_PARAMS, f"'{param}' is not an object", param=param) from None
    except RequestMalformed:
        raise McpMalformed(RPC_INVALID_REQUEST, f"a member of '{param}' stands twice", param=param) from None
    return members


def _named(params: Members, member: str) -> str:
    raw = params.get(member)
    if raw is None:
        raise McpMalformed(RPC_INVALID_PARAMS, f"'params' has no '{member}'", param=f"params.{member}")
    return _text(raw, f"params.{member}", RPC_INVALID_PARAMS)


def _text(raw: Raw, param: str = "method", rpc_code: int = RPC_INVALID_REQUEST) -> str:
    try:
        return _decode_text(raw)
    except msgspec.DecodeError:
        raise McpMalformed(rpc_code, f"'{param}' is not a text", param=param) from None


def _is_id(raw: Raw) -> bool:
    text = bytes(raw)
    return text[:1] == b'"' or _INTEGER.fullmatch(text) is not None
