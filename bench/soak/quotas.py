"""One principal's quota of requests and tokens, spent by many clients on two machines while parts of them die.

What counts is what reached the upstreams, by their own logs: never a request over the limit, never a token.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bench.soak.quota_load import CLIENTS, Appetite, Crowd, Wishes, ask_all, make_wish, mixed
from bench.soak.quota_rig import Account, QuotaRig, Shape, running_sellers
from jotgate.testing.call_log import COMPLETE, CallLine, tokens_of
from jotgate.testing.running import NeverCameTrue, until

KILL_WORKER: Final = "workers killed by SIGKILL"
KILL_CONTROL: Final = "control processes killed by SIGKILL"
RESTART: Final = "PostgreSQL ended as in a crash, and started again"
EMPTY: Final = "Valkey emptied (FLUSHALL), every other time ended as in a crash, too, and started again"
REQUESTS: Final = "requests"
TOKENS: Final = "tokens"
STREAMS: Final = "streams"
PASSES: Final = (REQUESTS, TOKENS, STREAMS)
"""Each is a subject, and the model that it asks for: the limit that it meets first, or streams without ceilings."""
FIRST_AT: Final = 0.9
"""Streams without ceilings are refused nothing before so much of their quota is spent."""
GIVEN_BACK_S: Final = 40.0
"""What a killed worker held ends 15 s after it was leased; other units come back within two."""
_DEEDS: Final = (KILL_WORKER, KILL_CONTROL, EMPTY, RESTART)
_LAST_DEED_AT: Final = 0.9
_AHEAD_S: Final = 6.0
"""So long a stream that is cut was held before at most, and is listened to behind that."""
_CEILING: Final = 600
_LOOK_S: Final = 0.02
_QUOTAS: Final = """
[[quotas]]
name = "requests"
subjects = ["requests", "tokens"]
limit = "{requests} requests/lifetime"

[[quotas]]
name = "tokens"
subjects = ["requests", "tokens"]
limit = "{tokens} tokens/lifetime"

[[quotas]]
name = "streams"
subjects = ["streams"]
limit = "{streams} tokens/lifetime"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The limits, how much calls want in each pass, and how often something is done in each of the first two.

    `debt_max`: a gateway that is kept from its processors reads so many tokens too late; they are booked as debt.
    """

    requests: int
    tokens: int
    streams: int
    small: Appetite
    large: Appetite
    endless: Appetite
    deeds: int
    debt_max: int = 0

    @property
    def ahead_max(self) -> int:
        """So many tokens streams without ceilings may make while they wait for their last step: they owe them."""
        return self.debt_max + int(CLIENTS * _AHEAD_S * 1e6 / self.endless.pause_us)


FULL: Final = Sizes(
    requests=10_000,
    tokens=1_000_000,
    streams=1_000_000,
    small=Appetite(least=5, most=50, pause_us=40_000),
    large=Appetite(least=100, most=3_000, pause_us=12_000),
    endless=Appetite(least=2_000, most=20_000, pause_us=7_000, piece=2),
    deeds=24,
)
SMALL: Final = Sizes(
    requests=1_000,
    tokens=150_000,
    streams=1_000_000,
    small=Appetite(least=5, most=50, pause_us=20_000),
    large=Appetite(least=100, most=3_000, pause_us=5_000, piece=4),
    endless=Appetite(least=2_000, most=20_000, pause_us=1_200, piece=32),
    deeds=4,
    debt_max=15_000,
)


@dataclass(slots=True)
class Pass:
    """What came of one pass. Mutable while it runs.

    `accounts` are those of the ledger by the unit that they count. `beyond` are the tokens that calls were sold beyond
    what they were charged by the audit log, which of streams that are cut may be what was under way.
    """

    name: str
    crowd: Crowd = field(default_factory=Crowd)
    done: Counter[str] = field(default_factory=Counter)
    lines: Sequence[CallLine] = ()
    accounts: Mapping[str, Account] = field(default_factory=dict)
    beyond: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def reached(self) -> int:
        """Requests that reached the upstream."""
        return len(self.lines)

    @property
    def sold(self) -> int:
        """Tokens that the upstream has sold."""
        return tokens_of(self.lines)


@contextmanager
def running_quotas(sizes: Sizes) -> Iterator[QuotaRig]:
    """Start what is needed for all passes."""
    settings = _QUOTAS.format(requests=sizes.requests, tokens=sizes.tokens, streams=sizes.streams)
    with running_sellers(Shape(models=PASSES, settings=settings, ceiling=_CEILING)) as rig:
        yield rig


def run_pass(rig: QuotaRig, sizes: Sizes, name: str) -> Pass:
    """Spend the quotas of one subject, and judge what came of it; `faults` says what must not be."""
    found = Pass(name)
    began_s = time.monotonic()
    asyncio.run(_spend(rig, sizes, found))
    found.seconds = time.monotonic() - began_s
    found.faults += found.crowd.faults
    _wait_until_settled(rig, found)
    found.lines = rig.sold(name)
    charges = rig.charges()
    found.beyond = sum(max(0, tokens_of([line]) - charges.get(line.request_id, line.tokens)) for line in found.lines)
    judge(found, sizes)
    return found


async def _spend(rig: QuotaRig, sizes: Sizes, found: Pass) -> None:
    token = await asyncio.to_thread(rig.token, found.name)
    appetite = {REQUESTS: sizes.small, TOKENS: sizes.large, STREAMS: sizes.endless}[found.name]
    wishes = _streams if found.name == STREAMS else mixed
    asking = asyncio.create_task(
        ask_all(found.crowd, rig.ports, token, lambda number: wishes(found.name, appetite, number))
    )
    if found.name != STREAMS:
        await asyncio.to_thread(_disturb, rig, sizes, found, asking.done)
    await asking


def _streams(model: str, appetite: Appetite, seed: int) -> Wishes:
    """Streams that have no ceiling."""
    chance = random.Random(seed)  # noqa: S311 - the same in every run
    usage = {"include_usage": True}
    return lambda: make_wish(model, appetite.words(chance), stream=True, stream_options=usage)


def _disturb(rig: QuotaRig, sizes: Sizes, found: Pass, over: Callable[[], bool]) -> None:
    """Do what is done, evenly while the quota is spent."""
    acts: Mapping[str, Callable[[int], None]] = {
        KILL_WORKER: rig.kill_worker,
        KILL_CONTROL: rig.kill_control,
        EMPTY: rig.empty_hints,
        RESTART: rig.restart_database,
    }
    for number in range(sizes.deeds):
        share = _LAST_DEED_AT * (number + 1) / sizes.deeds
        while _spent_share(found.crowd, sizes) < share and not over():
            time.sleep(_LOOK_S)
        name = _DEEDS[number % len(_DEEDS)]
        try:
            acts[name](number // len(_DEEDS))
        except NeverCameTrue as error:
            found.faults.append(f"{name}: {error}")
        found.done[name] += 1


def _spent_share(crowd: Crowd, sizes: Sizes) -> float:
    """How much of the quota that is nearer to its end the clients know to be spent."""
    return max(crowd.counts["answered"] / sizes.requests, (crowd.spent + crowd.coming) / sizes.tokens)


def _wait_until_settled(rig: QuotaRig, found: Pass) -> None:
    """Wait until nobody holds anything of this subject's quotas."""
    try:
        until(lambda: not any(one.leased for one in rig.accounts(found.name)), "nothing is leased", GIVEN_BACK_S)
    except NeverCameTrue:
        found.faults.append(f"units that nobody gives back: {rig.accounts(found.name)}")
    found.accounts = {one.unit: one for one in rig.accounts(found.name)}


