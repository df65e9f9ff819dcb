"""What control knows of its workers' figures: sums that outlive a worker, and the gauges of those that are there."""

from typing import Final, NamedTuple

import msgspec

from jotgate.core.figures import Counts, Gauges, add_counts
from jotgate.ports import Clock

_GONE_MAX: Final = 64


class _Worker(NamedTuple):
    slot: int
    counts: Counts
    gauges: Gauges | None
    heard_s: float


class Census:
    """The figures of all workers, by process instance (ports.FigureSink). Mutable.

    A worker that is gone keeps its counts here, so that no sum goes down; the oldest of many are added up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers: dict[str, _Worker] = {}
        self._earlier = Counts()
        self._last: dict[int, str] = {}
        self.restarts: dict[int, int] = {}

    def greeted(self, slot: int, instance: str) -> None:
        """A worker is there: perhaps for the first time, perhaps again, perhaps in the place of another."""
        last = self._last.get(slot)
        self.restarts.setdefault(slot, 0)
        if last is not None and instance not in self._workers:
            self.restarts[slot] += 1
        self._last[slot] = instance
        if instance not in self._workers:
            self._workers[instance] = _Worker(slot, Counts(), None, 0.0)

    def took(self, instance: str, counts: Counts, gauges: Gauges) -> None:
        """A worker tells its figures."""
        known = self._workers.get(instance)
        if known is not None:
            self._workers[instance] = _Worker(known.slot, counts, gauges, self._clock.monotonic_s())

    def left(self, instance: str) -> None:
        """A worker is no longer connected."""
        known = self._workers.pop(instance, None)
        if known is None:
            return
        # It goes to the end: the oldest of those that are gone come first.
        self._workers[instance] = known._replace(gauges=None)
        gone = [name for name, worker in self._workers.items() if worker.gauges is None]
        for name in gone[:-_GONE_MAX]:
            self._earlier = add_counts([self._earlier, self._workers.pop(name).counts])

    def counts(self) -> Counts:
        """The sums over all workers that ever told theirs to this control process."""
        return add_counts([self._earlier, *(worker.counts for worker in self._workers.values())])

    def gauges(self) -> dict[int, Gauges]:
        """The gauges of the workers that are there, by slot: one that drains is taken together with its successor."""
        now_s = self._clock.monotonic_s()
        found: dict[int, Gauges] = {}
        for worker in self._workers.values():
            if worker.gauges is None:
                continue
            standing = msgspec.structs.replace(
                worker.gauges, control_age_s=worker.gauges.control_age_s + now_s - worker.heard_s
            )
            known = found.get(worker.slot)
            found[worker.slot] = standing if known is None else _together(known, standing)
        return dict(sorted(found.items()))


def _together(one: Gauges, other: Gauges) -> Gauges:
    return Gauges(
        live_calls=one.live_calls + other.live_calls,
        audit_rows=one.audit_rows + other.audit_rows,
        audit_bytes=one.audit_bytes + other.audit_bytes,
        snapshot=min(one.snapshot, other.snapshot),
        control_age_s=max(one.control_age_s, other.control_age_s),
        block_s=max(one.block_s, other.block_s),
        units_waiting=one.units_waiting + other.units_waiting,
    )
