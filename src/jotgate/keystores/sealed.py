"""Private parts of signing keys sealed in their records: encrypted and authenticated under a master key (ADR 0011).

A sealed part is a version (one byte), a check of the master key (8 bytes), a random nonce (12 bytes), and AES-256-GCM's
output over the PKCS #8 PEM. What stands before the nonce, the algorithm and the kid are authenticated with it, so that
a part is of no use under another key's name. The encryption key and the check come from the master key by HKDF.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jotgate.core.durable import KeyRecord
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose.keys import SigningKey, signing_key_from_pem, signing_key_to_pem
from jotgate.keystores.pem import PemKeystore

_VERSION: Final = b"\x01"
_CHECK_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 16
_HEAD_BYTES: Final = len(_VERSION) + _CHECK_BYTES


class MasterKey:
    """What private parts are sealed under: the UTF-8 bytes of a secret text. `repr` shows nothing of it."""

    __slots__ = ("_aead", "fingerprint")

    def __init__(self, secret: Secret) -> None:
        octets = secret.reveal().encode()
        self._aead = AESGCM(derive(octets, b"jotgate seal 1", _KEY_BYTES))
        self.fingerprint: Final = derive(octets, b"jotgate master key", _FINGERPRINT_BYTES).hex()
        """Tells master keys apart and says nothing of them: 32 hexadecimal digits."""

    def seal(self, key: SigningKey) -> bytes:
        """The private part, sealed. Raises KeyRefused: an HMAC key has none."""
        head = _VERSION + self._check
        nonce = secrets.token_bytes(_NONCE_BYTES)
        context = _context(head, key.algorithm.name, key.kid)
        return head + nonce + self._aead.encrypt(nonce, signing_key_to_pem(key), context)

    def open(self, record: KeyRecord) -> SigningKey:
        """The key in a record with a sealed part.

        Raises:
            KeyRefused: it was sealed under another master key, is damaged, or by a jotgate that is newer.
        """
        sealed = record.sealed or b""
        if sealed[:1] != _VERSION:
            raise KeyRefused(
                f"the private part of the key {record.kid} is sealed in a form that this jotgate does not know",
                hint="Start the newer jotgate again that sealed it",
            )
        if sealed[1:_HEAD_BYTES] != self._check:
            raise KeyRefused(
                f"the private part of the key {record.kid} is damaged, or was sealed under another master key",
                hint="Bring the store back from a backup, or replace the key with 'jotgate key revoke'",
            )
        nonce, content = sealed[_HEAD_BYTES:][:_NONCE_BYTES], sealed[_HEAD_BYTES + _NONCE_BYTES :]
        damaged = KeyRefused(
            f"the private part of the key {record.kid} is damaged, or is another key's",
            hint="Bring the store back from a backup, or replace the key with 'jotgate key revoke'",
        )
        if len(content) < _TAG_BYTES:
            raise damaged
        try:
            pem = self._aead.decrypt(nonce, content, _context(sealed[:_HEAD_BYTES], record.algorithm, record.kid))
        except InvalidTag:
            raise damaged from None
        return signing_key_from_pem(pem, record.algorithm, record.kid)

    @property
    def _check(self) -> bytes:
        return bytes.fromhex(self.fingerprint)[:_CHECK_BYTES]

    def __repr__(self) -> str:
        return "MasterKey(…)"


class SealedKeystore:
    """Keeps private parts in their records (ports.PrivateParts); those that have PEM files yet are read from there."""

    seals: Final = True

    def __init__(self, master: MasterKey, files: PemKeystore) -> None:
        self._master = master
        self._files = files

    def keep(self, key: SigningKey) -> bytes:
        """The sealed private part."""
        return self._master.seal(key)

    def find(self, record: KeyRecord) -> SigningKey | None:
        """The key of a record. Raises KeyRefused, DirectoryRefused."""
        return self._files.find(record) if record.sealed is None else self._master.open(record)

    def strays(self) -> Sequence[SigningKey]:
        """The keys that have PEM files. Raises DirectoryRefused."""
        return self._files.strays()

    def named(self) -> str | None:
        """The `kid` of the PEM file that signs. Raises DirectoryRefused."""
        return self._files.named()

    def adopted(self) -> None:
        """Erase that mark. Raises DirectoryRefused."""
        self._files.adopted()

    def forget(self, record: KeyRecord) -> None:
        """Erase the PEM file of a key, if it has one. Raises DirectoryRefused."""
        self._files.forget(record)


def derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    """HKDF with SHA-256 and no salt (RFC 5869): the secret is random already, and only its uses must differ."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret)


def _context(head: bytes, algorithm: str, kid: str) -> bytes:
    return b"\0".join((head.hex().encode(), algorithm.encode(), kid.encode()))
