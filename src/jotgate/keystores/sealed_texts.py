"""Secret texts sealed for the store: encrypted and authenticated under the master key, or under a key of this DATA.

A sealed text is a version (one byte), a check of the key (8 bytes), a random nonce (12 bytes), and AES-256-GCM's
output. What stands before the nonce, and the context that the text is for, are authenticated with it: moved to another
row it cannot be opened. Encryption key and check come from the secret by HKDF, apart from those of signing keys.
"""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused
from jotgate.keystores.sealed import derive
from jotgate.ports import Files

_FILE: Final = "seal.key"
_VERSION: Final = b"\x01"
_CHECK_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_KEY_CHARS: Final = 44  # so many bytes in Base64
_HEAD_BYTES: Final = len(_VERSION) + _CHECK_BYTES
_MEND: Final = "Bring it back from a backup; or remove it, and log in again: jotgate upstream login"


class SealKey:
    """One key that seals. `repr` shows nothing of it."""

    __slots__ = ("_aead", "head")

    def __init__(self, secret: Secret) -> None:
        octets = secret.reveal().encode()
        self._aead = AESGCM(derive(octets, b"jotgate seal of texts 1", _KEY_BYTES))
        self.head: Final = _VERSION + derive(octets, b"jotgate check of texts 1", _CHECK_BYTES)
        """What everything that it sealed begins with."""

    def seal(self, text: Secret, context: Sequence[str]) -> bytes:
        """The text, sealed."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.head + nonce + self._aead.encrypt(nonce, text.reveal().encode(), _bind(self.head, context))

    def open(self, sealed: bytes, context: Sequence[str]) -> Secret | None:
        """The text that this key sealed; None: it is damaged, or was sealed for something else."""
        nonce, content = sealed[_HEAD_BYTES:][:_NONCE_BYTES], sealed[_HEAD_BYTES + _NONCE_BYTES :]
        try:
            return Secret(self._aead.decrypt(nonce, content, _bind(self.head, context)).decode())
        except (InvalidTag, ValueError):  # a nonce that is too short, or no UTF-8
            return None

    def __repr__(self) -> str:
        return "SealKey(…)"


class TextSeals:
    """Seals texts (ports.Seals): under the master key if there is one, else under `seal.key` in DATA.

    What was sealed under that file before there was a master key is still opened. The file is made when it is first
    needed; its mode is 0600, as that of a signing key's file.
    """

    def __init__(self, master: Secret | None, files: Files) -> None:
        self._master = None if master is None else SealKey(master)
        self._files = files

    def seal(self, text: Secret, context: Sequence[str]) -> bytes:
        """The text, sealed for a context. Raises DirectoryRefused."""
        key = self._master or self._own() or self._make()
        return key.seal(text, context)

    def open(self, sealed: bytes, context: Sequence[str]) -> Secret:
        """The text that was sealed for a context.

        Raises:
            DirectoryRefused: it was sealed under another key, for something else, is damaged, or by a newer jotgate.
        """
        key = next((one for one in self._keys() if sealed.startswith(one.head)), None)
        if key is None:
            raise DirectoryRefused(
                "what is sealed in the store cannot be opened here: it was sealed under another key",
                hint="Give every machine that shares the store the same keys.master_key_env or _file (docs/keys.md)",
            )
        text = key.open(sealed, context)
        if text is None:
            raise DirectoryRefused(
                "what is sealed in the store is damaged, or is something else's", hint="Bring it back from a backup"
            )
        return text

    def _keys(self) -> list[SealKey]:
        return [key for key in (self._master, self._own()) if key is not None]

    def _own(self) -> SealKey | None:
        content = self._files.read(_FILE)
        if content is None:
            return None
        text = content.decode("ascii", "replace").strip()
        if len(text) != _KEY_CHARS:  # Of an empty one everybody would know what was sealed.
            raise DirectoryRefused(f"the file '{_FILE}' in DATA is not what jotgate wrote", hint=_MEND)
        return SealKey(Secret(text))

    def _make(self) -> SealKey:
        text = b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")
        self._files.replace(_FILE, f"{text}\n".encode())
        return SealKey(Secret(text))


def _bind(head: bytes, context: Sequence[str]) -> bytes:
    """What a sealed text is bound to; the parts of the context cannot run into one another."""
    parts = [part.encode() for part in context]
    return b"".join([head, *(len(part).to_bytes(4, "big") + part for part in parts)])
