"""Counts what each address has open at this worker."""


class Crowd:
    """Connections and proxied calls by the caller's address. Mutable: the counts; one that is nought is gone."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def enter(self, address: str) -> int:
        """One more from this address. Returns how many there are now, this one among them."""
        count = self._counts.get(address, 0) + 1
        self._counts[address] = count
        return count

    def leave(self, address: str) -> None:
        """One that entered is gone."""
        count = self._counts[address] - 1
        if count:
            self._counts[address] = count
        else:
            del self._counts[address]

    def __len__(self) -> int:
        """How many addresses have something open."""
        return len(self._counts)
