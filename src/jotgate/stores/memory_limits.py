"""Limits of holders, and the ledger, as plain dictionaries: the reference that says what the databases must do."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from jotgate.core.lease_turns import (
    CLOSED_MS,
    LOST_MS,
    Book,
    accounts_of,
    balance_of,
    carry_out,
    expire,
    forgiven,
    names_of,
    windows_of,
)
from jotgate.core.ledger import Balance, LeaseAnswer, LeaseAsk
from jotgate.core.ledger_records import Lease, Place, new_account
from jotgate.core.limit_records import LimitRecord
from jotgate.core.quotas import Level, Meter
from jotgate.stores.memory_rows import MemoryRows
from jotgate.stores.zone_rules import zone_of


class MemoryLimits(MemoryRows):
    """Keeps limits and the ledger in this process (store_ports.LimitRecords, store_ports.LedgerRecords)."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._now_s: Final = now_s

    def limits_of(self, holders: Sequence[tuple[Level, str]]) -> Sequence[LimitRecord]:
        """Those of these holders."""
        with self._lock:
            return tuple(self._rows.limits[one] for one in sorted(set(holders)) if one in self._rows.limits)

    def limits(self, after: tuple[str, str], limit: int) -> Sequence[LimitRecord]:
        """All, by level and holder."""
        with self._lock:
            held = sorted(self._rows.limits.items())
        return tuple(record for place, record in held if place > after)[:limit]

    def put_limits(self, record: LimitRecord) -> int | None:
        """Keep the limits of a holder if their version still stands; forget it when there are none."""
        with self._lock:
            place = (record.level, record.holder)
            found = self._rows.limits.get(place)
            if (found.version if found else 0) != record.version:
                return None
            self._rows.limits_version += 1
            version = self._rows.limits_version
            self._rows.limits.pop(place, None)
            if record.limits:
                self._rows.limits[place] = replace(record, version=version)
            return version

    def turn(self, asks: Sequence[LeaseAsk]) -> Sequence[LeaseAnswer]:
        """Carry out asks in their order."""
        with self._lock:
            now_ms = self._now_ms()
            windows = windows_of((ask.meter for ask in asks), now_ms, zone_of)
            accounts = accounts_of(asks, windows, now_ms)
            named = [lease for name in names_of(asks) if (lease := self._rows.leases.get(name)) is not None]
            places = {*accounts, *(lease.place for lease in named)}
            accounts |= {place: self._rows.ledger[place] for place in places if place in self._rows.ledger}
            named = [lease for lease in named if lease.place in accounts]
            book = Book(accounts.values(), [*named, *self._open_leases(places)], now_ms)
            answers = carry_out(book, asks, windows)
            self._keep(book)
            return answers

    def balances(self, meters: Sequence[Meter]) -> Sequence[Balance]:
        """How accounts stand."""
        with self._lock:
            return tuple(self._balance(meter, self._now_ms()) for meter in meters)

    def reset_balance(self, meter: Meter) -> Balance:
        """Forget what was posted in the current window."""
        with self._lock:
            before = self._balance(meter, self._now_ms())
            found = self._rows.ledger.get((before.key, before.window_s))
            if found is not None:
                self._rows.ledger[found.place] = forgiven(found)
            return before

    def expire_leases(self, limit: int) -> int:
        """Post the units of leases that have run out, those first that ran out first."""
        with self._lock:
            now_ms = self._now_ms()
            held = self._open_leases(list(self._rows.open_leases))
            overdue = sorted((one.not_after_ms, one.lease_id) for one in held if one.not_after_ms < now_ms)
            leases = [self._rows.leases[name] for _, name in overdue[:limit]]
            book = Book([self._rows.ledger[place] for place in {one.place for one in leases}], leases, now_ms)
            expire(book)
            self._keep(book)
            return len(leases)

    def drop_leases(self, limit: int) -> int:
        """Forget closed leases, those first that ended first."""
        with self._lock:
            now_ms = self._now_ms()
            ended = sorted(
                (one.not_after_ms, one.lease_id) for one in self._rows.leases.values() if _is_past(one, now_ms)
            )
            for _, name in ended[:limit]:
                del self._rows.leases[name]
            return len(ended[:limit])

    def drop_windows(self, limit: int) -> int:
        """Forget accounts that count no more, those first that ended first."""
        with self._lock:
            now_s = self._now_ms() // 1_000
            ended = sorted(
                (one.keep_until_s, place)
                for place, one in self._rows.ledger.items()
                if one.keep_until_s is not None and one.keep_until_s <= now_s and not one.leased
            )
            for _, place in ended[:limit]:
                del self._rows.ledger[place]
            return len(ended[:limit])

    def knows_zone(self, name: str) -> bool:
        """Whether windows can go by the clock of this zone."""
        return zone_of(name) is not None

    def _now_ms(self) -> int:
        return int(self._now_s() * 1_000)

    def _balance(self, meter: Meter, now_ms: int) -> Balance:
        window = windows_of([meter], now_ms, zone_of)[meter.key]
        if window is None:
            return Balance(meter.key)
        found = self._rows.ledger.get((meter.key, window.starts_s))
        return balance_of(found or new_account(meter, window, now_ms // 1_000), meter, now_ms)

    def _open_leases(self, places: Iterable[Place]) -> list[Lease]:
        """The open leases of accounts; the caller holds the lock."""
        found = self._rows.open_leases
        return [self._rows.leases[name] for place in places for name in found.get(place, ())]

    def _keep(self, book: Book) -> None:
        """Keep what a turn changed; the caller holds the lock."""
        self._rows.ledger |= book.changed_accounts
        self._rows.leases |= book.changed_leases
        for lease in book.changed_leases.values():
            names = self._rows.open_leases.setdefault(lease.place, set())
            if lease.state == "open":
                names.add(lease.lease_id)
            else:
                names.discard(lease.lease_id)
            if not names:
                del self._rows.open_leases[lease.place]


def _is_past(lease: Lease, now_ms: int) -> bool:
    """Whether no ask about a lease comes any more."""
    kept_ms = LOST_MS if lease.state == "lost" else CLOSED_MS
    return lease.state != "open" and lease.not_after_ms + kept_ms < now_ms
