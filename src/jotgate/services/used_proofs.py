"""Remembers which DPoP proofs were used, for as long as any of them could be shown again, and no longer."""

from typing import Final, Literal

from jotgate.core.dpop_nonces import NONCE_LIFE_S
from jotgate.core.proof_times import AGE_MAX_S, LEEWAY_S

KEPT_S: Final = max(NONCE_LIFE_S, AGE_MAX_S) + 2 * LEEWAY_S
"""A proof that was taken cannot be taken again after so long, whatever is remembered of it."""

PROOFS_MAX: Final = 1_000_000


class _Generation:
    """The proofs that were used in one span of time, and how many of them each holder has. Mutable."""

    __slots__ = ("askers", "counts")

    def __init__(self) -> None:
        self.askers: dict[bytes, bytes] = {}
        self.counts: dict[str, int] = {}


class UsedProofs:
    """The proofs that were used lately, in two generations. Mutable; `capacity` bounds them.

    No holder has more of them than there is room left: one alone has half of it at most, and whoever comes next finds
    as much room as each of those has who have most.
    """

    def __init__(self, capacity: int = PROOFS_MAX) -> None:
        self._capacity = capacity
        self._young = _Generation()
        self._old = _Generation()
        self._begun_s = 0.0

    def __len__(self) -> int:
        return len(self._young.askers) + len(self._old.askers)

    def knows(self, handle: bytes, asker: bytes) -> bool:
        """Whether a proof was used by somebody else than `asker`."""
        found = self._find(handle)
        return found is not None and found != asker

    def take(self, handle: bytes, asker: bytes, holder: str, now_s: float) -> Literal["fresh", "used", "crowded"]:
        """Remember that a proof is used: "fresh" if it was not, or by the same `asker`.

        "crowded": nothing is remembered, as its `holder` has as many as there may be of one. `now_s` never goes back
        from one call to the next.
        """
        if now_s - self._begun_s >= KEPT_S:
            self._old = self._young if now_s - self._begun_s < 2 * KEPT_S else _Generation()
            self._young, self._begun_s = _Generation(), now_s
        found = self._find(handle)
        if found is not None:
            return "fresh" if found == asker else "used"
        young, old = self._young, self._old
        held = young.counts.get(holder, 0)
        if held + old.counts.get(holder, 0) >= self._capacity - len(self):
            return "crowded"
        young.askers[handle] = asker
        young.counts[holder] = held + 1
        return "fresh"

    def _find(self, handle: bytes) -> bytes | None:
        """Who was the first to show a proof."""
        return self._young.askers.get(handle, self._old.askers.get(handle))
