"""Private parts of keys in memory, beside the records or in them, by a process that may be cut short."""

from collections.abc import Sequence

from jotgate.core.durable import KeyRecord
from jotgate.jose.keys import SigningKey, signing_key_from_pem, signing_key_to_pem


class PowerCut(Exception):
    """The process ended here."""


class Power:
    """Lets so many writes be done, and ends the process before the next."""

    def __init__(self, writes: int = 1_000) -> None:
        self.writes = writes

    def write(self) -> None:
        """One more write is about to be done."""
        self.writes -= 1
        if self.writes < 0:
            raise PowerCut


class MemoryParts:
    """Keeps private parts (ports.PrivateParts): `files` by kid, `mark`: which one signs; `seals`: in records."""

    def __init__(self, power: Power | None = None, *, seals: bool = False) -> None:
        self.files: dict[str, SigningKey] = {}
        self.mark: str | None = None
        self.power = power or Power()
        self._seals = seals

    @property
    def seals(self) -> bool:
        return self._seals

    def keep(self, key: SigningKey) -> bytes | None:
        if self._seals:
            return signing_key_to_pem(key)
        self.power.write()
        self.files[key.kid] = key
        return None

    def find(self, record: KeyRecord) -> SigningKey | None:
        if record.sealed is not None:
            return signing_key_from_pem(record.sealed, record.algorithm, record.kid)
        return self.files.get(record.kid)

    def strays(self) -> Sequence[SigningKey]:
        return list(self.files.values())

    def named(self) -> str | None:
        return self.mark

    def adopted(self) -> None:
        if self.mark is not None:
            self.power.write()
            self.mark = None

    def forget(self, record: KeyRecord) -> None:
        if record.kid in self.files:
            self.power.write()
            del self.files[record.kid]
