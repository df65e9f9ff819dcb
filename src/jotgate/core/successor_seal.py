"""The successor of a refresh token, encrypted so that only whoever has that token can read it.

The key comes by HKDF-SHA256 (RFC 5869) from the token's text, of which the store has a digest alone: what the store
keeps tells nothing. Sealed is a version (one byte), a nonce (12 bytes), and AES-256-GCM's output over the text of the
successor; family and generation are authenticated with it.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jotgate.core.families import RefreshRecord
from jotgate.core.values import Secret

NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"
_PURPOSE: Final = b"jotgate refresh successor 1"
_KEY_BYTES: Final = 32
_HEAD_BYTES: Final = len(_VERSION) + NONCE_BYTES


def seal_successor(token: RefreshRecord, text: Secret, successor: Secret, nonce: bytes) -> bytes:
    """The successor's text, to be kept with a token of this `text`; `nonce` is 12 random bytes, for this once."""
    sealed = _aead(text).encrypt(nonce, successor.reveal().encode(), _context(token))
    return _VERSION + nonce + sealed


def open_successor(token: RefreshRecord, text: Secret) -> Secret | None:
    """The text of the successor; None when it is erased, or is not what was sealed for this token and text."""
    sealed = token.successor or b""
    if sealed[:1] != _VERSION or len(sealed) <= _HEAD_BYTES:
        return None
    try:
        nonce, content = sealed[len(_VERSION) : _HEAD_BYTES], sealed[_HEAD_BYTES:]
        return Secret(_aead(text).decrypt(nonce, content, _context(token)).decode())
    except InvalidTag:
        return None


def _aead(text: Secret) -> AESGCM:
    """No salt: the text is random already. A token is used once, so that its key seals one successor or two."""
    derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(text.reveal().encode())
    return AESGCM(derived)


def _context(token: RefreshRecord) -> bytes:
    return b"\0".join((_VERSION, token.family_id.encode(), b"%d" % token.generation))
