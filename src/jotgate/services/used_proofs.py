"""Remembers which DPoP proofs were used, for as long as any of them could be shown again, and no longer."""

from typing import Final

from jotgate.core.dpop_nonces import NONCE_LIFE_S
from jotgate.core.proof_times import AGE_MAX_S, LEEWAY_S
from jotgate.errors import StoreUnavailable

KEPT_S: Final = max(NONCE_LIFE_S, AGE_MAX_S) + 2 * LEEWAY_S
"""A proof that was taken cannot be taken again after so long, whatever is remembered of it."""

PROOFS_MAX: Final = 1_000_000


class UsedProofs:
    """The proofs that were used lately, in two generations. Mutable; `capacity` bounds them."""

    def __init__(self, capacity: int = PROOFS_MAX) -> None:
        self._capacity = capacity
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._begun_s = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def knows(self, handle: bytes, asker: bytes) -> bool:
        """Whether a proof was used by somebody else than `asker`."""
        found = self._young.get(handle, self._old.get(handle))
        return found is not None and found != asker

    def take(self, handle: bytes, asker: bytes, now_s: float) -> bool:
        """Remember that a proof is used; False if it was, unless it was by the same `asker`.

        `now_s` never goes back from one call to the next.

        Raises:
            StoreUnavailable: so many are remembered that no other can be.
        """
        if now_s - self._begun_s >= KEPT_S:
            self._old = self._young if now_s - self._begun_s < 2 * KEPT_S else {}
            self._young, self._begun_s = {}, now_s
        found = self._young.get(handle, self._old.get(handle))
        if found is not None:
            return found == asker
        if len(self) >= self._capacity:
            raise StoreUnavailable(
                f"{self._capacity} DPoP proofs of the last minutes are remembered, and no further one can be",
                hint="Try again in a few minutes",
            )
        self._young[handle] = asker
        return True
