"""Signers for tests: one key that signs whatever it is asked, and remembers what was issued."""

from collections.abc import Callable

from jotgate.core.durable import Issuance
from jotgate.jose.keys import SigningKey
from jotgate.keystores.local import LocalSigner
from jotgate.ports import Signer


class OneSigner:
    """Signs with one key (ports.Signers)."""

    def __init__(self, key: SigningKey) -> None:
        self._signer = LocalSigner(key)
        self.rows: list[Issuance] = []

    async def sign_until(self, expires_at_s: int) -> Signer:
        """The same one, for what is kept nowhere."""
        return self._signer

    async def signer(self, expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
        self.rows.append(row(self._signer.key.kid))
        assert self.rows[-1].expires_at_s == expires_at_s
        return self._signer
