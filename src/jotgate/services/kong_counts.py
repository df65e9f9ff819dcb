"""Counts what is done for the users of the Kong auth service, and what is asked of Kong for it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from jotgate.core.figures import BOUNDS_US
from jotgate.core.kong_credentials import KongConsumer, KongCredential, PlacedConsumer
from jotgate.core.values import Secret
from jotgate.errors import JotgateError
from jotgate.ports import Clock, KongGate

TokenType = Literal["custom", "auto", "operator"]
"""Who a token was made for, and how: a user who asks for one, or for all that is needed; whomever an admin names."""

_Result = TypeVar("_Result")
_DONE: Final = "ok"


class Spans:
    """Times that something took, by bucket. Mutable: the counts, and their sum in microseconds."""

    def __init__(self) -> None:
        self.buckets: Final = [0] * (len(BOUNDS_US) + 1)
        self.sum_us = 0

    def add(self, span_us: int) -> None:
        """Count one."""
        self.buckets[bisect_left(BOUNDS_US, span_us)] += 1
        self.sum_us += span_us


class KongCounts:
    """The counts of one control process. Mutable: they only grow.

    `refused` has the requests for tokens to which Casdoor said no, or nothing, by the error's code.
    `calls` has the requests to Kong by what they are about, the method and the outcome: `ok`, or an error's code. Of
    `spans`, how long they took, by the first two.
    """

    def __init__(self) -> None:
        self.tokens: Final[Counter[TokenType]] = Counter()
        self.refused: Final[Counter[str]] = Counter()
        self.deleted = 0
        self.consumers = 0
        self.calls: Final[Counter[tuple[str, str, str]]] = Counter()
        self.spans: Final[dict[tuple[str, str], Spans]] = {}


class CountedGate:
    """A gate to Kong whose requests are counted (ports.KongGate)."""

    def __init__(self, gate: KongGate, counts: KongCounts, clock: Clock) -> None:
        self._gate = gate
        self._counts = counts
        self._clock = clock

    async def put_consumer(self, consumer: KongConsumer) -> PlacedConsumer:
        """Have Kong know a consumer."""
        placed = await self.counted("consumers", "PUT", lambda: self._gate.put_consumer(consumer))
        self._counts.consumers += placed.created
        return placed

    async def put_credential(self, credential: KongCredential, secret: Secret | None) -> None:
        """Have Kong take a token."""
        await self.counted("jwt", "PUT", lambda: self._gate.put_credential(credential, secret))

    async def delete_credential(self, credential_id: str) -> None:
        """Have Kong take it no more."""
        await self.counted("jwt", "DELETE", lambda: self._gate.delete_credential(credential_id))

    async def counted(self, endpoint: str, method: str, ask: Callable[[], Awaitable[_Result]]) -> _Result:
        """Do what `ask` does, and count it. Raises as that."""
        begun_s, outcome = self._clock.monotonic_s(), "cancelled"
        try:
            found = await ask()
            outcome = _DONE
        except JotgateError as refusal:
            outcome = refusal.code
            raise
        finally:
            self._counts.calls[endpoint, method, outcome] += 1
            spans = self._counts.spans.setdefault((endpoint, method), Spans())
            spans.add(int((self._clock.monotonic_s() - begun_s) * 1_000_000))
        return found
