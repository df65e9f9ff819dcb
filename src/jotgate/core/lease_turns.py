"""One turn of asks upon the accounts of the ledger, as a pure step from what the store keeps to what it keeps then.

Each ask takes the units of leases that have run out, closes the lease that it follows, and opens a new one with those
that are kept and as many more as are free. What `posted - debt + leased` comes to never grows but by a grant, and a
grant never makes it more than the limit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.ledger import Balance, LeaseAnswer, LeaseAsk
from jotgate.core.ledger_records import Lease, LeaseState, MeterAccount, Place, keep_until_s, new_account
from jotgate.core.quota_rates import available, share_us
from jotgate.core.quota_windows import Window, find_window
from jotgate.core.quotas import Limit, Meter

SPEND_MS: Final = 10_000
"""So long the units of a lease may be spent."""
RETURN_MS: Final = 5_000
"""So much longer they may be given back."""
CLOSED_MS: Final = 60_000
"""So long after its end a closed lease is remembered: an ask that is on its way for longer has been given up."""
LOST_MS: Final = 3_600_000
"""So long one that ran out waits for its taker to say what was used beyond it."""

_POSTED_MAX: Final = 2**62
_SPENT_MAX: Final = 2**53
"""More than anybody spends at once; what an upstream makes up must not break the ledger."""


class Book:
    """The accounts and leases that a turn is about. Mutable: what they have become, and which of them changed."""

    def __init__(self, accounts: Iterable[MeterAccount], leases: Iterable[Lease], now_ms: int) -> None:
        self.now_ms: Final = now_ms
        self.accounts: Final = {one.place: one for one in accounts}
        self.leases: Final = {one.lease_id: one for one in leases}
        self.changed_accounts: Final[dict[Place, MeterAccount]] = {}
        self.changed_leases: Final[dict[str, Lease]] = {}

    def put(self, changed: MeterAccount | Lease) -> None:
        """Have an account or a lease be this one from now on."""
        if isinstance(changed, Lease):
            self.leases[changed.lease_id] = self.changed_leases[changed.lease_id] = changed
        else:
            account = replace(changed, keep_until_s=keep_until_s(changed, self.now_ms // 1_000))
            self.accounts[changed.place] = self.changed_accounts[changed.place] = account

    def shut(self, lease: Lease, state: LeaseState) -> None:
        """Close a lease."""
        self.put(replace(lease, state=state))


class _Carried(Struct, frozen=True):
    """What goes on of a lease that was closed: how many units, and by how much those moved the arrival of a rate."""

    lost: bool = False
    units: int = 0
    pushed_us: int = 0


_NOTHING: Final = _Carried()
_LOST: Final = _Carried(lost=True)


Windows = Mapping[str, Window | None]
"""The windows of now by the keys of meters; None: it cannot be known."""


def windows_of(meters: Iterable[Meter], now_ms: int, zone_of: Callable[[str], tzinfo | None]) -> Windows:
    """The windows of now."""
    return {one.key: find_window(one.quota.limit, now_ms / 1_000, zone_of) for one in meters}


def names_of(asks: Iterable[LeaseAsk]) -> set[str]:
    """The leases that asks name."""
    return {name for ask in asks for name in (ask.lease_id, ask.previous) if name}


def accounts_of(asks: Iterable[LeaseAsk], windows: Windows, now_ms: int) -> dict[Place, MeterAccount]:
    """The accounts on which asks take units, as they are when nothing was used of them."""
    found: dict[Place, MeterAccount] = {}
    for ask in asks:
        window = windows[ask.meter.key]
        if window is not None and (ask.meter.key, window.starts_s) not in found:
            found[ask.meter.key, window.starts_s] = new_account(ask.meter, window, now_ms // 1_000)
    return found


def carry_out(book: Book, asks: Sequence[LeaseAsk], windows: Windows) -> tuple[LeaseAnswer, ...]:
    """Do what is asked, in order.

    The book has the accounts of these windows and of the leases that are named, and all overdue leases of them.
    """
    expire(book)
    return tuple(_carry_out(book, ask, windows[ask.meter.key]) for ask in asks)


def expire(book: Book) -> int:
    """Post the units of leases that have run out, or free them, of calls that died with their worker; how many."""
    overdue = [one for one in book.leases.values() if one.state == "open" and one.not_after_ms < book.now_ms]
    for lease in overdue:
        account = book.accounts[lease.place]
        lost = 0 if account.unit == "concurrent" else lease.units
        posted = min(account.posted + lost, _POSTED_MAX)
        book.put(replace(account, posted=posted, lost=account.lost + lost, leased=account.leased - lease.units))
        book.shut(lease, "lost")
    return len(overdue)


def balance_of(account: MeterAccount, meter: Meter, now_ms: int) -> Balance:
    """How an account stands."""
    return Balance(
        key=account.meter,
        posted=account.posted,
        leased=account.leased,
        left=max(0, _room(account, meter.quota.limit, now_ms)),
        debt=account.debt,
        lost=account.lost,
        window_s=account.window_s,
        ends_at_s=account.ends_at_s,
    )


def forgiven(account: MeterAccount) -> MeterAccount:
    """An account as if nothing had been posted; what is leased stays so."""
    return replace(account, posted=0, debt=0, lost=0, arrival_us=0)


def _carry_out(book: Book, ask: LeaseAsk, window: Window | None) -> LeaseAnswer:
    given = book.leases.get(ask.lease_id) if ask.lease_id else None
    if given is not None:
        return _answer(book, ask, given.place, given) if given.meter == ask.meter.key else _nothing(ask)
    place = None if window is None else (ask.meter.key, window.starts_s)
    carried = _close(book, ask, place if ask.lease_id else None)
    if place is None:
        return _nothing(ask, lost=carried.lost)
    lease = _open(book, ask, place, carried) if ask.lease_id else None
    answer = _answer(book, ask, place, lease)
    return replace(answer, lost=carried.lost)


def _close(book: Book, ask: LeaseAsk, place: Place | None) -> _Carried:
    """Close the lease that an ask follows, if it is open. What is kept goes on in the same account alone."""
    if not ask.previous:
        return _NOTHING
    previous = book.leases.get(ask.previous)
    if previous is None or previous.meter != ask.meter.key:
        return _LOST
    if previous.state == "returned":
        return _LOST if ask.kept else _NOTHING
    if previous.state != "open":
        if previous.state == "lost":
            _settle_lost(book, previous, ask)
        return _LOST
    return _give_back(book, previous, ask, stays=previous.place == place)


def _settle_lost(book: Book, lost: Lease, ask: LeaseAsk) -> None:
    """Its units are posted; what was used beyond them is debt.

    While calls of its taker have something reserved of it still (`kept`), more of that may come: then `spent` is all
    that was used since the lease was granted, and what of it is posted counts as the lease's units.
    """
    account = book.accounts[lost.place]
    over = 0 if account.unit == "concurrent" else max(0, min(ask.spent, _SPENT_MAX) - lost.units)
    if over:
        book.put(_indebted(replace(account, posted=min(account.posted + over, _POSTED_MAX)), over, ask.meter))
    book.put(replace(lost, units=lost.units + over, state="lost" if ask.kept > 0 else "settled"))


def _give_back(book: Book, lease: Lease, ask: LeaseAsk, *, stays: bool) -> _Carried:
    account = book.accounts[lease.place]
    kept = min(max(0, ask.kept), lease.units)
    spent = min(max(0, ask.spent), _SPENT_MAX)
    if not stays:
        # It can go nowhere, so it counts as used here.
        spent, kept = spent + kept, 0
    if account.unit == "concurrent":
        spent = 0
    over = max(0, spent + kept - lease.units)
    back = max(0, lease.units - spent - kept)
    per_lease = max(1, lease.units)
    changed = replace(
        account,
        posted=min(account.posted + spent, _POSTED_MAX),
        leased=account.leased - lease.units,
        arrival_us=account.arrival_us - lease.pushed_us * back // per_lease,
    )
    book.put(_indebted(changed, over, ask.meter) if over else changed)
    book.shut(lease, "returned")
    return _Carried(not stays and ask.kept > 0, kept, lease.pushed_us * kept // per_lease)


def _indebted(account: MeterAccount, over: int, meter: Meter) -> MeterAccount:
    pushed_us = share_us(meter.quota.limit, over) if account.label.window == "rate" else 0
    return replace(
        account, debt=min(account.debt + over, _POSTED_MAX), arrival_us=min(account.arrival_us + pushed_us, _POSTED_MAX)
    )


def _open(book: Book, ask: LeaseAsk, place: Place, carried: _Carried) -> Lease | None:
    account, now_ms = book.accounts[place], book.now_ms
    limit = ask.meter.quota.limit
    # A rate has gone on past what is kept already.
    room = _room(account, limit, now_ms) - (0 if limit.window == "rate" else carried.units)
    granted = min(ask.want, room) if ask.want > 0 and room >= max(1, ask.least) else 0
    units = carried.units + granted
    if units <= 0:
        return None
    pushed_us = 0
    arrival_us = account.arrival_us
    if limit.window == "rate" and granted:
        before_us = max(arrival_us, now_ms * 1_000)
        arrival_us = min(before_us + share_us(limit, granted), _POSTED_MAX)
        pushed_us = arrival_us - before_us
    spend_until_ms = now_ms + SPEND_MS
    if account.ends_at_s is not None:
        spend_until_ms = min(spend_until_ms, account.ends_at_s * 1_000)
    lease = Lease(
        lease_id=ask.lease_id,
        meter=account.meter,
        window_s=account.window_s,
        units=units,
        follows_lost=carried.lost,
        pushed_us=carried.pushed_us + pushed_us,
        granted_at_ms=now_ms,
        spend_until_ms=spend_until_ms,
        not_after_ms=spend_until_ms + RETURN_MS,
    )
    book.put(replace(account, leased=account.leased + units, arrival_us=arrival_us))
    book.put(lease)
    return lease


def _room(account: MeterAccount, limit: Limit, now_ms: int) -> int:
    if limit.window == "rate":
        return available(limit, account.arrival_us, now_ms * 1_000)
    return limit.amount - account.posted - account.leased


def _answer(book: Book, ask: LeaseAsk, place: Place, lease: Lease | None) -> LeaseAnswer:
    """Times are told from when the lease was granted, as the taker counts from when it asked first."""
    account, limit, now_ms = book.accounts[place], ask.meter.quota.limit, book.now_ms
    since_ms = now_ms if lease is None else lease.granted_at_ms
    return LeaseAnswer(
        lease_id=ask.lease_id,
        units=0 if lease is None else lease.units,
        spend_s=0.0 if lease is None else (lease.spend_until_ms - since_ms) / 1_000,
        return_s=0.0 if lease is None else (lease.not_after_ms - since_ms) / 1_000,
        lost=lease is not None and lease.follows_lost,
        posted=account.posted,
        leased=account.leased,
        window_s=account.window_s,
        ends_s=float("inf") if account.ends_at_s is None else account.ends_at_s - since_ms / 1_000,
        ahead_s=max(0, account.arrival_us - now_ms * 1_000) / 1e6 if limit.window == "rate" else 0.0,
    )


def _nothing(ask: LeaseAsk, *, lost: bool = False) -> LeaseAnswer:
    return LeaseAnswer(ask.lease_id, 0, lost=lost)
