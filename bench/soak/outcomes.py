"""What became of each request of a soak: good, closed, or wrong."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["closed", "wrong"]


class Closed(Exception):
    """The connection was closed before the answer was whole."""


class Wrong(Exception):
    """An answer came that is not the right one; the text says which."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not get its answer. `port` is the client's, 0 where it cannot be known."""

    client: str
    kind: Kind
    detail: str
    port: int
    began_s: float
    ended_s: float


class Answered(NamedTuple):
    """A request that got its answer."""

    client: str
    port: int
    began_s: float
    ended_s: float


class Outcomes:
    """Gathers outcomes from all threads. Mutable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answered: list[Answered] = []
        self.failures: list[Failure] = []

    def succeeded(self, client: str, port: int, began_s: float) -> None:
        """A request was answered, and rightly."""
        with self._lock:
            self.answered.append(Answered(client, port, began_s, time.monotonic()))

    def failed(self, client: str, error: Exception, port: int, began_s: float) -> None:
        """A request was not."""
        kind: Kind = "closed" if isinstance(error, Closed) else "wrong"
        failure = Failure(client, kind, f"{type(error).__name__}: {error}", port, began_s, time.monotonic())
        with self._lock:
            self.failures.append(failure)

    @property
    def counts(self) -> Counter[str]:
        """Answered requests by client."""
        return Counter(one.client for one in self.answered)

    def slowest_s(self, client: str) -> float:
        """The longest time that an answer to this client took."""
        return max((one.ended_s - one.began_s for one in self.answered if one.client == client), default=0.0)
