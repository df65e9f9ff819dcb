"""Remembers since when this machine has used each shared secret, by a mark that does not give it away.

Nobody says how old a secret is; this is what is known of one in the environment, and no more.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from jotgate.ports import Files

_NAME: Final = "secrets.json"
_SECRETS_MAX: Final = 1_000


class SecretAges:
    """The file in DATA. Raises DirectoryRefused where it cannot be used."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self) -> Mapping[str, int]:
        """Since when each secret is known, in seconds since the epoch; a file that is not jotgate's says nothing."""
        content = self._files.read(_NAME)
        try:
            return {} if content is None else msgspec.json.decode(content, type=dict[str, int])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def note(self, marks: Iterable[str], now_s: float) -> Mapping[str, int]:
        """Remember secrets that are not known yet as known since now. Returns what `read` says then."""
        known = self.read()
        new = {mark: int(now_s) for mark in marks if mark not in known}
        if not new:
            return known
        newest = sorted({**known, **new}.items(), key=lambda item: item[1])[-_SECRETS_MAX:]
        self._files.replace(_NAME, msgspec.json.encode(dict(newest)))
        return dict(newest)
