"""A call as far as jotgate must understand it: the request, its body's top level, what goes to an upstream.

The body is decoded to raw members, checked and re-encoded, so that what was authorised is what is sent: a second
`model` member, for instance, could be read otherwise by the upstream, and is refused (RFC 8259 s4).
"""

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from jotgate.core.coze_aims import Aim
from jotgate.core.decisions import PathRule
from jotgate.core.payloads import Payload
from jotgate.core.possession import Possession
from jotgate.core.principals import Principal
from jotgate.core.socket_tickets import Redemption
from jotgate.core.websocket_handshake import Handshake
from jotgate.errors import RequestMalformed

BODY_DEPTH_MAX: Final = 64
_SHORT_BYTES: Final = 1_024

_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.Encoder().encode
_decode_string: Final = msgspec.json.Decoder(str).decode
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_FALSE: Final = Raw(b"false")


class Request(Struct):
    """One HTTP request as the edge read it.

    `headers` has lower-case names; the edge has refused repeated fields that may not repeat. `body` is there when the
    whole of it is read, `request_id` and `operation` as soon as they are known. `begun_s` is monotonic.
    `body_bytes_max` is set where less than `limits.body_bytes` is taken. `credential_place` says where the token stood;
    empty: in the Authorization header. `certificate` is the caller's, verified, in DER; `possession` is there when the
    token came with the scheme DPoP. `stale`: what was revoked is not known, and it goes on only if a policy lets it.
    `face` names the listener that it came in by, and chooses its world and dialect; empty: the native one.
    `aim` is what it asks of Coze, where a face has settled that (`core.coze_proxy`).
    `asked` is the rule of what a proxy asks about, where one does: then the request is the one that the proxy holds.
    `forwarded`: some field of its head is one in which proxies speak of callers, whether that was believed or dropped.
    `redemption` is there when its ticket was looked at (`core.socket_tickets`).
    `handshake` is there when it asks for a WebSocket: then its caller is a `ports.SocketCaller`.
    `message_id` is the id of the JSON-RPC request in its body, in JSON, once that is read.
    `tool` is the tool of an MCP server that it calls (`core.mcp_tools.tool_label`), and `rule` what let it.
    `payload` is there when a policy has what is said in that call written down.
    `vouched` is whose it is where a face has let somebody in without a token: then no credential is looked at.
    `units_by_s` is until when it waits for units of its quotas, once it does (`meter_attention.Attention`).
    """

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    peer: str
    begun_s: float
    body: bytes = b""
    request_id: str = ""
    operation: str = ""
    body_bytes_max: int | None = None
    credential_place: str = ""
    certificate: bytes = b""
    possession: Possession | None = None
    stale: bool = False
    units_by_s: float = 0.0
    face: str = ""
    aim: Aim | None = None
    forwarded: bool = False
    message_id: bytes = b""
    tool: str = ""
    rule: str = ""
    payload: Payload | None = None
    asked: PathRule | None = None
    handshake: Handshake | None = None
    redemption: Redemption | None = None
    vouched: Principal | None = None


class Allowance(Struct, frozen=True):
    """What a call of a chain has reserved when it is sent, in tokens, and what of that (`core.routes.MeteringRules`).

    Of a stream it grows from there on, by what comes of its answer.
    """

    input_tokens: int
    output_tokens: int
    passes: int
    hidden_input: int
    hidden_output: int


class Outbound(Struct, frozen=True):
    """A request to an upstream. `lines` are whole header lines that the gateway adds; the adapter adds its own.

    `operation` is empty where a path is passed on as it came (to the control process). `allowance` None: no quota meets
    the call, or it is of no chain.
    """

    operation: str
    method: bytes
    target: bytes
    lines: bytes
    body: bytes
    stream: bool = False
    allowance: Allowance | None = None


class ResponseHead(Struct, frozen=True):
    """The head of an upstream's answer; names in lower case. `length` None: not known beforehand."""

    status: int
    headers: list[tuple[bytes, bytes]]
    length: int | None


