"""What quotas cost a call: reserving of four of them and settling, from leases that are held, in a loop."""

import gc
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from bench.summary import Summary, summarise
from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.principals import Principal
from jotgate.core.quotas import Level, Limit, Quota, Spender, Unit
from jotgate.errors import UnitsUnresolved
from jotgate.services.meter import Metering
from jotgate.services.meter_reservations import Need, Used

LIMITS: Final[tuple[tuple[Level, Unit], ...]] = (
    ("token", "requests"),
    ("principal", "total_tokens"),
    ("tenant", "cost"),
    ("model", "total_tokens"),
)
_MODEL: Final = "gpt-4o-mini"
_OPERATION: Final = "chat.completions"
_AMOUNT: Final = 10**15
_LEASE: Final = 10**12
_LEASE_S: Final = 3_600.0
_TICK_EVERY: Final = 100_000
"""As many calls as a worker can take between two looks at its clock, and more."""
_CAPACITY: Final = 1_000
_NEED: Final = Need(input_tokens=400, output_tokens=1_024, cost=2_000)


@dataclass(frozen=True, slots=True)
class Meterings:
    """CPU time in microseconds a call, one figure a round, and how many calls a round had."""

    calls: int
    us: list[float]

    def summaries(self) -> dict[str, Summary | None]:
        """The figure that a gate stands on."""
        return {"metering_us": summarise(self.us)}


class _Control:
    """Knows which quotas meet calls, and grants all that is asked for, and much more. Mutable: what it was asked."""

    def __init__(self) -> None:
        self._asked: deque[tuple[int, list[LeaseAsk]]] = deque()
        self._plans: deque[int] = deque()
        self.metering = Metering(
            _System(), _System(), ask_plan=self._plan, ask_leases=self._lease, told=lambda _: None, soon=lambda do: do()
        )
        self.metering.enter(metered=True, capacity=_CAPACITY)
        self._meters = tuple(meter_of(Quota(level, Limit(unit, _AMOUNT), (level,)), ("x",)) for level, unit in LIMITS)

    def answer(self) -> None:
        """Answer all that was asked."""
        while self._plans:
            self.metering.plan_answered(self._plans.popleft(), self._meters)
        while self._asked:
            number, asks = self._asked.popleft()
            self.metering.leases_answered(number, [_grant(ask) for ask in asks])

    def _plan(self, number: int, *_: Spender | str) -> None:
        self._plans.append(number)

    def _lease(self, number: int, asks: list[LeaseAsk]) -> None:
        self._asked.append((number, asks))


class _System:
    """Clock and chance (ports.Clock, ports.Entropy)."""

    now_s = staticmethod(time.time)
    monotonic_s = staticmethod(time.monotonic)
    random_bytes = staticmethod(os.urandom)


def measure_metering(rounds: int, calls: int) -> Meterings:
    """Let so many calls of one caller reserve and settle, in each of the rounds, after one that is not counted."""
    control = _Control()
    principal = Principal("https://gateway.example", "ann", "bench", "t", "k", frozenset({"ai"}), None, 2e9, 0.0)
    _begin(control, principal)
    _cpu_us(control, principal, calls)
    return Meterings(calls, [_cpu_us(control, principal, calls) / calls for _ in range(rounds)])


def _begin(control: _Control, principal: Principal) -> None:
    """Have a plan and leases."""
    while True:
        try:
            reservation = control.metering.reserve(principal, _MODEL, _OPERATION, _NEED, time.monotonic())
        except UnitsUnresolved:
            control.answer()
            continue
        assert reservation is not None, "four quotas meet it"
        reservation.void()
        return


def _grant(ask: LeaseAsk) -> LeaseAnswer:
    return LeaseAnswer(ask.lease_id, ask.kept + max(ask.want, _LEASE), _LEASE_S, _LEASE_S)


def _cpu_us(control: _Control, principal: Principal, calls: int) -> float:
    """The CPU time of this thread that so many calls take; beside them spent units are told as in a worker."""
    metering, monotonic_s = control.metering, time.monotonic
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time_ns()
        for number in range(calls):
            need = Need(input_tokens=400, output_tokens=1_024, cost=2_000)
            reservation = metering.reserve(principal, _MODEL, _OPERATION, need, monotonic_s())
            assert reservation is not None
            reservation.settle(Used(input_tokens=100, output_tokens=300, cost=700))
            if number % _TICK_EVERY == 0:
                metering.tick()
                control.answer()
        return (time.thread_time_ns() - began) / 1e3
    finally:
        gc.enable()