def judge(found: Pass, sizes: Sizes) -> None:
    """Add to `faults` what must not be."""
    if found.name != STREAMS:
        _judge_unit(found, "requests", found.reached, sizes.requests, 0)
        _judge_unit(found, "total_tokens", found.sold, sizes.tokens, sizes.debt_max)
    else:
        _judge_unit(found, "total_tokens", found.sold, sizes.streams, sizes.ahead_max)
    requests = found.accounts.get("requests")
    if found.name == REQUESTS and requests is not None and requests.posted < sizes.requests:
        found.faults.append(f"only {requests.posted:,} of {sizes.requests:,} requests could be spent")
    if found.name == STREAMS and (found.crowd.first is None or found.crowd.first < FIRST_AT * sizes.streams):
        found.faults.append(f"a stream was refused when {found.crowd.first} of {sizes.streams:,} tokens had come")
    unbounded = sum(line.kind == "unary" and line.ceiling is None for line in found.lines)
    if unbounded:
        found.faults.append(f"{unbounded:,} whole answers were asked for without a ceiling")
    completed, answered = sum(line.ending == COMPLETE for line in found.lines), found.crowd.counts["answered"]
    if answered > completed:
        found.faults.append(f"{answered:,} whole answers came of {completed:,} that the upstream completed")
    if not found.crowd.counts["quota_exceeded"]:
        found.faults.append("nobody was told that the quota is spent: this proved nothing")


def _judge_unit(found: Pass, unit: str, used: int, most: int, debt_max: int) -> None:
    account = found.accounts.get(unit)
    if account is None:
        found.faults.append(f"the ledger has no account of {unit}")
        return
    if account.posted - account.debt > most or account.debt > debt_max:
        found.faults.append(f"{account.posted:,} {unit} are posted, of {most:,}; {account.debt:,} are debt")
    if used > account.posted:
        found.faults.append(f"{used:,} {unit} reached the upstream, and {account.posted:,} are posted")
    if used > most + account.debt:
        found.faults.append(f"{used:,} {unit} reached the upstream, of {most:,} and {account.debt:,} of debt")
