"""The opening handshake of a WebSocket (RFC 6455 s4), both ends of it: what is asked, and what grants it."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha1
from typing import Final

from msgspec import Struct

from jotgate.core.websocket_frames import is_key

VERSION: Final = b"13"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 s5.6.2
_PROTOCOLS_MAX: Final = 16
# How clients send a token where they can set no header: those of OpenAI, those of MCP over WebSockets, and others.
_MARKS: Final = (b"openai-insecure-api-key.", b"mcp.auth.", b"bearer.")


class Handshake(Struct, frozen=True):
    """What a client asks for. `protocols` are the subprotocols that it offers, in its order; one may hold a token."""

    key: bytes
    protocols: tuple[bytes, ...] = ()


def find_handshake(method: bytes, headers: Mapping[bytes, bytes]) -> Handshake | None:
    """What a request for another protocol asks, if that is a WebSocket as RFC 6455 s4.2.1 has it; else None."""
    key = headers.get(b"sec-websocket-key", b"")
    is_one = (
        method == b"GET"
        and headers.get(b"upgrade", b"").lower() == b"websocket"
        and headers.get(b"sec-websocket-version") == VERSION
        and headers.get(b"content-length", b"0") == b"0"
        and b"transfer-encoding" not in headers
        and is_key(key)
    )
    if not is_one:
        return None
    protocols = read_protocols(headers.get(b"sec-websocket-protocol", b""))
    return None if protocols is None else Handshake(key, protocols)


def read_protocols(field: bytes) -> tuple[bytes, ...] | None:
    """The subprotocols of a field; None: it is not a list of different tokens."""
    if not field:
        return ()
    offered = tuple(one.strip(b" \t") for one in field.split(b","))
    if len(offered) > _PROTOCOLS_MAX or len(set(offered)) != len(offered):
        return None
    return offered if all(map(_TOKEN.fullmatch, offered)) else None


def tokens_offered(handshake: Handshake) -> tuple[bytes, ...]:
    """The tokens that subprotocols are there for."""
    return tuple(one[len(mark) :] for one in handshake.protocols for mark in _MARKS if one.startswith(mark))


def accept_of(key: bytes) -> bytes:
    """The `Sec-WebSocket-Accept` of a key (s4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def grant_lines(handshake: Handshake, protocol: bytes = b"") -> bytes:
    """Header lines of the 101 that grants it; `protocol` is the one of those offered that is spoken, if any is."""
    spoken = b"Sec-WebSocket-Protocol: %b\r\n" % protocol if protocol else b""
    accept = accept_of(handshake.key)
    return b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n%b" % (accept, spoken)
