"""What a worker has counted, as values: rows of settled requests, and what stands where now. Sums are made here.

All counts grow from the start of a worker's process; gauges are of one moment. The labels are bounded: operations,
outcomes and codes are closed sets, upstreams are those of the configuration.
"""

from collections.abc import Iterable, Sequence
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


class QuotaLabel(NamedTuple):
    """What a call is counted under that a quota refused or cut: by what it counts, joined by "+", and what of."""

    level: str
    unit: str


class QuotaCounts(Struct, frozen=True):
    """What became of calls by their quotas. `overrun` are the tokens that calls used beyond what they had reserved.

    `refused` has calls that were refused and streams that were cut; `uncounted` are those let through in outages.
    """

    refused: tuple[tuple[QuotaLabel, int], ...] = ()
    overrun: int = 0
    uncounted: int = 0


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
    quotas: QuotaCounts = QuotaCounts()


class Gauges(Struct, frozen=True):
    """What stands where now.

    `control_age_s` is the time since control's last word, `block_s` the longest time for which the event loop stood
    still lately. `units_waiting` are the calls that wait for units of their quotas.
    """

    live_calls: int = 0
    audit_rows: int = 0
    audit_bytes: int = 0
    snapshot: int = 0
    control_age_s: float = 0.0
    block_s: float = 0.0
    units_waiting: int = 0


def add_counts(parts: Iterable[Counts]) -> Counts:
    """The sum of the counts."""
    parts = tuple(parts)
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
    quotas = _add_quotas([part.quotas for part in parts])
    return Counts(tuple(rows.values()), passed_over, hits, misses, personal_hits, personal_misses, quotas)


def _add_quotas(parts: Sequence[QuotaCounts]) -> QuotaCounts:
    refused: dict[QuotaLabel, int] = {}
    for part in parts:
        for label, count in part.refused:
            refused[label] = refused.get(label, 0) + count
    return QuotaCounts(
        tuple(refused.items()), sum(part.overrun for part in parts), sum(part.uncounted for part in parts)
    )


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
