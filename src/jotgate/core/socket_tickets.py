"""Tickets, by which a page opens one WebSocket without a token in its URL: what is asked, kept, sealed and told.

The store has the digest of a ticket and, under a key that comes of its text alone, the token that it stands for; whose
path and Origin are authenticated with that. What the store keeps opens nothing.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.operations import SOCKET_PATHS
from jotgate.core.values import Secret
from jotgate.errors import RequestMalformed

TICKET_LIFE_S: Final = 30
NONCE_BYTES: Final = 12
_PURPOSE: Final = b"jotgate socket ticket 1"
_KEY_BYTES: Final = 32
_OF_FACES: Final[Mapping[str, Mapping[str, str]]] = {MCP_DAEMON: {"/": "/ws", "/ws": "/ws"}}
"""Faces that open WebSockets at paths of their own: by what callers name a path, that at which one is opened."""
_OF_TABLE: Final = {path.decode("ascii"): path.decode("ascii") for path in SOCKET_PATHS}
TICKET_PATHS: Final = SOCKET_PATHS | {path.encode() for face in _OF_FACES.values() for path in face.values()}
"""Where a handshake may show one, as requests have the path when they are decided."""
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._~%:\[\]-]{1,255}", re.ASCII)  # RFC 6454 s6.2


class TicketAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """What a ticket is to be for: the path, and the Origin that the page has; empty: a program that sends none.

    `path` is the one at which the WebSocket is opened, whatever its caller called it.
    """

    path: str
    origin: str = ""


class ShownTicket(Struct, frozen=True):
    """A ticket as a handshake shows it, on which path, from which Origin (empty: none). `asker` names the handshake."""

    ticket: Secret
    path: str
    origin: str
    asker: bytes


class Redemption(Struct, frozen=True):
    """What becomes of it: a token to go on with; "unknown": nobody can say now."""

    word: Literal["good", "refused", "unknown"]
    token: Secret | None = None


class _Told(Struct, frozen=True):
    ticket: str
    expires_at: int
    path: str
    origin: str


_decode: Final = msgspec.json.Decoder(TicketAsk).decode
_encode: Final = msgspec.json.Encoder().encode


def read_ticket_ask(body: bytes, face: str = "") -> TicketAsk:
    """Read the body of a request for one that came in by a face, or natively. Raises RequestMalformed."""
    try:
        asked = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestMalformed("the body is not {'path': …, 'origin': …}") from None
    places = _OF_FACES.get(face, _OF_TABLE)
    if asked.path not in places:
        known = ", ".join(sorted(places))
        raise RequestMalformed(
            "'path' is not one at which WebSockets are opened", hint=f"There is {known}", param="path"
        )
    if asked.origin and _ORIGIN.fullmatch(asked.origin) is None:
        raise RequestMalformed("'origin' is not a web origin such as https://app.example", param="origin")
    return TicketAsk(places[asked.path], asked.origin)


def write_ticket(ticket: Secret, expires_at_s: int, asked: TicketAsk) -> bytes:
    """What its caller is told."""
    return _encode(_Told(ticket.reveal(), expires_at_s, asked.path, asked.origin))


def seal_token(ticket: Secret, token: bytes, asked: TicketAsk, nonce: bytes) -> bytes:
    """The token, to be kept with the ticket's digest; `nonce` is `NONCE_BYTES` random bytes, for this once."""
    return nonce + _aead(ticket).encrypt(nonce, token, _context(asked.path, asked.origin))


def open_token(shown: ShownTicket, sealed: bytes) -> Secret | None:
    """The token; None: the ticket is for another path or Origin, or this is no sealed token."""
    nonce, content = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return Secret(_aead(shown.ticket).decrypt(nonce, content, _context(shown.path, shown.origin)).decode())
    except (InvalidTag, ValueError):
        return None


def _aead(ticket: Secret) -> AESGCM:
    """No salt: the text is random already, and seals one token."""
    derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(ticket.reveal().encode())
    return AESGCM(derived)


def _context(path: str, origin: str) -> bytes:
    return b"\0".join((path.encode(), origin.encode()))
