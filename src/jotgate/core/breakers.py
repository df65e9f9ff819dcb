"""The circuit breaker of an upstream as a value: it opens after failures in a row, and lets one call try again later.

    closed ──failures in a row──► open ──its time is over, one call tries──► trial ──success──► closed
                                   ▲                                           │
                                   └──────────────── failure ──────────────────┘

What a call shows counts whenever that call began: evidence is evidence. A trial that shows nothing, because its caller
went away or the upstream is silent, is followed by another one after the same time. A failed health check holds the
breaker: no caller's call tries an upstream that says itself that it is not well. Clocks are monotonic seconds.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct


class BreakerRules(Struct, frozen=True):
    """After `failures` in a row (0: never) the breaker opens for `open_s`."""

    failures: int = 5
    open_s: float = 10.0


class Breaker(Struct, frozen=True):
    """One state. `failures` counts those in a row while closed; before `until_s` no call or further trial may go.

    `held`: the last health check failed, and no call may be a trial.
    """

    state: Literal["closed", "open", "trial"] = "closed"
    failures: int = 0
    until_s: float = 0.0
    held: bool = False


CLOSED: Final = Breaker()


def permits(breaker: Breaker, now_s: float) -> bool:
    """Whether a call may go now; unless the breaker is closed it goes as a trial."""
    return breaker.state == "closed" or (now_s >= breaker.until_s and not breaker.held)


def begin(breaker: Breaker, rules: BreakerRules, now_s: float) -> Breaker:
    """A permitted call goes."""
    return breaker if breaker.state == "closed" else Breaker("trial", until_s=now_s + rules.open_s)


def succeed(breaker: Breaker) -> Breaker:
    """A call was answered. While open nothing but a trial closes it: the answer may be to a call of better days."""
    return breaker if breaker.state == "open" else CLOSED


def fail(breaker: Breaker, rules: BreakerRules, now_s: float) -> Breaker:
    """A call failed. While open it changes nothing: calls under way may fail one after another."""
    if breaker.state == "open" or not rules.failures:
        return breaker
    failures = breaker.failures + 1
    if breaker.state == "trial" or failures >= rules.failures:
        return Breaker("open", until_s=now_s + rules.open_s)
    return Breaker(failures=failures)


def hold(breaker: Breaker, rules: BreakerRules, now_s: float) -> Breaker:
    """A check failed: that counts like a call, and once the breaker is open a check has to go well first."""
    failed = fail(breaker, rules, now_s)
    return msgspec.structs.replace(failed, held=True) if failed.state == "open" else failed


def release(breaker: Breaker) -> Breaker:
    """What checks have shown no longer holds."""
    return msgspec.structs.replace(breaker, held=False) if breaker.held else breaker


def recover(breaker: Breaker, now_s: float) -> Breaker:
    """A check went well: it stands for a trial. It does not forgive a closed breaker the failures of calls."""
    return CLOSED if breaker.state != "closed" and now_s >= breaker.until_s else release(breaker)
