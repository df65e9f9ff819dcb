"""Where signing keys are kept: PEM files (PKCS #8) in DATA/keys, private by mode.

`ALGORITHM.KID.pem` holds a key, because a PEM file says neither, and `active` the kid of the one that signs. The kid
is the key's RFC 7638 thumbprint, so a file under a wrong name is found out.
"""

from collections.abc import Sequence
from typing import Final

from jotgate.errors import DirectoryRefused, JotgateError
from jotgate.jose.keys import SigningKey, signing_key_from_pem, signing_key_to_pem
from jotgate.ports import Files

_ACTIVE: Final = "active"
_SUFFIX: Final = ".pem"


class PemKeystore:
    """Keeps keys as files (ports.Keystore)."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def load(self) -> Sequence[SigningKey]:
        """All keys, by file name. Raises DirectoryRefused, also for a file that is no such key."""
        return [self._read(name) for name in self._files.names() if name.endswith(_SUFFIX)]

    def active(self) -> str | None:
        """The `kid` of the key that signs. Raises DirectoryRefused."""
        content = self._files.read(_ACTIVE)
        return None if content is None else content.decode("ascii", "replace").strip()

    def add(self, key: SigningKey) -> None:
        """Keep a key. Raises DirectoryRefused."""
        self._files.replace(f"{key.algorithm.name}.{key.kid}{_SUFFIX}", signing_key_to_pem(key))

    def activate(self, kid: str) -> None:
        """Name the key that signs. Raises DirectoryRefused."""
        self._files.replace(_ACTIVE, f"{kid}\n".encode("ascii"))

    def _read(self, name: str) -> SigningKey:
        algorithm, _, kid = name.removesuffix(_SUFFIX).partition(".")
        try:
            key = signing_key_from_pem(self._files.read(name) or b"", algorithm)
        except DirectoryRefused:
            raise
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
