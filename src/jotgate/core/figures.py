"""What a worker has counted, as values: rows of settled requests, and what stands where now. Sums are made here.

All counts grow from the start of a worker's process; gauges are of one moment. The labels are bounded: operations,
outcomes and codes are closed sets, upstreams are those of the configuration.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec import Struct

FIRST_POWER: Final = 7
LAST_POWER: Final = 28
BOUNDS_US: Final = tuple(2**power for power in range(FIRST_POWER, LAST_POWER + 1))
"""Upper bounds of the buckets of both histograms, in microseconds; one more bucket holds the rest. They are powers of
two, because an int knows its own length: no search is needed to find its bucket."""


class Label(NamedTuple):
    """What a settled request is counted under. `status` is its first digit; `upstream` and `code` may be empty."""

    operation: str
    status: int
    outcome: str
    upstream: str
    code: str


class Row(Struct, frozen=True):
    """The requests of one label. `total` and `added` are counts by bucket; `added` holds complete calls alone."""

    label: Label
    tokens_in: int
    tokens_out: int
    total_us: int
    added_us: int
    total: tuple[int, ...]
    added: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many requests there were."""
        return sum(self.total)


class Counts(Struct, frozen=True):
    """What only grows. `passed_over` counts the attempts that were given up for the next one, by upstream.

    `personal_misses` are the personal tokens of which control was asked, `personal_hits` the others.
    """

    rows: tuple[Row, ...] = ()
    passed_over: dict[str, int] = {}
    cache_hits: int = 0
    cache_misses: int = 0
    personal_hits: int = 0
    personal_misses: int = 0


class Gauges(Struct, frozen=True):
    """What stands where now.

    `control_age_s` is the time since control's last word, `block_s` the longest time for which the event loop stood
    still lately.
    """

    live_calls: int = 0
    audit_rows: int = 0
    audit_bytes: int = 0
    snapshot: int = 0
    control_age_s: float = 0.0
    block_s: float = 0.0


def add_counts(parts: Iterable[Counts]) -> Counts:
    """The sum of the counts."""
    rows: dict[Label, Row] = {}
    passed_over: dict[str, int] = {}
    hits = misses = personal_hits = personal_misses = 0
    for part in parts:
        for row in part.rows:
            known = rows.get(row.label)
            rows[row.label] = row if known is None else _add_rows(known, row)
        for upstream, count in part.passed_over.items():
            passed_over[upstream] = passed_over.get(upstream, 0) + count
        hits += part.cache_hits
        misses += part.cache_misses
        personal_hits += part.personal_hits
        personal_misses += part.personal_misses
    return Counts(tuple(rows.values()), passed_over, hits, misses, personal_hits, personal_misses)


def _add_rows(one: Row, other: Row) -> Row:
    return Row(
        label=one.label,
        tokens_in=one.tokens_in + other.tokens_in,
        tokens_out=one.tokens_out + other.tokens_out,
        total_us=one.total_us + other.total_us,
        added_us=one.added_us + other.added_us,
        total=add_buckets(one.total, other.total),
        added=add_buckets(one.added, other.added),
    )


def add_buckets(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The sum, bucket by bucket."""
    return tuple(map(sum, zip(one, other, strict=True)))