class Body(Struct, frozen=True):
    """A request body: its raw top-level members, their compact form, and the ones that decide something.

    `allowance` is that of a call of a chain which quotas meet.
    """

    members: dict[str, Raw]
    compact: bytes
    model: str
    stream: bool
    allowance: Allowance | None = None


def read_body(raw: bytes) -> Body:
    """Decode a body's top level.

    Raises:
        RequestMalformed: not a JSON object in UTF-8, nested deeper than 64, a repeated member, no `model`, or a
            `model` or `stream` of another type.
    """
    try:
        if not raw.isascii():
            str(raw, "utf-8")
        members = _decode_members(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestMalformed(
            "the body is not a JSON object in UTF-8",
            hint="Send a JSON object with Content-Type: application/json",
        ) from None
    compact = _encode(members)
    if len(raw) != len(compact) and members:
        require_unique(raw, members)
    if opens_beyond(BODY_DEPTH_MAX, raw):
        require_shallow(raw)
    stream = members.get("stream")
    return Body(members, compact, _model(members), False if stream is None else _flag(stream))


def write_body(body: Body, model: str) -> bytes:
    """The body as it goes to the upstream, for the upstream's own name of the model.

    `store` is forced to false: what an upstream keeps under the shared credential has no owner there.
    """
    changed: dict[str, Raw] = {}
    if "store" in body.members:
        changed["store"] = _FALSE
    if model != body.model:
        changed["model"] = Raw(_encode(model))
    return _encode({**body.members, **changed}) if changed else body.compact


def _model(members: dict[str, Raw]) -> str:
    raw = members.get("model")
    try:
        model = "" if raw is None else _decode_string(raw)
    except msgspec.DecodeError:
        raise RequestMalformed("'model' is not a string", param="model") from None
    if not model:
        raise RequestMalformed("the body names no 'model'", param="model", hint="GET /v1/models lists the models")
    return model


def _flag(raw: Raw) -> bool:
    text = bytes(raw)
    if text == b"true":
        return True
    if text in (b"false", b"null"):
        return False
    raise RequestMalformed("'stream' is neither true nor false", param="stream")


def require_unique(raw: bytes, members: dict[str, Raw]) -> None:
    """Refuse repeated members. Called when the compact form is shorter than the body: white space, or a repeat.

    A dict keeps a repeated name at its first place with its last value, so a walk over the body in the dict's order
    meets every member exactly once, or stops at the first repeat.
    """
    position = _skip_space(raw, 0) + 1
    for name, value in members.items():
        position = _skip_name(raw, position, name)
        position = _expect(raw, position, b":")
        position = _expect(raw, position, bytes(value))
        position = _skip_space(raw, position) + 1
    if raw[position - 1 : position] != b"}":
        raise _repeated()


def _skip_space(raw: bytes, position: int) -> int:
    found = _SPACE.match(raw, position)
    return found.end() if found else position


def _skip_name(raw: bytes, position: int, name: str) -> int:
    found = _STRING.match(raw, _skip_space(raw, position))
    if found is None or _decode_string(found[0]) != name:
        raise _repeated()
    return found.end()


def _expect(raw: bytes, position: int, wanted: bytes) -> int:
    start = _skip_space(raw, position)
    if not raw.startswith(wanted, start):
        raise _repeated()
    return start + len(wanted)


def _repeated() -> RequestMalformed:
    return RequestMalformed("a member of the body's top level stands twice", hint="Send each member once")


def opens_beyond(limit: int, raw: bytes) -> bool:
    """Whether more than `limit` brackets open, be it within strings. `find` passes long prompts by faster."""
    if len(raw) <= _SHORT_BYTES:
        return raw.count(b"[") + raw.count(b"{") > limit
    count, find = 0, raw.find
    for bracket in (b"[", b"{"):
        position = find(bracket)
        while position >= 0:
            count += 1
            if count > limit:
                return True
            position = find(bracket, position + 1)
    return False


def require_shallow(raw: bytes) -> None:
    """Refuse what is nested deeper than `BODY_DEPTH_MAX`. Raises RequestMalformed."""
    brackets = _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS)
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > BODY_DEPTH_MAX:
            raise RequestMalformed(f"the body is nested deeper than {BODY_DEPTH_MAX} levels")
