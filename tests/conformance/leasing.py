"""Meters and asks for tests of the ledger, and a store whose clock the test moves."""

from collections.abc import Callable
from typing import Final

from jotgate.core.ledger import Balance, LeaseAnswer, LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Level, Limit, Meter, Quota, Unit, WindowKind
from jotgate.store_ports import Store
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.memory import MemoryStore
from jotgate.stores.opening import open_store

START_S: Final = 1_800_000_000.0
"""2027-01-15T08:00:00Z, which begins an hour."""


class HeldClock:
    """A clock that stands still until it is moved. Mutable: what it says."""

    def __init__(self) -> None:
        self.s = START_S

    def now_s(self) -> float:
        """Seconds since the epoch."""
        return self.s


class Stage:
    """A store with such a clock."""

    def __init__(self, address: StoreAddress | None) -> None:
        self.clock: Final = HeldClock()
        now_s: Callable[[], float] = self.clock.now_s
        self.store: Final[Store] = MemoryStore(now_s) if address is None else open_store(address, now_s)

    def ask(self, ask: LeaseAsk) -> LeaseAnswer:
        """Have one ask carried out."""
        (answer,) = self.store.turn([ask])
        return answer

    def balance(self, meter: Meter) -> Balance:
        """How its account stands."""
        (balance,) = self.store.balances([meter])
        return balance


def metered(
    amount: int = 10,
    window: WindowKind = "lifetime",
    unit: Unit = "requests",
    holder: str = "iss ann",
    zone: str = "UTC",
) -> Meter:
    """A meter of one principal."""
    return meter_of(Quota("q", Limit(unit, amount, window, zone)), (holder,))


def rated(amount: int, period_s: int, burst: int = 0, holder: str = "iss ann") -> Meter:
    """A meter of so many requests in each period."""
    return meter_of(Quota("r", Limit("requests", amount, "rate", period_s=period_s, burst=burst)), (holder,))


def of_token(amount: int = 10, window: WindowKind = "lifetime") -> Meter:
    """A meter of one token."""
    per: tuple[Level, ...] = ("token",)
    return meter_of(Quota("t", Limit("requests", amount, window), per), ("iss t",))
