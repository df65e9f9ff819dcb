"""The ledger of quotas: what takers ask of it and what they are told, and what one turn of asks does to an account.

Invariant, after every turn, for every account and window: what is posted, less what is debt, and what open leases hold
is together at most the limit by which units were granted last. Debt is what was used beyond the units of a lease, and
is booked as such when its taker says so. A limit that is lowered below what stands grants nothing more.
`core.lease_turns` does a turn, `core.ledger_records` has what is kept.
"""

from typing import Final

from msgspec import Struct

from jotgate.core.quotas import Meter

AHEAD_SHARE: Final = 16
"""Before calls ask for them, a worker takes at most this part of the units that are left; of fewer than this, none."""


class LeaseAsk(Struct, frozen=True, omit_defaults=True):
    """What a taker asks of one account: that one lease be closed, another one opened, or both at once.

    `lease_id` is chosen by the taker; asked twice it is granted once. Empty: it takes nothing. It wants `want` units
    beside those that it keeps, and at least `least` of them, or none. `previous` is the lease of the same taker and
    account that this one follows: of its units `spent` are posted (more than it has: that is debt), `kept` go on into
    the new lease, and the others are given back. Where no lease follows in the same window `kept` are posted too. Of
    `concurrent` nothing is ever posted.
    """

    lease_id: str
    meter: Meter
    want: int = 0
    least: int = 0
    previous: str = ""
    spent: int = 0
    kept: int = 0


class LeaseAnswer(Struct, frozen=True, omit_defaults=True):
    """What became of an ask; all times are seconds from when the taker sent it.

    `units` are those of the new lease, kept ones included; 0: there is none. They may be spent until `spend_s` and
    given back until `return_s`. `lost`: the previous lease had run out, and all its units were posted (of `concurrent`:
    freed); or its window had ended, and those that were to be kept were posted in it. Nothing of it goes on then.
    `posted` and `leased` are those of the account in this window, by all takers, with this ask; the window began at
    `window_s` (NumericDate) and ends in `ends_s`; infinite: never. `ahead_s` says of a rate by how much its theoretical
    arrival time lies ahead of the time of the answer: from that follows when how much may come (`core.quota_rates`).
    """

    lease_id: str
    units: int
    spend_s: float = 0.0
    return_s: float = 0.0
    lost: bool = False
    posted: int = 0
    leased: int = 0
    window_s: int = 0
    ends_s: float = float("inf")
    ahead_s: float = 0.0


class Balance(Struct, frozen=True, omit_defaults=True):
    """How an account stands in its current window, by the store's clock.

    `posted` is what was used, or is lost; of it `debt` was used beyond what leases had, and `lost` is of leases that
    ran out. `leased` is what takers hold. `left` is how much could be granted now. The window began at `window_s` and
    ends at `ends_at_s` (NumericDates); None: never.
    """

    key: str
    posted: int = 0
    leased: int = 0
    left: int = 0
    debt: int = 0
    lost: int = 0
    window_s: int = 0
    ends_at_s: int | None = None
