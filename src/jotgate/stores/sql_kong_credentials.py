"""Credentials for Kong in the SQL store."""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from jotgate.core.kong_credentials import LIVING, CredentialCounts, CredentialState, KongCredential, TakenAs
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema_kong import KONG_CREDENTIALS
from jotgate.stores.sql_rows import Cells, SqlRows, add, drop, every, one

_COLUMNS: Final = KONG_CREDENTIALS.c
_ID: Final = _COLUMNS.credential_id
_ALL: Final = select(KONG_CREDENTIALS)
_IS_LIVING: Final = _COLUMNS.state.in_(sorted(LIVING))
_IS_KNOWN: Final = _COLUMNS.state != CredentialState.GONE


class SqlKongCredentials(SqlRows):
    """Keeps them in a database (store_ports.KongLedger)."""

    def take_credential(self, record: KongCredential, most: int) -> TakenAs:
        """Keep a new one, unless something stands against it."""
        with writing(self._engine) as connection:
            against = _against(connection, record, most)
            if against is TakenAs.WANTED:
                add(connection, KONG_CREDENTIALS, [replace(record, state=CredentialState.WANTED)])
            return against

    def kong_credential(self, credential_id: str) -> KongCredential | None:
        """The one with this id."""
        return self._one(_COLUMNS.credential_id == credential_id)

    def credentials_for(self, subject: str, after: str, limit: int) -> Sequence[KongCredential]:
        """Those for a subject that live."""
        return self._page(and_(_COLUMNS.subject == subject, _IS_LIVING), after, limit)

    def credential_page(self, after: str, limit: int) -> Sequence[KongCredential]:
        """All that are not gone."""
        return self._page(_IS_KNOWN, after, limit)

    def pending_credentials(self, wanted_before_s: int, limit: int) -> Sequence[KongCredential]:
        """Those that Kong is to be rid of."""
        cut_short = and_(_COLUMNS.state == CredentialState.WANTED, _COLUMNS.changed_at_s < wanted_before_s)
        chosen = _ALL.where(or_(_COLUMNS.state == CredentialState.UNWANTED, cut_short))
        with reading(self._engine) as connection:
            return every(connection, chosen.order_by(_COLUMNS.changed_at_s, _ID).limit(limit), KongCredential)

    def count_credentials(self) -> CredentialCounts:
        """How many are held."""
        counted = select(func.count(), func.count(_COLUMNS.consumer.distinct()))
        with reading(self._engine) as connection:
            tokens, consumers = connection.execute(counted.where(_COLUMNS.state == CredentialState.HELD)).one()
            return CredentialCounts(tokens, consumers)

    def hold_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """From wanted to held."""
        with writing(self._engine) as connection:
            return _move(connection, _ID.in_(ids), {CredentialState.WANTED}, CredentialState.HELD, now_s)

    def unwant_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """From living to unwanted."""
        with writing(self._engine) as connection:
            return _move(connection, _ID.in_(ids), LIVING, CredentialState.UNWANTED, now_s)

    def forsake_credentials(self, ids: Sequence[str], now_s: int) -> int:
        """From unwanted to gone."""
        with writing(self._engine) as connection:
            return _move(connection, _ID.in_(ids), {CredentialState.UNWANTED}, CredentialState.GONE, now_s)

    def expire_credentials(self, now_s: int, limit: int) -> int:
        """Unwant those whose tokens have ended, those first that ended first."""
        ended = and_(_COLUMNS.state == CredentialState.HELD, _COLUMNS.expires_at_s <= now_s)
        chosen = select(_ID).where(ended).order_by(_COLUMNS.expires_at_s, _ID).limit(limit)
        with writing(self._engine) as connection:
            held = {CredentialState.HELD}
            return _move(connection, _ID.in_(chosen), held, CredentialState.UNWANTED, now_s)

    def drop_credentials(self, gone_before_s: int, limit: int) -> int:
        """Forget those that went first."""
        went = and_(_COLUMNS.state == CredentialState.GONE, _COLUMNS.changed_at_s < gone_before_s)
        chosen: Select[Cells] = select(_ID).where(went).order_by(_COLUMNS.changed_at_s, _ID)
        with writing(self._engine) as connection:
            return drop(connection, KONG_CREDENTIALS, chosen.limit(limit))

    def _one(self, sought: ColumnElement[bool]) -> KongCredential | None:
        with reading(self._engine) as connection:
            return one(connection, _ALL.where(sought), KongCredential)

    def _page(self, sought: ColumnElement[bool], after: str, limit: int) -> Sequence[KongCredential]:
        chosen = _ALL.where(sought, _COLUMNS.credential_id > after).order_by(_ID).limit(limit)
        with reading(self._engine) as connection:
            return every(connection, chosen, KongCredential)


def _against(connection: Connection, record: KongCredential, most: int) -> TakenAs:
    """What stands against a new credential. Whoever calls is the only writer."""
    living = and_(_COLUMNS.consumer == record.consumer, _IS_LIVING)
    if _any(connection, and_(living, _COLUMNS.subject != record.subject)):
        return TakenAs.OTHERS
    same_key = and_(_COLUMNS.key == record.key, _IS_KNOWN)
    named = and_(living, _COLUMNS.token_name == record.token_name)
    if _any(connection, or_(same_key, named, _COLUMNS.credential_id == record.credential_id)):
        return TakenAs.NAMED_ALREADY
    counted = connection.scalar(select(func.count()).select_from(KONG_CREDENTIALS).where(living)) or 0
    return TakenAs.WANTED if counted < most else TakenAs.TOO_MANY


def _any(connection: Connection, sought: ColumnElement[bool]) -> bool:
    return connection.scalar(select(_ID).where(sought).limit(1)) is not None


def _move(
    connection: Connection,
    chosen: ColumnElement[bool],
    before: Collection[CredentialState],
    after: CredentialState,
    now_s: int,
) -> int:
    """Bring those that are chosen, and in one of these states, into another; how many."""
    moved = update(KONG_CREDENTIALS).where(chosen, _COLUMNS.state.in_(sorted(before)))
    told: dict[str, object] = {"state": after, "changed_at_s": now_s}
    if after not in LIVING:
        told["sealed"] = None
    return connection.execute(moved.values(**told)).rowcount
