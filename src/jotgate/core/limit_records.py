"""Limits that the store keeps for a holder, beside those of rules and of tokens."""

from msgspec import Struct

from jotgate.core.durable import PAIRED_BYTES_MAX, check_texts
from jotgate.core.quotas import Level, Limit


class LimitRecord(Struct, frozen=True, kw_only=True):
    """The limits of one holder, all of which apply. `version` is 0 before it is kept, and larger after each change.

    `holder` is the handle that calls of this level have (`core.quotas.Meter`), `title` what people call it.
    """

    level: Level
    holder: str
    title: str = ""
    limits: tuple[Limit, ...] = ()
    version: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self, PAIRED_BYTES_MAX)
