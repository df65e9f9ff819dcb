"""Thousands of tokens with unknown keys of a remote issuer: how often it is asked, and what its good tokens notice."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bench.soak.campaign import Broken
from bench.soak.raw import Door
from bench.soak.trust_load import CONNECTIONS, Kept
from bench.soak.trust_rig import COOLDOWN_S, TrustRig

RATIO_MAX: Final = 1.5
_GOOD_PER_S: Final = 200.0
_WARM_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class FloodSizes:
    """Rounds of calm and of flood, `span_s` each, with `kids` unknown keys in each flood. `paced`: latency counts."""

    rounds: int
    span_s: float
    kids: int
    paced: bool


FLOOD_FULL: Final = FloodSizes(rounds=20, span_s=1.5, kids=500, paced=True)
FLOOD_SMALL: Final = FloodSizes(rounds=1, span_s=1.5, kids=500, paced=False)


@dataclass
class FloodFindings:
    """What the flood did. Latencies are seconds, a list for each round. Mutable while it runs."""

    calm: list[list[float]] = field(default_factory=list)
    flooded: list[list[float]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    fetches: int = 0
    allowed: int = 0

    @property
    def ratio(self) -> float:
        """The median of the floods' p99 over that of the calm rounds."""
        return median_p99(self.flooded) / median_p99(self.calm)


def p99(latencies: list[float]) -> float:
    """The value that 99 in 100 do not exceed."""
    return sorted(latencies)[max(0, -(-len(latencies) * 99 // 100) - 1)]


def median_p99(rounds: list[list[float]]) -> float:
    """The median of the rounds' p99: one disturbed round decides nothing."""
    return statistics.median(map(p99, rounds))


def run_flood(rig: TrustRig, sizes: FloodSizes) -> FloodFindings:
    """Run it and judge it.

    Raises:
        Broken: the provider was asked too often, a good token was refused or waited, or a stranger got in.
    """
    found = FloodFindings()
    token = rig.provider.token(rig.gateway.url).encode()
    with _throwing(rig) as strangers, asyncio.Runner() as runner:
        lines = [Kept(Door(rig.port, "", None)) for _ in range(CONNECTIONS)]
        runner.run(_ask_paced(lines, token, _WARM_S, found))
        for _ in range(sizes.rounds):
            _order(strangers, f"{sizes.kids} {sizes.span_s}")
            found.calm.append(runner.run(_ask_paced(lines, token, sizes.span_s, found)))
            before, began_s = rig.provider.requests().jwks, time.monotonic()
            _begin(strangers)
            found.flooded.append(runner.run(_ask_paced(lines, token, sizes.span_s, found)))
            found.statuses.update(_result(strangers))
            found.fetches += rig.provider.requests().jwks - before
            found.allowed += 1 + int((time.monotonic() - began_s) / COOLDOWN_S)
        for line in lines:
            runner.run(line.close())
    _judge(found, sizes)
    return found


def _judge(found: FloodFindings, sizes: FloodSizes) -> None:
    if found.refused:
        raise Broken(f"{len(found.refused)} good tokens were refused in the flood: {found.refused[:5]}")
    if found.statuses["200 "] or sum(found.statuses.values()) != sizes.rounds * sizes.kids:
        raise Broken(f"tokens of unknown keys were answered so: {dict(found.statuses)}")
    if not 0 < found.fetches <= found.allowed:
        raise Broken(f"the provider was asked {found.fetches} times, where {found.allowed} are allowed")
    if sizes.paced and found.ratio > RATIO_MAX:
        told = f"p99 of good tokens is {found.ratio:.2f} times that of calm, where {RATIO_MAX} is allowed"
        raise Broken(f"{told}; in ms, by round: calm {_shown(found.calm)}, flooded {_shown(found.flooded)}")


def _shown(rounds: list[list[float]]) -> list[float]:
    return [round(p99(one) * 1e3, 2) for one in rounds]


async def _ask_paced(lines: list[Kept], token: bytes, span_s: float, found: FloodFindings) -> list[float]:
    """Good tokens at a fixed rate. One that has to wait for the answer before it counts from when it was due."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    latencies: list[float] = []

    async def keep_asking(place: int, line: Kept) -> None:
        free_s = began_s
        for number in range(place, int(span_s * _GOOD_PER_S), len(lines)):
            due_s = began_s + number / _GOOD_PER_S
            await asyncio.sleep(due_s - loop.time())
            sent_s = due_s if free_s > due_s else loop.time()
            reply = await line.ask(token)
            free_s = loop.time()
            latencies.append(free_s - sent_s)
            if reply.status != 200:
                found.refused.append(f"{reply.status} {reply.code}")

    await asyncio.gather(*(keep_asking(place, line) for place, line in enumerate(lines)))
    return latencies


@contextmanager
def _throwing(rig: TrustRig) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "bench.soak.strangers", str(rig.port), rig.provider.issuer, rig.gateway.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _order(strangers: "subprocess.Popen[str]", order: str) -> None:
    """Have the tokens of a round made, beforehand."""
    _say(strangers, order)
    if _read(strangers) != "ready\n":
        raise Broken("the process that throws unknown keys has ended")


def _begin(strangers: "subprocess.Popen[str]") -> None:
    _say(strangers, "now")


def _result(strangers: "subprocess.Popen[str]") -> dict[str, int]:
    found: dict[str, int] = json.loads(_read(strangers))
    return found


def _say(strangers: "subprocess.Popen[str]", text: str) -> None:
    assert strangers.stdin is not None
    strangers.stdin.write(text + "\n")
    strangers.stdin.flush()


def _read(strangers: "subprocess.Popen[str]") -> str:
    assert strangers.stdout is not None
    return strangers.stdout.readline()
