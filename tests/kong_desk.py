"""A desk that makes tokens for Kong, before a Kong of its own: its chance, its way to the store and to Kong in hand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from jotgate.core.kong_auth import KongAuthRules
from jotgate.core.kong_credentials import KongConsumer, KongCredential, PlacedConsumer
from jotgate.core.values import Secret
from jotgate.errors import StoreUnavailable
from jotgate.ports import KongGate
from jotgate.services.kong_counts import CountedGate, KongCounts
from jotgate.services.kong_tokens import KongTokens, TokenMeans
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store
from jotgate.testing.kong_values import KongFault
from tests.kong_stage import KongStage, kong_stage
from tests.token_stage import EventLog

_Result = TypeVar("_Result")


class Chance:
    """Bytes that a test can foresee (ports.Entropy). Mutable: how many were given."""

    def __init__(self) -> None:
        self.given = 0

    def random_bytes(self, count: int) -> bytes:
        self.given += 1
        return bytes((self.given * 7 + place * 31) % 256 for place in range(count))


class Access:
    """The way to the store, which a test can cut (ports.StoreAccess). Mutable: behind how many calls it is."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.left = 1_000

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("the database does not answer")
        return work(self.store)


class Hooked:
    """A gate to Kong that does something else behind a credential (ports.KongGate). Mutable: what."""

    def __init__(self, gate: KongGate) -> None:
        self._gate = gate
        self.behind: Callable[[], Awaitable[None]] | None = None

    async def put_consumer(self, consumer: KongConsumer) -> PlacedConsumer:
        return await self._gate.put_consumer(consumer)

    async def put_credential(self, credential: KongCredential, secret: Secret | None) -> None:
        await self._gate.put_credential(credential, secret)
        if self.behind is not None:
            await self.behind()

    async def delete_credential(self, credential_id: str) -> None:
        await self._gate.delete_credential(credential_id)


class Desk:
    """What makes tokens, before a Kong of its own. Mutable: the rules."""

    def __init__(self, stage: KongStage) -> None:
        self.stage = stage
        self.rules = KongAuthRules(organization="sharif")
        self.log = EventLog()
        self.counts = KongCounts()
        self.access = Access(stage.store)
        self.chance = Chance()
        self.hooked = Hooked(stage.gate)
        self.gate = CountedGate(self.hooked, self.counts, stage.clock)
        means = TokenMeans(
            access=self.access,
            seals=stage.seals,
            gate=self.gate,
            clock=stage.clock,
            entropy=self.chance,
            recorder=Recorder(self.log, stage.clock),
        )
        self.tokens = KongTokens(means, lambda: self.rules, self.counts)

    @property
    def states(self) -> list[str]:
        """The states of all rows that are not gone."""
        return [str(one.state) for one in self.stage.store.credential_page("", 100)]

    def at_kong(self) -> dict[str, Any]:
        """The credentials that Kong has, by key."""
        return {one["key"]: one for one in self.stage.kong.credentials}

    def fail(self, method: str, skip: int = 0, **how: Any) -> None:
        """Have all requests of a method go wrong, but for the first."""
        self.stage.kong.faults.append(KongFault(**{"ill": "status", "times": 9, **how}, method=method, skip=skip))


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with kong_stage() as stage:
        yield Desk(stage)
