"""Personal tokens in the SQL store."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection, and_, bindparam, delete, select, update

from jotgate.core.accounts import PersonalToken, TokenUse
from jotgate.core.durable import Revocation
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import PERSONAL_DIGESTS, PERSONAL_TOKENS
from jotgate.stores.sql_accounts import account_changed
from jotgate.stores.sql_rows import SqlRows, add_rows, every, keep_revoked, one, put

_HELD: Final = PERSONAL_TOKENS.join(PERSONAL_DIGESTS, PERSONAL_TOKENS.c.token_id == PERSONAL_DIGESTS.c.token_id)
_OF_DIGEST: Final = select(PERSONAL_TOKENS).select_from(_HELD).where(PERSONAL_DIGESTS.c.digest == bindparam("sought"))


class SqlPersonalTokens(SqlRows):
    """Keeps personal tokens in a database (store_ports.PersonalTokenRecords)."""

    def personal_token(self, token_id: str) -> PersonalToken | None:
        """The one with this identifier."""
        with reading(self._engine) as connection:
            return one(connection, select(PERSONAL_TOKENS).where(PERSONAL_TOKENS.c.token_id == token_id), PersonalToken)

    def find_personal_token(self, digest: bytes) -> PersonalToken | None:
        """The one with this digest."""
        with reading(self._engine) as connection:
            return one(connection, _OF_DIGEST, PersonalToken, sought=digest)

    def personal_tokens(self, owner: str, after: str, limit: int) -> Sequence[PersonalToken]:
        """Those of an owner, by identifier."""
        column = PERSONAL_TOKENS.c.token_id
        chosen = select(PERSONAL_TOKENS).where(column > after).order_by(column).limit(limit)
        if owner:
            chosen = chosen.where(PERSONAL_TOKENS.c.owner == owner)
        with reading(self._engine) as connection:
            return every(connection, chosen, PersonalToken)

    def put_personal_token(self, record: PersonalToken) -> int | None:
        """Keep one if its version still stands and its name is free."""
        with writing(self._engine) as connection:
            columns = PERSONAL_TOKENS.c
            found = connection.scalar(select(columns.version).where(columns.token_id == record.token_id))
            named = and_(columns.owner == record.owner, columns.name == record.name)
            holder = connection.scalar(select(columns.token_id).where(named))
            if (found or 0) != record.version or (holder or record.token_id) != record.token_id:
                return None
            version = account_changed(connection, "personal_token", record.token_id)
            put(connection, PERSONAL_TOKENS, replace(record, version=version))
            _put_digests(connection, record)
            return version

    def drop_personal_token(self, token_id: str, version: int, revocation: Revocation) -> bool:
        """Forget one if its version still stands, and keep that it was revoked."""
        with writing(self._engine) as connection:
            stands = and_(PERSONAL_TOKENS.c.token_id == token_id, PERSONAL_TOKENS.c.version == version)
            if connection.scalar(select(PERSONAL_TOKENS.c.token_id).where(stands)) is None:
                return False
            _forget(connection, token_id)
            keep_revoked(connection, revocation)
            return True

    def touch_personal_tokens(self, uses: Sequence[TokenUse]) -> None:
        """Keep later uses."""
        if not uses:
            return
        earlier = and_(
            PERSONAL_TOKENS.c.token_id == bindparam("used"), PERSONAL_TOKENS.c.last_used_at_s < bindparam("at_s")
        )
        touched = update(PERSONAL_TOKENS).where(earlier)
        rows = [{"used": use.token_id, "at_s": use.used_at_s, "source": use.used_from} for use in uses]
        # Alone: two machines that touch the same tokens in different orders would wait for one another.
        with writing(self._engine) as connection:
            connection.execute(
                touched.values(last_used_at_s=bindparam("at_s"), last_used_from=bindparam("source")), rows
            )

    def drop_personal_tokens(self, ended_at_s: int, limit: int) -> int:
        """Forget tokens that have ended, those first that ended first."""
        columns = PERSONAL_TOKENS.c
        ended = select(columns.token_id).where(columns.expires_at_s <= ended_at_s)
        with writing(self._engine) as connection:
            chosen = connection.scalars(ended.order_by(columns.expires_at_s, columns.token_id).limit(limit)).all()
            if chosen:
                _forget(connection, *chosen)
            return len(chosen)


def _put_digests(connection: Connection, record: PersonalToken) -> None:
    connection.execute(delete(PERSONAL_DIGESTS).where(PERSONAL_DIGESTS.c.token_id == record.token_id))
    rows = [{"digest": secret.digest, "token_id": record.token_id} for secret in record.secrets]
    if rows:
        add_rows(connection, PERSONAL_DIGESTS, rows)


def _forget(connection: Connection, *token_ids: str) -> None:
    rows = [{"gone": token_id} for token_id in token_ids]
    for table in (PERSONAL_TOKENS, PERSONAL_DIGESTS):
        connection.execute(delete(table).where(table.c.token_id == bindparam("gone")), rows)
    account_changed(connection, "personal_token", *token_ids)
