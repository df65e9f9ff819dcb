"""Sessions of MCP clients of the older era: sealed texts, so that any worker can read one and nobody else can.

A session belongs to the server and the caller that it was made for. It holds the one that the server behind has given,
or what the client said when it began, where the session is jotgate's own. The text is a nonce (12 bytes) and the output
of AES-256-GCM, in base64url; whose it is and for which server is authenticated with it.
"""

from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Raw, Struct

from jotgate.core.principals import Principal
from jotgate.core.values import Secret
from jotgate.errors import McpMalformed, McpSessionUnknown, TokenMalformed
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.mcp_refusals import RPC_INVALID_PARAMS

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
SESSION_CHARS_MAX: Final = 8_192
"""A text that is longer is none: headers have limits."""
_PURPOSE: Final = b"jotgate mcp session 1"
_NOTHING: Final = Raw(b"{}")
_UNKNOWN: Final = "this session is over, or is not this caller's"


class Session(Struct, frozen=True, omit_defaults=True, array_like=True):
    """What a session holds: the server's own name for it, or `client` and `capabilities` as `initialize` had them."""

    version: str
    upstream: str = ""
    client: Raw = _NOTHING
    capabilities: Raw = _NOTHING


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, str, bytes, bytes]).decode


def seal_session(session: Session, key: Secret, nonce: bytes, principal: Principal, server: str) -> bytes:
    """The text of a session of this caller with a server; `nonce` is 12 random bytes, for this once.

    Raises:
        McpMalformed: the client said more of itself than fits.
    """
    content = _encode((session.version, session.upstream, bytes(session.client), bytes(session.capabilities)))
    sealed = AESGCM(_key(key)).encrypt(nonce, content, _context(principal, server))
    text = b64url_encode(nonce + sealed)
    if len(text) > SESSION_CHARS_MAX:
        raise McpMalformed(RPC_INVALID_PARAMS, "'clientInfo' and 'capabilities' are too long", param="params")
    return text


def open_session(text: bytes, key: Secret, principal: Principal, server: str) -> Session:
    """What a session holds.

    Raises:
        McpSessionUnknown: it is none, or not of this caller and server.
    """
    try:
        octets = b64url_decode(text[:SESSION_CHARS_MAX])
        content = AESGCM(_key(key)).decrypt(octets[:NONCE_BYTES], octets[NONCE_BYTES:], _context(principal, server))
        version, upstream, client, capabilities = _decode(content)
    except (TokenMalformed, InvalidTag, ValueError, msgspec.MsgspecError):
        raise McpSessionUnknown(_UNKNOWN) from None
    return Session(version, upstream, Raw(client), Raw(capabilities))


def _key(key: Secret) -> bytes:
    return sha256(_PURPOSE + key.reveal().encode()).digest()


def _context(principal: Principal, server: str) -> bytes:
    """Whose it is: who may use a session is who began it, also with another token and as whichever actor."""
    actor = principal.actors[0].subject if principal.actors else ""
    named = (principal.issuer, principal.subject, principal.client_id, actor, server)
    return _PURPOSE + msgspec.msgpack.encode(named)
