"""What the ledger keeps, as values: accounts of a window, and leases."""

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.quota_windows import Window
from jotgate.core.quotas import Level, Meter, Unit, WindowKind

Place = tuple[str, int]
"""An account's name: the key of its meter, and when its window began."""

LeaseState = Literal["open", "returned", "lost", "settled"]
"""`returned`: its taker closed it. `lost`: it ran out; `settled`: and its taker was told."""

_DAY_S: Final = 86_400
_TOKEN_S: Final = 400 * _DAY_S
"""Longer than any token of ours lives: what one may spend in its lifetime is not forgotten before it has ended."""


class MeterLabel(Struct, frozen=True, omit_defaults=True):
    """What a meter is, for people who look into the store."""

    quota: str
    unit: Unit
    window: WindowKind
    per: tuple[Level, ...]
    holders: tuple[str, ...]
    zone: str = ""
    period_s: int = 0
    scope: str = ""


class MeterAccount(Struct, frozen=True, kw_only=True):
    """What was used of a meter in a window.

    `posted` is what was used, or is lost with leases that ran out; `lost` are those alone. `debt` is what was used
    beyond what leases had. `leased` are the units of open leases. `arrival_us` is the theoretical arrival time of a
    rate. It may be forgotten after `keep_until_s`; None: never.
    """

    meter: str
    window_s: int
    ends_at_s: int | None
    unit: Unit
    posted: int = 0
    leased: int = 0
    debt: int = 0
    lost: int = 0
    arrival_us: int = 0
    keep_until_s: int | None = None
    label: MeterLabel

    @property
    def place(self) -> Place:
        """Its name."""
        return self.meter, self.window_s


class Lease(Struct, frozen=True, kw_only=True):
    """Units that a taker has of an account. Times are milliseconds since the epoch by the store's clock.

    `follows_lost`: the lease before it had run out, which the taker is told however often it asks. `pushed_us` is by
    how much it moved the arrival time of a rate.
    """

    lease_id: str
    meter: str
    window_s: int
    units: int
    state: LeaseState = "open"
    follows_lost: bool = False
    pushed_us: int = 0
    granted_at_ms: int
    spend_until_ms: int
    not_after_ms: int

    @property
    def place(self) -> Place:
        """The account that it is of."""
        return self.meter, self.window_s


def new_account(meter: Meter, window: Window, now_s: int) -> MeterAccount:
    """An account of which nothing was used."""
    quota, limit = meter.quota, meter.quota.limit
    zone = limit.zone if limit.window in {"day", "month"} else ""
    label = MeterLabel(
        quota.name, limit.unit, limit.window, quota.per, meter.holders, zone, limit.period_s, quota.scope
    )
    account = MeterAccount(
        meter=meter.key, window_s=window.starts_s, ends_at_s=window.ends_at_s, unit=limit.unit, label=label
    )
    return replace(account, keep_until_s=keep_until_s(account, now_s))


def keep_until_s(account: MeterAccount, now_s: int) -> int | None:
    """How long an account that is used now is kept. It moves by whole days, so that a use seldom moves it."""
    today_s = now_s - now_s % _DAY_S
    if account.ends_at_s is not None:
        return account.ends_at_s + _DAY_S
    if account.label.window == "lifetime":
        return today_s + _TOKEN_S if "token" in account.label.per else None
    # An idle rate, and one of calls at once that do not run, are as new ones.
    arrival_s = account.arrival_us // 1_000_000
    return max(today_s, arrival_s - arrival_s % _DAY_S) + 2 * _DAY_S
