"""Counts what a worker has settled, in plain ints: one look-up and a few additions a request.

It counts from the audit record, where everything is settled already. The number of rows is bounded: should
configurations with ever new upstreams fill it, what comes then is counted without its upstream's name.
"""

from collections.abc import Iterable
from typing import Final

from jotgate.core.audit import CallRecord, Charge
from jotgate.core.figures import FIRST_POWER, LAST_POWER, Counts, Label, QuotaCounts, QuotaLabel, Row
from jotgate.errors import QuotaStanding
from jotgate.services.personal_cache import PersonalTokens
from jotgate.services.verifier import Verifier

_ROWS_MAX: Final = 1_024
_LENGTHS: Final = 64  # of an int, in bits: more microseconds than any clock will count
_OTHERS: Final = "(others)"
_Key = tuple[str, int, str, str, str]


class _Row:
    __slots__ = ("added", "added_us", "tokens_in", "tokens_out", "total", "total_us")

    def __init__(self) -> None:
        self.tokens_in = 0
        self.tokens_out = 0
        self.total_us = 0
        self.added_us = 0
        self.total = [0] * _LENGTHS
        self.added = [0] * _LENGTHS


class Tally:
    """The counts of one worker process. Mutable: the rows, and what verifiers that are gone had counted."""

    def __init__(self) -> None:
        self._rows: dict[_Key, _Row] = {}
        self._passed_over: dict[str, int] = {}
        self._cache_lookups = 0
        self._cache_misses = 0
        self._refused: dict[QuotaLabel, int] = {}
        self._overrun = 0
        self._uncounted = 0

    def settled(self, record: CallRecord, upstream_us: int = 0) -> None:
        """Count a request that has ended; of a complete call, its upstream took `upstream_us` of its time."""
        key = (record.operation, record.status // 100, record.outcome, record.upstream, record.code)
        row = self._rows.get(key)
        if row is None:
            row = self._begin_row(key)
        duration_us = record.duration_us
        row.total_us += duration_us
        row.total[duration_us.bit_length()] += 1
        if upstream_us and record.outcome == "complete":
            added_us = duration_us - upstream_us
            row.added_us += added_us
            row.added[added_us.bit_length()] += 1
        if record.tokens_in is not None:
            row.tokens_in += record.tokens_in
        if record.tokens_out is not None:
            row.tokens_out += record.tokens_out

    def charged(self, charge: Charge, spent: QuotaStanding | None) -> None:
        """Count what a call was charged that a quota met; `spent` is the one by which it was cut, if one was."""
        self._overrun += charge.overrun
        self._uncounted += charge.uncounted
        if spent is not None:
            self.quota_refused(spent)

    def quota_refused(self, standing: QuotaStanding) -> None:
        """Count a call for which a quota has not enough left."""
        label = QuotaLabel("+".join(standing.levels), standing.unit)
        if label not in self._refused and len(self._refused) >= _ROWS_MAX:
            label = QuotaLabel(_OTHERS, standing.unit)
        self._refused[label] = self._refused.get(label, 0) + 1

    def passed_over(self, upstream: str) -> None:
        """Count an attempt that was given up for the next one."""
        name = upstream if upstream in self._passed_over or len(self._passed_over) < _ROWS_MAX else _OTHERS
        self._passed_over[name] = self._passed_over.get(name, 0) + 1

    def retire(self, verifier: Verifier) -> None:
        """Keep what a verifier has counted that will not be asked again."""
        self._cache_lookups += verifier.lookups
        self._cache_misses += verifier.misses

    def counts(self, verifiers: Iterable[Verifier], personal: PersonalTokens | None = None) -> Counts:
        """All that was counted; `verifiers` are the current ones, and `personal` what is known of personal tokens."""
        lookups, misses = self._cache_lookups, self._cache_misses
        for verifier in verifiers:
            lookups += verifier.lookups
            misses += verifier.misses
        return Counts(
            rows=tuple(_freeze(Label(*key), row) for key, row in self._rows.items()),
            passed_over=dict(self._passed_over),
            cache_hits=lookups - misses,
            cache_misses=misses,
            personal_hits=0 if personal is None else personal.lookups - personal.misses,
            personal_misses=0 if personal is None else personal.misses,
            quotas=QuotaCounts(tuple(self._refused.items()), self._overrun, self._uncounted),
        )

    def _begin_row(self, key: _Key) -> _Row:
        if len(self._rows) >= _ROWS_MAX:
            key = (*key[:3], _OTHERS, key[4])
        return self._rows.setdefault(key, _Row())


def _freeze(label: Label, row: _Row) -> Row:
    return Row(
        label=label,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        total_us=row.total_us,
        added_us=row.added_us,
        total=_buckets(row.total),
        added=_buckets(row.added),
    )


def _buckets(lengths: list[int]) -> tuple[int, ...]:
    """Counts by length in bits as counts by bucket: what has k bits is below two to the k."""
    first, end = FIRST_POWER + 1, LAST_POWER + 1
    return (sum(lengths[:first]), *lengths[first:end], sum(lengths[end:]))
