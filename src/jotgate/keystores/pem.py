"""Private parts of signing keys as PEM files (PKCS #8) in DATA/keys, private by mode.

`ALGORITHM.KID.pem` holds a key, because a PEM file says neither. The kid is the key's RFC 7638 thumbprint, so a file
under a wrong name is found out. An installation from before there were records of keys has `active` beside them, with
the kid of the one that signs.
"""

from collections.abc import Sequence
from typing import Final

from jotgate.core.durable import KeyRecord
from jotgate.errors import DirectoryRefused, JotgateError
from jotgate.jose.keys import SigningKey, signing_key_from_pem, signing_key_to_pem
from jotgate.ports import Files

_ACTIVE: Final = "active"
_SUFFIX: Final = ".pem"


class PemKeystore:
    """Keeps private parts as files (ports.PrivateParts)."""

    seals: Final = False

    def __init__(self, files: Files) -> None:
        self._files = files

    def keep(self, key: SigningKey) -> None:
        """Write the file of a key. Raises DirectoryRefused."""
        self._files.replace(_name(key.algorithm.name, key.kid), signing_key_to_pem(key))

    def find(self, record: KeyRecord) -> SigningKey | None:
        """The key in its file, if there is one. Raises DirectoryRefused, also for a file that is no such key."""
        name = _name(record.algorithm, record.kid)
        if name not in self._files.names():  # So that no kid from elsewhere leads to a file outside.
            return None
        content = self._files.read(name)
        return None if content is None else _read(name, content)

    def strays(self) -> Sequence[SigningKey]:
        """All keys that have a file, by its name. Raises DirectoryRefused, also for a file that is no such key."""
        names = [name for name in self._files.names() if name.endswith(_SUFFIX)]
        return [_read(name, self._files.read(name) or b"") for name in names]

    def named(self) -> str | None:
        """The `kid` in the file `active`. Raises DirectoryRefused."""
        content = self._files.read(_ACTIVE)
        return None if content is None else content.decode("ascii", "replace").strip()

    def adopted(self) -> None:
        """Erase the file `active`, if it is there. Raises DirectoryRefused."""
        if _ACTIVE in self._files.names():
            self._files.remove(_ACTIVE)

    def forget(self, record: KeyRecord) -> None:
        """Erase the file of a key, if it is there. Raises DirectoryRefused."""
        name = _name(record.algorithm, record.kid)
        if name in self._files.names():
            self._files.remove(name)


def _name(algorithm: str, kid: str) -> str:
    return f"{algorithm}.{kid}{_SUFFIX}"


def _read(name: str, content: bytes) -> SigningKey:
    algorithm, _, kid = name.removesuffix(_SUFFIX).partition(".")
    try:
        key = signing_key_from_pem(content, algorithm)
    except JotgateError as error:
        raise DirectoryRefused(
            f"the key file 'keys/{name}' does not hold an {algorithm} private key",
            hint="Bring it back from a backup, or move it away and create new tokens",
            debug=error.message,
        ) from None
    if key.kid != kid:
        raise DirectoryRefused(
            f"the key file 'keys/{name}' holds the key {key.kid}",
            hint=f"Give it back its name: {algorithm}.{key.kid}{_SUFFIX}",
        )
    return key
