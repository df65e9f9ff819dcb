"""Calls by the thousand that end in every way that there is, and what is left of their reservations: nothing."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bench.soak.quota_load import CLIENTS, Client, Crowd, Wish, Wishes, make_wish
from bench.soak.quota_rig import Account, QuotaRig, Shape, running_sellers
from jotgate.testing.call_log import CallLine, tokens_of
from jotgate.testing.running import NeverCameTrue, until

CALLS_FULL: Final = 100_000
CALLS_SMALL: Final = 3_000
ENDINGS: Final = "endings"
"""The subject, and the model that it asks for."""
_GIVEN_BACK_S: Final = 10.0
_CEILING: Final = 200
_SILENCE: Final = "1s"
_MOST: Final = 10**12
_AT_ONCE: Final = 4 * CLIENTS
_QUOTA: Final = """
[[quotas]]
name = "{name}"
limit = "{limit}"
per = {per}
"""
_UNITS: Final = 4
_LEVELS: Final = ("token", "principal", "tenant", "model")
_FAILURES: Final = ("400", "429", "500", "503", "torn", "reset", "error", "silent", "stall", "hang")
_KNOWN: Final = frozenset(
    {"answered", "left", "closed", *(f"status {status}" for status in (400, 429, 500, 503)), "upstream_timeout"}
    | {"upstream_torn", "cut: upstream_torn", "cut: upstream_timeout", "cut: status 200"}
)
"""What may come of calls; an answer whose length was said is closed when it is torn."""
_FAILS: Final = 0.3
_LEAVES: Final = 0.1


@dataclass(slots=True)
class EndingsFindings:
    """What came of it. Mutable while it runs. `charges` are tokens by request id, from the audit log."""

    calls: int = 0
    crowd: Crowd = field(default_factory=lambda: Crowd(known=_KNOWN))
    lines: Sequence[CallLine] = ()
    accounts: Sequence[Account] = ()
    charges: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def endings(self) -> Counter[str]:
        """How the calls ended for the upstream."""
        return Counter(line.ending for line in self.lines)


@contextmanager
def running_endings() -> Iterator[QuotaRig]:
    """One machine whose quotas count all units at several levels, and refuse nothing."""
    units = [("requests", _MOST), ("tokens", _MOST), ("output_tokens", _MOST)]
    rules = [(level, f"{amount} {unit}/lifetime", unit) for level in _LEVELS for unit, amount in units]
    rules += [(level, f"{_AT_ONCE} concurrent", "slots") for level in _LEVELS]
    settings = "".join(
        _QUOTA.format(name=f"{unit}-{level}", limit=limit, per=f'["{level}"]') for level, limit, unit in rules
    )
    with running_sellers(
        Shape(models=(ENDINGS,), settings=settings, ceiling=_CEILING, machines=1, silence=_SILENCE)
    ) as rig:
        yield rig


def run_endings(rig: QuotaRig, calls: int) -> EndingsFindings:
    """Make so many calls, and look what is left of them."""
    found, began_s = EndingsFindings(calls), time.monotonic()
    asyncio.run(_ask(rig, found))
    found.seconds = time.monotonic() - began_s
    _settle(rig, found)
    found.faults += found.crowd.faults
    judge(found)
    return found


async def _ask(rig: QuotaRig, found: EndingsFindings) -> None:
    token = await asyncio.to_thread(rig.token, ENDINGS)
    left = iter(range(found.calls))
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            client = Client(found.crowd, rig.ports[0], token, _wishes(number))
            tasks.create_task(_ask_some(client, left))


async def _ask_some(client: Client, left: Iterator[int]) -> None:
    for _ in left:
        await client.ask_once()
    client.close()


def _wishes(seed: int) -> Wishes:
    chance = random.Random(seed)  # noqa: S311 - the same in every run

    def one() -> Wish:
        stream, leaves = chance.random() < 0.5, chance.random() < _LEAVES
        ending = f" end={chance.choice(_FAILURES)}" if chance.random() < _FAILS else ""
        members: dict[str, object] = {"max_tokens": chance.randint(1, 60)} if chance.random() < 0.5 else {}
        words = f"n={chance.randint(1, 40)},i={100 if leaves else 0} k=4{ending}"
        return make_wish(ENDINGS, words, stream=stream, leaves=leaves, **members)

    return one


def _settle(rig: QuotaRig, found: EndingsFindings) -> None:
    """Wait until nobody holds anything, and read what was counted and recorded."""
    try:
        until(lambda: not any(one.leased for one in rig.accounts()), "nothing is leased", _GIVEN_BACK_S)
    except NeverCameTrue:
        found.faults.append(f"units that nobody gives back: {[one for one in rig.accounts() if one.leased]}")
    found.accounts = rig.accounts()
    found.lines = rig.sold(ENDINGS)
    asked = {line.request_id for line in found.lines}
    try:
        until(lambda: asked <= rig.charges().keys(), "every call is recorded", _GIVEN_BACK_S)
    except NeverCameTrue as error:
        found.faults.append(str(error))
    found.charges = rig.charges()


def judge(found: EndingsFindings) -> None:
    """Add to `faults` what must not be."""
    charged, sold = sum(found.charges.values()), tokens_of(found.lines)
    for unit, expected in (("requests", len(found.lines)), ("total_tokens", charged)):
        posted = {one.posted for one in found.accounts if one.unit == unit}
        if posted != {expected}:
            found.faults.append(f"{posted} {unit} are posted, and {expected:,} were used")
    if charged < sold:
        found.faults.append(f"{charged:,} tokens were charged, and {sold:,} were sold")
    found.faults += [
        f"charged {found.charges.get(line.request_id)}: {line}" for line in found.lines if _less(found, line)
    ]
    found.faults += [f"{one} has debt or losses" for one in found.accounts if one.debt or one.lost]
    if len(found.accounts) != len(_LEVELS) * _UNITS:
        found.faults.append(f"the ledger has {len(found.accounts)} accounts")


def _less(found: EndingsFindings, line: CallLine) -> bool:
    """Whether a call was charged less than it cost."""
    return tokens_of([line]) > found.charges.get(line.request_id, 0)
