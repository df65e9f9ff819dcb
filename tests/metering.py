"""A gateway whose calls are limited by quotas: the worker's own metering, and in place of control a ledger in memory.

Nothing happens by itself: `run` does what an event loop would do, and answers what was asked; `tick` lets time pass.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import structs

from jotgate.core.ledger import Balance, LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Level, Limit, Price, Quota, Spender, Unit, WindowKind
from jotgate.core.routes import Attempt, MeteringRules, Route
from jotgate.gateway.world import Place, World
from jotgate.ports import Running
from jotgate.services.meter import Metering
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.stages import Stage

TICK_S: Final = 0.25
USUAL: Final = MeteringRules(output_ceiling=100, output_step=64, image_tokens=10, audio_tokens=10)
EVENT: Final = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
DONE: Final = b"data: [DONE]\n\n"


def quota(amount: int, unit: Unit = "total_tokens", *, per: tuple[Level, ...] = ("principal",)) -> Quota:
    """A quota of this much for ever, or, of `concurrent`, at once."""
    window: WindowKind = "now" if unit == "concurrent" else "lifetime"
    return Quota(f"{unit}-of-{'-'.join(per)}", Limit(unit, amount, window), per)


def usage(tokens_in: int, tokens_out: int) -> bytes:
    """The event that tells a stream's usage and nothing else."""
    return b'data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}\n\n' % (tokens_in, tokens_out)


class Chance:
    """Names of leases that are told apart (ports.Entropy)."""

    def __init__(self) -> None:
        self._count = 0

    def random_bytes(self, count: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count, "big")


class Turns:
    """What is to be done in coming turns of the loop, in order."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def soon(self, thing: Callable[[], None]) -> None:
        """Have something done later."""
        self.waiting.append(thing)


class MeteredStage(Stage):
    """The stage, whose calls meet these quotas.

    `mute`: control does not answer. `down`: its store does not. `planless`: it cannot say which quotas meet a call.
    `upstreams` says what is other than usual of those.
    """

    def __init__(
        self,
        *quotas: Quota,
        rules: MeteringRules = USUAL,
        price: Price | None = None,
        retry_unsafe: bool = False,
        upstreams: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.turns = Turns()
        super().__init__(soon=self.turns.soon)
        self.quotas = quotas
        self.store = MemoryStore(self.clock.now_s)
        self.mute = self.down = self.planless = False
        self.asked: deque[Callable[[], None]] = deque()
        self.metering = self.gateway.metered.reserve_by(self._build)
        routes: Mapping[str, Route] = {
            alias: structs.replace(
                route,
                metering=rules,
                retry_unsafe=retry_unsafe,
                attempts=tuple(Attempt(one.upstream, one.model, price=price) for one in route.attempts),
            )
            for alias, route in self.world.routes.items()
        }
        places = {
            name: Place(structs.replace(place.upstream, **(upstreams or {}).get(name, {})), place.port)
            for name, place in self.world.places.items()
        }
        self.world: World = structs.replace(self.world, metered=True, routes=routes, places=places)
        self.gateway.swap(self.world)

    def begin(
        self, body: bytes = b'{"model":"a","stream":true}', *, path: bytes = b"/v1/chat/completions", **claims: object
    ) -> tuple[RecordingCaller, Running | None]:
        """Put a good call through, and let it find its quotas and units."""
        token = self.issuer.token(**claims)
        asked = request(body, path=path, authorization=b"Bearer " + token)
        asked.begun_s = self.clock.monotonic_s()
        caller, running = self.ask(asked)
        self.run()
        return caller, running

    def run(self) -> None:
        """Do what is to be done, and have control answer, until nothing is left to do."""
        while self.turns.waiting or (self.asked and not self.mute):
            if self.turns.waiting:
                self.turns.waiting.popleft()()
            else:
                self.asked.popleft()()

    def tick(self, times: int = 1) -> None:
        """Let a quarter of a second pass so often."""
        for _ in range(times):
            self.wait(TICK_S)
            self.run()

    def balance(self, place: int = 0, subject: str = "alice") -> Balance:
        """How the account of a quota of a principal stands."""
        (found,) = self.store.balances([meter_of(self.quotas[place], (subject,))])
        return found

    def rest(self) -> Balance:
        """How the first account stands when nothing was done for as long as idle units may be held."""
        self.tick(9)
        return self.balance()

    def _build(self, told: Callable[..., object]) -> Metering:
        return Metering(
            self.clock, Chance(), ask_plan=self._plan, ask_leases=self._lease, told=told, soon=self.turns.soon
        )

    def _plan(self, number: int, spender: Spender, model: str, operation: str) -> None:
        known: Mapping[Level, str] = {"principal": spender.subject, "token": spender.token, "model": model}
        meters = tuple(meter_of(one, tuple(known[level] for level in one.per)) for one in self.quotas)

        def answer() -> None:
            self.metering.plan_answered(number, None if self.planless else meters)

        self.asked.append(answer)

    def _lease(self, number: int, asks: Sequence[LeaseAsk]) -> None:
        def answer() -> None:
            self.metering.leases_answered(number, None if self.down else list(self.store.turn(asks)))

        self.asked.append(answer)
