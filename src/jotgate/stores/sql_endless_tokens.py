"""Tokens that never expire in the SQL store."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from msgspec.structs import asdict
from sqlalchemy import Insert, case, func, select

from jotgate.core.endless_tokens import EndlessToken
from jotgate.stores.engines import reading, writing
from jotgate.stores.schema import ENDLESS_TOKENS
from jotgate.stores.sql_rows import SqlRows, build_insert, drop, every

_COLUMNS: Final = ENDLESS_TOKENS.c
_OLDEST: Final = select(_COLUMNS.digest).order_by(_COLUMNS.last_seen_at_s, _COLUMNS.digest)


class SqlEndlessTokens(SqlRows):
    """Keeps when they were seen in a database (store_ports.EndlessRecords)."""

    def endless_tokens(self, subject: str, after: str, limit: int) -> Sequence[EndlessToken]:
        """Those of a subject, by digest."""
        chosen = select(ENDLESS_TOKENS).where(_COLUMNS.digest > after).order_by(_COLUMNS.digest).limit(limit)
        if subject:
            chosen = chosen.where(_COLUMNS.subject == subject)
        with reading(self._engine) as connection:
            return every(connection, chosen, EndlessToken)

    def known_endless_tokens(self, digests: Sequence[str]) -> frozenset[str]:
        """Which of these are kept."""
        with reading(self._engine) as connection:
            return frozenset(connection.scalars(select(_COLUMNS.digest).where(_COLUMNS.digest.in_(digests))))

    def see_endless_tokens(self, tokens: Sequence[EndlessToken]) -> None:
        """Keep further sights."""
        if not tokens:
            return
        # Alone: two machines that see the same tokens in different orders would wait for one another.
        with writing(self._engine) as connection:
            connection.execute(_build_sight(connection.dialect.name), [asdict(one) for one in tokens])

    def drop_endless_tokens(self, seen_at_s: int, most: int, limit: int) -> int:
        """Forget those that were seen last so long ago, or are too many."""
        with writing(self._engine) as connection:
            count = connection.scalar(select(func.count()).select_from(ENDLESS_TOKENS)) or 0
            old = _OLDEST.where(_COLUMNS.last_seen_at_s <= seen_at_s)
            dropped = drop(connection, ENDLESS_TOKENS, old.limit(limit))
            extra = min(count - dropped - most, limit - dropped)
            return dropped + (drop(connection, ENDLESS_TOKENS, _OLDEST.limit(extra)) if extra > 0 else 0)


@cache
def _build_sight(dialect: str) -> Insert:
    chosen = build_insert(dialect, ENDLESS_TOKENS)
    first, last = chosen.excluded.first_seen_at_s, chosen.excluded.last_seen_at_s
    return chosen.on_conflict_do_update(
        index_elements=[_COLUMNS.digest],
        set_={
            "first_seen_at_s": case((_COLUMNS.first_seen_at_s > first, first), else_=_COLUMNS.first_seen_at_s),
            "last_seen_at_s": case((_COLUMNS.last_seen_at_s < last, last), else_=_COLUMNS.last_seen_at_s),
        },
    )
