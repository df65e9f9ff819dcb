"""A tool that is an endpoint of HTTP: what a call of it asks there, and what the answer is to the caller.

What an endpoint says beside a good answer goes no further: it may hold what is its operator's alone.
"""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from jotgate.core.calls import BODY_DEPTH_MAX, opens_beyond
from jotgate.core.mcp_reader import UNREADABLE, find_members
from jotgate.core.tool_answers import failed, text_result
from jotgate.errors import McpMalformed, UpstreamFailed, UpstreamTorn
from jotgate.mcp_refusals import RPC_INVALID_PARAMS

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_decode_raw: Final = msgspec.json.Decoder(Raw).decode
_NOTHING: Final = Raw(b"{}")
_JSON: Final = b"application/json"
_TEXT: Final = b"text/"
_QUERY_CHARS_MAX: Final = 16_384
_STRUCTURED_BYTES_MAX: Final = 1_048_576
"""An object that is longer is told as text alone: it is read for its form, and not made twice as long."""
Members = dict[str, Raw]


class ToolEndpoint(Struct, frozen=True):
    """One endpoint: its path below the URL of its server, and its definition as MCP has it, in JSON."""

    name: str
    method: Literal["POST", "GET"]
    path: str
    definition: str


class EndpointAsk(Struct, frozen=True):
    """What an endpoint is asked: the end of the target, and the body (None: it is a GET)."""

    target: str
    body: bytes | None


def ask_endpoint(endpoint: ToolEndpoint, params: Mapping[str, Raw]) -> EndpointAsk:
    """A call with the `arguments` of its `params`: as the body of a POST, or as the query of a GET.

    Raises:
        McpMalformed: they are no object, or hold what a query cannot.
    """
    arguments = params.get("arguments", _NOTHING)
    members = find_members(arguments)
    if members is None:
        raise McpMalformed(RPC_INVALID_PARAMS, "'arguments' is not an object", param="params.arguments")
    if endpoint.method == "POST":
        return EndpointAsk(endpoint.path, bytes(arguments))
    pairs = [f"{quote(name, safe='')}={text}" for name, raw in members.items() for text in _texts_of(name, raw)]
    joint = "&" if "?" in endpoint.path else "?"
    target = endpoint.path + (joint + "&".join(pairs) if pairs else "")
    if len(target) > _QUERY_CHARS_MAX:
        raise McpMalformed(RPC_INVALID_PARAMS, "the arguments are too long for a query", param="params.arguments")
    return EndpointAsk(target, None)


def read_endpoint(status: int, media_type: bytes, body: bytes) -> Members:
    """The result of a call as MCP has it; one that the endpoint refuses is a failed one.

    Raises:
        UpstreamFailed: the endpoint itself fails.
        UpstreamTorn: the answer is neither JSON nor text.
    """
    if status >= 500:
        raise UpstreamFailed(f"the endpoint of this tool answered with status {status}")
    if not 200 <= status < 300:
        return failed(f"the endpoint of this tool answered with status {status}")
    is_json = media_type == _JSON or media_type.endswith(b"+json")
    if body and not is_json and not media_type.startswith(_TEXT):
        raise UpstreamTorn("the answer of the tool's endpoint is neither JSON nor text")
    try:
        text = body.decode()
        return text_result(text, _structured(body) if is_json and body else None)
    except UNREADABLE:
        raise UpstreamTorn("the answer of the tool's endpoint is not the UTF-8 that it says it is") from None


def _structured(body: bytes) -> Raw | None:
    """The body if it is an object, which MCP lets stand as such; not one that is long, or nested too deep."""
    if len(body) > _STRUCTURED_BYTES_MAX or opens_beyond(BODY_DEPTH_MAX, body):
        _decode_raw(body)
        return None
    return Raw(body) if isinstance(_decode(body), dict) else None


def _texts_of(name: str, raw: Raw) -> list[str]:
    """The values of an argument in a query, one for each of a list; none where it is null."""
    try:
        value: object = _decode(raw)
    except UNREADABLE:
        raise McpMalformed(RPC_INVALID_PARAMS, "an argument is no JSON", param="params.arguments") from None
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in values):
        what = f"'{name[:64]}' is neither a text, a number nor a list of such, as the query of this tool wants"
        raise McpMalformed(RPC_INVALID_PARAMS, what, param="params.arguments")
    return [quote(one if isinstance(one, str) else _encode(one).decode(), safe="") for one in values if one is not None]
