"""Refresh-token families and marks in the SQL store.

Whoever changes a family changes its row first: that row is what others wait for, and whose version they compare.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from msgspec.structs import asdict
from sqlalchemy import Insert, and_, bindparam, case, delete, func, select, update

from jotgate.core.durable import Mark, Revocation
from jotgate.core.families import LATER_MAX, Family, FoundFamily, RefreshRecord
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import FAMILIES, MARKS, REFRESH_TOKENS
from jotgate.stores.sql_rows import SqlRows, add, build_insert, drop, every, keep_revoked, one, put

_TOKEN: Final = select(REFRESH_TOKENS).where(REFRESH_TOKENS.c.digest == bindparam("sought"))
_FAMILY: Final = select(FAMILIES).where(FAMILIES.c.family_id == bindparam("sought"))
_LATER: Final = (
    select(REFRESH_TOKENS)
    .where(REFRESH_TOKENS.c.family_id == bindparam("sought"), REFRESH_TOKENS.c.generation > bindparam("than"))
    .order_by(REFRESH_TOKENS.c.generation)
    .limit(LATER_MAX)
)
_LAST_S: Final = FAMILIES.c.last_ends_at_s
_ENDS_S: Final = bindparam("last_s", type_=_LAST_S.type)
_ROTATED: Final = (
    update(FAMILIES)
    .where(
        FAMILIES.c.family_id == bindparam("sought"),
        FAMILIES.c.version == bindparam("seen"),
        FAMILIES.c.ended_at_s.is_(None),
    )
    .values(version=FAMILIES.c.version + 1, last_ends_at_s=case((_LAST_S < _ENDS_S, _ENDS_S), else_=_LAST_S))
)
_MARK: Final = select(MARKS).where(MARKS.c.kind == bindparam("of_kind"), MARKS.c.handle == bindparam("sought"))


@cache
def _build_mark(dialect: str) -> Insert:
    chosen = build_insert(dialect, MARKS)
    return chosen.on_conflict_do_update(
        index_elements=["kind", "handle"],
        set_={"expires_at_s": chosen.excluded.expires_at_s, "content": chosen.excluded.content},
        where=MARKS.c.expires_at_s <= bindparam("now_s"),
    ).execution_options(preserve_rowcount=True)


class SqlFamilies(SqlRows):
    """Keeps families and marks in a database (store_ports.FamilyRecords, store_ports.Marks)."""

    def add_family(self, family: Family, first: RefreshRecord) -> None:
        """Keep a new family."""
        with writing(self._engine, alone=False) as connection:
            add(connection, FAMILIES, [family], last_ends_at_s=first.expires_at_s)
            add(connection, REFRESH_TOKENS, [first])

    def family(self, family_id: str) -> Family | None:
        """The one with this identifier."""
        with reading(self._engine) as connection:
            return one(connection, _FAMILY, Family, sought=family_id)

    def find_family(self, digest: bytes) -> FoundFamily | None:
        """The family of a token."""
        with reading(self._engine) as connection:
            token = one(connection, _TOKEN, RefreshRecord, sought=digest)
            family = None if token is None else one(connection, _FAMILY, Family, sought=token.family_id)
            if token is None or family is None:
                return None
            if token.successor is None:
                return FoundFamily(family, token)
            later = every(connection, _LATER, RefreshRecord, sought=token.family_id, than=token.generation)
            return FoundFamily(family, token, later)

    def rotate_family(self, family: Family, used: RefreshRecord, successor: RefreshRecord) -> bool:
        """Keep a rotation if the family's version still stands."""
        given = {"sought": family.family_id, "seen": family.version, "last_s": successor.expires_at_s}
        # Of several at once the others wait for the row, and find that the version stands no more.
        with writing(self._engine, alone=False) as connection:
            rotated = connection.execute(_ROTATED, given).rowcount == 1
            if rotated:
                put(connection, REFRESH_TOKENS, used, successor)
            return rotated

    def end_family(self, family_id: str, ended_at_s: int, revocation: Revocation) -> bool:
        """End a family, and keep that it was revoked."""
        living = and_(FAMILIES.c.family_id == family_id, FAMILIES.c.ended_at_s.is_(None))
        changed = update(FAMILIES).where(living).values(ended_at_s=ended_at_s, version=FAMILIES.c.version + 1)
        with writing(self._engine) as connection:
            ended = connection.execute(changed).rowcount == 1
            if ended:
                sealed = and_(REFRESH_TOKENS.c.family_id == family_id, REFRESH_TOKENS.c.successor.is_not(None))
                connection.execute(update(REFRESH_TOKENS).where(sealed).values(successor=None))
                keep_revoked(connection, revocation)
            return ended

    def families(self, client_id: str, subject: str, after: str, limit: int) -> Sequence[Family]:
        """Living families, by identifier."""
        columns = FAMILIES.c
        chosen = select(FAMILIES).where(columns.family_id > after, columns.ended_at_s.is_(None))
        if client_id:
            chosen = chosen.where(columns.client_id == client_id)
        if subject:
            chosen = chosen.where(columns.subject == subject)
        with reading(self._engine) as connection:
            return every(connection, chosen.order_by(columns.family_id).limit(limit), Family)

    def erase_successors(self, used_before_s: int, limit: int) -> int:
        """Erase what nobody may be given any more, of those first that were used first."""
        columns = REFRESH_TOKENS.c
        over = select(columns.digest).where(columns.successor.is_not(None), columns.used_at_s < used_before_s)
        chosen = over.order_by(columns.used_at_s, columns.digest).limit(limit)
        with writing(self._engine) as connection:
            erased = update(REFRESH_TOKENS).where(columns.digest.in_(chosen)).values(successor=None)
            return connection.execute(erased).rowcount

    def last_family_end(self) -> int | None:
        """When the last refresh token ends."""
        with reading(self._engine) as connection:
            found: int | None = connection.scalar(select(func.max(FAMILIES.c.last_ends_at_s)))
            return found

    def drop_families(self, ended_at_s: int, limit: int) -> int:
        """Forget families whose last token has ended, with all their tokens."""
        columns = FAMILIES.c
        ended = select(columns.family_id).where(columns.last_ends_at_s <= ended_at_s)
        chosen = ended.order_by(columns.last_ends_at_s, columns.family_id).limit(limit)
        with writing(self._engine) as connection:
            # Locked, so that none of them is rotated meanwhile and lives on.
            found = connection.scalars(chosen.with_for_update()).all()
            rows = [{"chosen": family_id} for family_id in found]
            for table in (REFRESH_TOKENS, FAMILIES) if rows else ():
                connection.execute(delete(table).where(table.c.family_id == bindparam("chosen")), rows)
            return len(rows)

    def mark(self, mark: Mark, now_s: int) -> Mark | None:
        """Keep a mark unless one stands."""
        with writing(self._engine, alone=False) as connection:
            placed = _build_mark(connection.dialect.name)
            if connection.execute(placed, {**asdict(mark), "now_s": now_s}).rowcount == 1:
                return None
            # A conflict locks the row, so the one that stands is still there.
            return one(connection, _MARK, Mark, of_kind=mark.kind, sought=mark.handle)

    def marks_of(self, kind: str, after: str, limit: int) -> Sequence[Mark]:
        """Those of a kind, by handle."""
        chosen = select(MARKS).where(MARKS.c.kind == kind, MARKS.c.handle > after)
        with reading(self._engine) as connection:
            return every(connection, chosen.order_by(MARKS.c.handle).limit(limit), Mark)

    def fill_mark(self, kind: str, handle: str, content: bytes) -> None:
        """Put a content to a mark."""
        same = and_(MARKS.c.kind == kind, MARKS.c.handle == handle)
        with writing(self._engine, alone=False) as connection:
            connection.execute(update(MARKS).where(same).values(content=content))

    def drop_mark(self, kind: str, handle: str) -> None:
        """Forget a mark."""
        same = and_(MARKS.c.kind == kind, MARKS.c.handle == handle)
        with writing(self._engine, alone=False) as connection:
            connection.execute(delete(MARKS).where(same))

    def drop_marks(self, ended_at_s: int, limit: int) -> int:
        """Forget marks that have ended, those first that ended first."""
        columns = MARKS.c
        ended = select(columns.kind, columns.handle).where(columns.expires_at_s <= ended_at_s)
        chosen = ended.order_by(columns.expires_at_s, columns.kind, columns.handle).limit(limit)
        with writing(self._engine) as connection:
            # Locked, so that none of them is marked anew meanwhile, and forgotten then.
            return drop(connection, MARKS, chosen.with_for_update())
