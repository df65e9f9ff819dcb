"""The ledger in the SQL store: turns of leases, each one transaction.

Who changes what is counted locks the accounts first, in the order of their names, and reads leases afterwards, so that
what it reads is what it changes. An account that is missing is made in a transaction before, in the same order, so that
nobody holds a lock while it waits for a row that another makes. The clock is that of the database, read as the
transaction begins: who waits for a lock then has the less time of its lease.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, and_, bindparam, insert, or_, select, text, tuple_, update

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
from jotgate.core.ledger_records import Lease, MeterAccount, Place, new_account
from jotgate.core.quotas import Meter
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import LEASES, LEDGER
from jotgate.stores.sql_rows import SqlRows, add_rows, drop, every
from jotgate.stores.zone_rules import zone_of

_Name = TypeVar("_Name", Place, str)

_PLACE: Final = tuple_(LEDGER.c.meter, LEDGER.c.window_s)
_LEASED_FROM: Final = tuple_(LEASES.c.meter, LEASES.c.window_s)
_OPEN: Final = text("state = 'open'")  # As the index has it.
_AT_ONCE: Final = 500  # So many names stand in one statement: databases take no endless lists of parameters.

_ACCOUNT_CHANGED: Final = (
    update(LEDGER)
    .where(LEDGER.c.meter == bindparam("of_meter"), LEDGER.c.window_s == bindparam("of_window_s"))
    .values({name: bindparam(name) for name in ("posted", "leased", "debt", "lost", "arrival_us", "keep_until_s")})
)
_LEASE_SHUT: Final = update(LEASES).where(LEASES.c.lease_id == bindparam("sought")).values(state=bindparam("shut"))
_NOW: Final = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())"),
}


class _Missing(Struct, frozen=True):
    """Accounts that a turn needs and that are not kept."""

    accounts: tuple[MeterAccount, ...]


class SqlLedger(SqlRows):
    """Keeps the ledger in a database (store_ports.LedgerRecords). `now_s` stands for its clock, in tests."""

    def __init__(self, engine: Engine, now_s: Callable[[], float] | None = None) -> None:
        super().__init__(engine)
        self._now_s: Final = now_s

    def turn(self, asks: Sequence[LeaseAsk]) -> Sequence[LeaseAnswer]:
        """Carry out asks in their order."""
        while asks:
            with writing(self._engine, alone=False) as connection:
                done = self._turn(connection, asks)
            if not isinstance(done, _Missing):
                return done
            with writing(self._engine, alone=False) as connection:
                add_rows(connection, LEDGER, [asdict(one) for one in done.accounts])
        return ()

    def balances(self, meters: Sequence[Meter]) -> Sequence[Balance]:
        """How accounts stand."""
        with reading(self._engine) as connection:
            now_ms = self._now_ms(connection)
            windows = windows_of(meters, now_ms, zone_of)
            places = {(key, window.starts_s) for key, window in windows.items() if window is not None}
            found = {one.place: one for one in _accounts(connection, places)}
        balances = []
        for meter in meters:
            window = windows[meter.key]
            account = None if window is None else found.get((meter.key, window.starts_s))
            if window is not None and account is None:
                account = new_account(meter, window, now_ms // 1_000)
            balances.append(Balance(meter.key) if account is None else balance_of(account, meter, now_ms))
        return tuple(balances)

    def reset_balance(self, meter: Meter) -> Balance:
        """Forget what was posted in the current window."""
        with writing(self._engine, alone=False) as connection:
            now_ms = self._now_ms(connection)
            window = windows_of([meter], now_ms, zone_of)[meter.key]
            if window is None:
                return Balance(meter.key)
            fresh = new_account(meter, window, now_ms // 1_000)
            found = next(iter(_accounts(connection, [fresh.place], lock=True)), None)
            if found is not None:
                _change(connection, [forgiven(found)])
            return balance_of(found or fresh, meter, now_ms)

    def expire_leases(self, limit: int) -> int:
        """Post the units of leases that have run out, those first that ran out first."""
        columns = LEASES.c
        with writing(self._engine, alone=False) as connection:
            now_ms = self._now_ms(connection)
            overdue = select(LEASES).where(columns.state == "open", columns.not_after_ms < now_ms)
            leases = every(connection, overdue.order_by(columns.not_after_ms, columns.lease_id).limit(limit), Lease)
            accounts = _accounts(connection, {one.place for one in leases}, lock=True)
            # Read again: whose they are may have closed them before the accounts were locked.
            book = Book(accounts, _leases(connection, {one.lease_id for one in leases}), now_ms)
            expire(book)
            _keep(connection, book, frozenset(book.leases))
            return len(leases)

    def drop_leases(self, limit: int) -> int:
        """Forget closed leases, those first that ended first."""
        columns = LEASES.c
        with writing(self._engine, alone=False) as connection:
            now_ms = self._now_ms(connection)
            closed = and_(columns.state.in_(("returned", "settled")), columns.not_after_ms < now_ms - CLOSED_MS)
            lost = and_(columns.state == "lost", columns.not_after_ms < now_ms - LOST_MS)
            ended = select(columns.lease_id).where(or_(closed, lost))
            chosen = ended.order_by(columns.not_after_ms, columns.lease_id).limit(limit)
            return drop(connection, LEASES, chosen.with_for_update(skip_locked=True))

    def drop_windows(self, limit: int) -> int:
        """Forget accounts that count no more, those first that ended first."""
        columns = LEDGER.c
        with writing(self._engine, alone=False) as connection:
            now_s = self._now_ms(connection) // 1_000
            ended = select(columns.meter, columns.window_s).where(columns.keep_until_s <= now_s, columns.leased == 0)
            chosen = ended.order_by(columns.keep_until_s, columns.meter, columns.window_s).limit(limit)
            return drop(connection, LEDGER, chosen.with_for_update(skip_locked=True))

    def knows_zone(self, name: str) -> bool:
        """Whether windows can go by the clock of this zone."""
        return zone_of(name) is not None

    def _turn(self, connection: Connection, asks: Sequence[LeaseAsk]) -> "tuple[LeaseAnswer, ...] | _Missing":
        """One try, which changes nothing where accounts are missing."""
        now_ms = self._now_ms(connection)
        windows = windows_of((ask.meter for ask in asks), now_ms, zone_of)
        fresh = accounts_of(asks, windows, now_ms)
        names = names_of(asks)
        places = {*fresh, *(one.place for one in _leases(connection, names))}
        accounts = _accounts(connection, places, lock=True)
        found = {one.place for one in accounts}
        if missing := fresh.keys() - found:
            return _Missing(tuple(fresh[place] for place in sorted(missing)))
        # One whose account somebody has removed is as good as forgotten.
        known = [one for one in _leases(connection, names) if one.place in found]
        book = Book(accounts, [*known, *_overdue(connection, places, now_ms)], now_ms)
        before = frozenset(book.leases)
        answers = carry_out(book, asks, windows)
        _keep(connection, book, before)
        return answers

    def _now_ms(self, connection: Connection) -> int:
        if self._now_s is not None:
            return int(self._now_s() * 1_000)
        return int(float(connection.scalar(_NOW[connection.dialect.name]) or 0) * 1_000)


def _accounts(connection: Connection, places: Iterable[Place], *, lock: bool = False) -> list[MeterAccount]:
    """The accounts of these names, in their order."""
    chosen = select(LEDGER).order_by(LEDGER.c.meter, LEDGER.c.window_s)
    if lock:
        chosen = chosen.with_for_update()
    found: list[MeterAccount] = []
    for some in _parts(sorted(places)):
        found += every(connection, chosen.where(_PLACE.in_(some)), MeterAccount)
    return found


def _leases(connection: Connection, names: Iterable[str]) -> list[Lease]:
    found: list[Lease] = []
    for some in _parts(sorted(names)):
        found += every(connection, select(LEASES).where(LEASES.c.lease_id.in_(some)), Lease)
    return found


def _overdue(connection: Connection, places: Iterable[Place], now_ms: int) -> list[Lease]:
    found: list[Lease] = []
    chosen = select(LEASES).where(_OPEN, LEASES.c.not_after_ms < now_ms)
    for some in _parts(sorted(places)):
        found += every(connection, chosen.where(_LEASED_FROM.in_(some)), Lease)
    return found


def _keep(connection: Connection, book: Book, before: frozenset[str]) -> None:
    """Keep what a turn changed; `before` are the leases that were kept already."""
    _change(connection, book.changed_accounts.values())
    changed = book.changed_leases
    shut = [{"sought": name, "shut": one.state} for name, one in changed.items() if name in before]
    if shut:
        connection.execute(_LEASE_SHUT, shut)
    # Plainly: should another turn have opened one of them meanwhile, this one fails, and is asked again.
    opened = [asdict(one) for name, one in changed.items() if name not in before]
    if opened:
        connection.execute(insert(LEASES), opened)


def _change(connection: Connection, accounts: Iterable[MeterAccount]) -> None:
    rows = [
        {
            "of_meter": one.meter,
            "of_window_s": one.window_s,
            "posted": one.posted,
            "leased": one.leased,
            "debt": one.debt,
            "lost": one.lost,
            "arrival_us": one.arrival_us,
            "keep_until_s": one.keep_until_s,
        }
        for one in accounts
    ]
    if rows:
        connection.execute(_ACCOUNT_CHANGED, rows)


def _parts(names: Sequence[_Name]) -> Iterator[Sequence[_Name]]:
    """Lists that are not too long for one statement, in order."""
    for begin in range(0, len(names), _AT_ONCE):
        yield names[begin : begin + _AT_ONCE]
