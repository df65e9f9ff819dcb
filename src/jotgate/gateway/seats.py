"""How many connections somebody has over all workers of an instance: each has a seat, and no two have the same."""

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Final, Protocol

SEATS_MAX: Final = 2**17
"""Nobody has more; the numbers of their marks lie side by side."""
_NAME_BYTES: Final = 8
_NAMES: Final = 2**45
"""So many have seats of their own: a mark's number has 63 bits."""


class Marks(Protocol):
    """Marks that one process of the instance has at a time."""

    @property
    def key(self) -> bytes:
        """What no caller knows, and all processes of the instance do."""

    def take(self, number: int) -> bool:
        """Whether the mark is this process's from now on; if not, it is another one's."""

    def give(self, number: int) -> None:
        """Let others have the mark."""


class OwnMarks:
    """Marks of a process that shares them with nobody."""

    key: Final = b""

    def take(self, number: int) -> bool:  # noqa: ARG002 - as Marks
        """There is nobody else."""
        return True

    def give(self, number: int) -> None:
        """There is nobody else."""


class Seats:
    """Those that this worker has given away. Mutable: which they are, by their marks."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._taken: set[int] = set()

    def take(self, *whose: str, limit: int) -> Callable[[], None] | None:
        """A seat of who has `limit` in all: what gives it back, which may be called twice. None: there is none.

        `whose` names them; nobody else has the same.
        """
        name = blake2b("\0".join(whose).encode(), digest_size=_NAME_BYTES, key=self._marks.key).digest()
        first = (int.from_bytes(name) % _NAMES + 1) * SEATS_MAX
        for number in range(first, first + min(limit, SEATS_MAX)):
            if number not in self._taken and self._marks.take(number):
                self._taken.add(number)
                return partial(self._give, number)
        return None

    def _give(self, number: int) -> None:
        if number in self._taken:
            self._taken.remove(number)
            self._marks.give(number)
