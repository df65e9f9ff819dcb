"""Signers for tests: one key that signs whatever it is asked, and remembers what was issued."""

from jotgate.core.durable import Issuance
from jotgate.jose.keys import SigningKey
from jotgate.keystores.local import LocalSigner
from jotgate.ports import Signer


class OneSigner:
    """Signs with one key (ports.Signers)."""

    def __init__(self, key: SigningKey) -> None:
        self._signer = LocalSigner(key)
        self.ends: list[int] = []
        self.rows: list[Issuance] = []

    async def signer(self, expires_at_s: int) -> Signer:
        self.ends.append(expires_at_s)
        return self._signer

    async def issued(self, row: Issuance) -> None:
        self.rows.append(row)
