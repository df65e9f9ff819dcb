"""Signers for tests: one key that signs whatever it is asked, and remembers what was issued."""

from msgspec.structs import replace

from jotgate.core.durable import Issuance
from jotgate.jose.keys import SigningKey
from jotgate.keystores.local import LocalSigner
from jotgate.ports import Signer


class OneSigner:
    """Signs with one key (ports.Signers)."""

    def __init__(self, key: SigningKey) -> None:
        self._signer = LocalSigner(key)
        self.rows: list[Issuance] = []

    async def signer(self, row: Issuance) -> Signer:
        self.rows.append(replace(row, kid=self._signer.key.kid))
        return self._signer
