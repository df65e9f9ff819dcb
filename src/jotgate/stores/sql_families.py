"""Refresh-token families and marks in the SQL store.

Whoever changes a family changes its row first: that row is what others wait for, and whose version they compare.
"""

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, case, delete, select, update

from jotgate.core.durable import Mark, Revocation
from jotgate.core.families import Family, FoundFamily, RefreshRecord
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import FAMILIES, MARKS, REFRESH_TOKENS
from jotgate.stores.sql_rows import SqlRows, add, build_insert, drop, every, keep_revoked, one, put


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
            return one(connection, select(FAMILIES).where(FAMILIES.c.family_id == family_id), Family)

    def find_family(self, digest: bytes) -> FoundFamily | None:
        """The family of a token."""
        columns = REFRESH_TOKENS.c
        with reading(self._engine) as connection:
            token = one(connection, select(REFRESH_TOKENS).where(columns.digest == digest), RefreshRecord)
            if token is None:
                return None
            family = one(connection, select(FAMILIES).where(FAMILIES.c.family_id == token.family_id), Family)
            same = and_(columns.family_id == token.family_id, columns.generation > token.generation)
            chosen = select(REFRESH_TOKENS).where(same).order_by(columns.generation)
            return None if family is None else FoundFamily(family, token, every(connection, chosen, RefreshRecord))

    def rotate_family(self, family: Family, used: RefreshRecord, successor: RefreshRecord) -> bool:
        """Keep a rotation if the family's version still stands."""
        columns = FAMILIES.c
        stands = and_(
            columns.family_id == family.family_id, columns.version == family.version, columns.ended_at_s.is_(None)
        )
        ends_at_s = successor.expires_at_s
        changed = (
            update(FAMILIES)
            .where(stands)
            .values(
                version=columns.version + 1,
                last_ends_at_s=case((columns.last_ends_at_s < ends_at_s, ends_at_s), else_=columns.last_ends_at_s),
            )
        )
        # Of several at once the others wait for the row, and find that the version stands no more.
        with writing(self._engine, alone=False) as connection:
            rotated = connection.execute(changed).rowcount == 1
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
                same = REFRESH_TOKENS.c.family_id == family_id
                connection.execute(update(REFRESH_TOKENS).where(same).values(successor=None))
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
        same = and_(MARKS.c.kind == mark.kind, MARKS.c.handle == mark.handle)
        with writing(self._engine, alone=False) as connection:
            chosen = build_insert(connection, MARKS).values(
                kind=mark.kind, handle=mark.handle, expires_at_s=mark.expires_at_s, content=mark.content
            )
            placed = chosen.on_conflict_do_update(
                index_elements=["kind", "handle"],
                set_={"expires_at_s": chosen.excluded.expires_at_s, "content": chosen.excluded.content},
                where=MARKS.c.expires_at_s <= now_s,
            )
            if connection.execute(placed.execution_options(preserve_rowcount=True)).rowcount == 1:
                return None
            # A conflict locks the row, so the one that stands is still there.
            return one(connection, select(MARKS).where(same), Mark)

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
