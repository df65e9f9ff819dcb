"""Keeps the JWK Sets of other issuers in DATA/issuer-keys.json, for a control process that starts during an outage."""

from collections.abc import Mapping
from typing import Final

import msgspec

from jotgate.core.key_fetches import KeptSet
from jotgate.ports import Files

KEPT_BYTES_MAX: Final = 67_108_864
"""What `files` has to take."""

_NAME: Final = "issuer-keys.json"


class KeptKeySets:
    """The file (ports.KeptSets). It holds public keys alone; who may write it decides whose tokens are taken."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self) -> Mapping[str, KeptSet]:
        """What was kept; a file that is not jotgate's says nothing. Raises DirectoryRefused."""
        content = self._files.read(_NAME)
        try:
            return {} if content is None else msgspec.json.decode(content, type=dict[str, KeptSet])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}

    def keep(self, sets: Mapping[str, KeptSet]) -> None:
        """Keep these in place of all before. Raises DirectoryRefused."""
        self._files.replace(_NAME, msgspec.json.encode(dict(sets)))
