"""Tokens that never expire in the memory store."""

from collections.abc import Sequence

from jotgate.core.endless_tokens import EndlessToken
from jotgate.stores.memory_rows import MemoryRows


class MemoryEndlessTokens(MemoryRows):
    """Keeps when they were seen in a dictionary (store_ports.EndlessRecords)."""

    def endless_tokens(self, subject: str, after: str, limit: int) -> Sequence[EndlessToken]:
        """Those of a subject, by digest."""
        with self._lock:
            held = sorted(self._rows.endless_tokens.values(), key=lambda one: one.digest)
        return tuple(one for one in held if one.digest > after and subject in {"", one.subject})[:limit]

    def known_endless_tokens(self, digests: Sequence[str]) -> frozenset[str]:
        """Which of these are kept."""
        with self._lock:
            return frozenset(digests) & self._rows.endless_tokens.keys()

    def see_endless_tokens(self, tokens: Sequence[EndlessToken]) -> None:
        """Keep further sights."""
        with self._lock:
            for one in tokens:
                known = self._rows.endless_tokens.get(one.digest)
                self._rows.endless_tokens[one.digest] = one if known is None else known.and_also(one)

    def drop_endless_tokens(self, seen_at_s: int, most: int, limit: int) -> int:
        """Forget those that were seen last so long ago, or are too many."""
        with self._lock:
            held = sorted((one.last_seen_at_s, one.digest) for one in self._rows.endless_tokens.values())
            extra = len(held) - most
            gone = [digest for place, (seen_s, digest) in enumerate(held) if seen_s <= seen_at_s or place < extra]
            for digest in gone[:limit]:
                del self._rows.endless_tokens[digest]
            return len(gone[:limit])
