"""The soak: clients ask without pause while the gateway is disturbed, and every request is accounted for."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final, Self

from bench.soak.official import OfficialClients
from bench.soak.outcomes import Failure, Outcomes
from bench.soak.raw import Client
from bench.soak.rig import Kill, Rig

KEPT: Final = 6
BURST: Final = 8
KILLS: Final = "workers killed by SIGKILL"
QUEUED: Final = "connections made to a worker that stands still, or to the other"


class Broken(AssertionError):
    """A request failed that must not; the text says which and how."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often what is done. `pause_s` lies between two disturbances, `kill_pause_s` between two kills."""

    reloads: int
    stops: int
    swaps: int
    kills: int
    pause_s: float
    kill_pause_s: float


# A worker that lives for ten seconds is started again at once; one that does not waits longer each time.
FULL: Final = Sizes(reloads=50, stops=20, swaps=10, kills=20, pause_s=1.3, kill_pause_s=5.0)
SMALL: Final = Sizes(reloads=4, stops=2, swaps=2, kills=2, pause_s=0.1, kill_pause_s=0.5)


@dataclass
class Findings:
    """What the soak saw. Mutable while it runs."""

    calm: Outcomes = field(default_factory=Outcomes)
    violent: Outcomes = field(default_factory=Outcomes)
    done: dict[str, int] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    waited: int = 0
    seconds: float = 0.0


class Load:
    """The clients that speak for themselves, on a loop and a thread of their own."""

    def __init__(self, rig: Rig, outcomes: Outcomes) -> None:
        self._rig = rig
        self._outcomes = outcomes
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "load")
        self._ended: Future[None] | None = None

    def __enter__(self) -> Self:
        self._ended = self._thread.submit(self._loop.run_until_complete, self._ask_all())
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.shutdown()
        self._loop.close()
        if self._ended is not None:
            self._ended.result()

    def burst(self, name: str, count: int) -> "Future[None]":
        """Ask once over each of so many new connections; done when all have their outcome."""

        async def ask_all() -> None:
            client = self._client(name)
            await asyncio.gather(*(client.ask_once() for _ in range(count)))

        return asyncio.run_coroutine_threadsafe(ask_all(), self._loop)

    def _client(self, name: str) -> Client:
        return Client(name, self._rig.door, self._outcomes)

    async def _ask_all(self) -> None:
        stop = self._stop
        async with asyncio.TaskGroup() as tasks:
            for _ in range(KEPT):
                tasks.create_task(self._client("kept connections").keep_asking(stop))
            tasks.create_task(self._client("new connections").ask_anew(stop))
            tasks.create_task(self._client("Upgrade: h2c with a body").ask_anew(stop, upgrade=True))
            tasks.create_task(self._client("streams").ask_anew(stop, stream=True))


def run(rig: Rig, sizes: Sizes, *, official: bool = True) -> Findings:
    """Run both parts and judge them; with the official SDK and curl among the clients of the first, or without.

    Raises:
        Broken: a good request failed that must not, or failed in a way that none may.
    """
    began_s = time.monotonic()
    found = Findings()
    clients = OfficialClients(rig.door, rig.authority, found.calm) if official else None
    _disturb(rig, sizes, found, clients)
    if found.calm.failures:
        raise Broken(_tell("without any worker killed", found.calm.failures))
    _kill(rig, sizes, found)
    if wrong := unexplained(found.violent.failures, found.kills):
        raise Broken(_tell("that no killed worker had in flight", wrong))
    if sizes.kills and not found.waited:
        raise Broken("no connection ever waited in the queue of a killed worker: this proved nothing")
    found.seconds = time.monotonic() - began_s
    return found


def _disturb(rig: Rig, sizes: Sizes, found: Findings, official: OfficialClients | None) -> None:
    """Reloads, stops and new certificates, mixed evenly."""
    deeds: dict[str, tuple[int, Callable[[int], None]]] = {
        "reloads": (sizes.reloads, lambda _: rig.reload()),
        "workers stopped by SIGTERM": (sizes.stops, rig.stop_worker),
        "new certificates": (sizes.swaps if rig.door.tls else 0, lambda _: rig.swap_certificate()),
    }
    with Load(rig, found.calm), official or nullcontext():
        for name in spread({name: count for name, (count, _) in deeds.items()}):
            time.sleep(sizes.pause_s)
            number = found.done[name] = found.done.get(name, 0) + 1
            deeds[name][1](number)
        time.sleep(sizes.pause_s)


def _kill(rig: Rig, sizes: Sizes, found: Findings) -> None:
    """Kills, each with new connections that come while the worker stands still."""
    with Load(rig, found.violent) as load:
        for number in range(sizes.kills):
            time.sleep(sizes.kill_pause_s)
            bursts: list[Future[None]] = []

            def crowd(gathered: list["Future[None]"] = bursts) -> None:
                gathered.append(load.burst(QUEUED, BURST))
                time.sleep(0.2)

            found.kills.append(rig.kill_worker(number, crowd))
            for burst in bursts:
                burst.result()
        time.sleep(sizes.kill_pause_s)
    found.done[KILLS] = len(found.kills)
    found.waited = sum(
        one.client == QUEUED and one.port not in kill.ports and one.began_s <= kill.at_s < one.ended_s
        for one in found.violent.answered
        for kill in found.kills
    )


def spread(counts: dict[str, int]) -> list[str]:
    """Each name as often as it is counted, evenly among the others."""
    places = [((number + 0.5) / count, name) for name, count in counts.items() for number in range(count)]
    return [name for _, name in sorted(places)]


def unexplained(failures: list[Failure], kills: list[Kill]) -> list[Failure]:
    """The failures that are not those of requests in flight in a killed worker, seen as a closed connection."""
    return [failure for failure in failures if not any(_explains(kill, failure) for kill in kills)]


def _explains(kill: Kill, failure: Failure) -> bool:
    in_flight = failure.port in kill.ports and failure.began_s <= kill.at_s <= failure.ended_s
    return failure.kind == "closed" and in_flight


def _tell(which: str, failures: list[Failure]) -> str:
    shown = "\n".join(f"- {one.client}, {one.kind}, port {one.port}: {one.detail}" for one in failures[:10])
    return f"{len(failures)} good requests failed {which}:\n{shown}"
