"""Medians and ratios of what the rounds gave."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.candidates import STRAIGHT, Comparison
from bench.metrics import METRICS, Figures
from bench.rounds import Visit

ADDED: Final = ("added_p50_us", "added_p99_us")
ADDED_FLOOR_US: Final = 100.0


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of some samples, with the least and the greatest."""

    median: float
    low: float
    high: float


def summarise(samples: Sequence[float]) -> Summary | None:
    """None when there are no samples."""
    return Summary(median(samples), min(samples), max(samples)) if samples else None


def with_added(visits: Iterable[Visit]) -> list[Visit]:
    """The visits with the latency that each added to the straight one of its round; straight itself adds none."""
    known = list(visits)
    straight = {visit.round: visit.figures for visit in known if visit.candidate == STRAIGHT}
    return [_with_added(visit, straight) if visit.candidate != STRAIGHT else visit for visit in known]


def _with_added(visit: Visit, straight: Mapping[int, Figures]) -> Visit:
    bare = straight.get(visit.round, {})
    added = {
        f"added_{p}_us": visit.figures[f"latency_{p}_us"] - bare[f"latency_{p}_us"]
        for p in ("p50", "p99")
        if f"latency_{p}_us" in visit.figures and f"latency_{p}_us" in bare
    }
    return Visit(visit.candidate, visit.round, {**visit.figures, **added}, visit.faults)


def medians(visits: Iterable[Visit]) -> dict[str, dict[str, Summary]]:
    """By candidate and metric."""
    found: dict[str, dict[str, list[float]]] = {}
    for visit in visits:
        for key, value in visit.figures.items():
            found.setdefault(visit.candidate, {}).setdefault(key, []).append(value)
    return {
        candidate: {key: Summary(median(values), min(values), max(values)) for key, values in by_key.items()}
        for candidate, by_key in found.items()
    }


def ratios(visits: Iterable[Visit], comparison: Comparison) -> dict[str, Summary]:
    """Candidate over yardstick by metric, round by round: what disturbs one round disturbs both.

    A round in which the yardstick shows nothing above zero gives no ratio. Added latency is compared otherwise.
    """
    known = list(visits)
    bases = {visit.round: visit.figures for visit in known if visit.candidate == comparison.yardstick}
    mine = [visit for visit in known if visit.candidate == comparison.candidate]
    found: dict[str, Summary] = {}
    for key in (metric.key for metric in METRICS if metric.ratio):
        if key in ADDED:
            summary = _added_ratio(key, mine, bases)
        else:
            summary = summarise(
                [
                    visit.figures[key] / bases[visit.round][key]
                    for visit in mine
                    if key in visit.figures and bases.get(visit.round, {}).get(key, 0) > 0
                ]
            )
        if summary:
            found[key] = summary
    return found


def _added_ratio(key: str, mine: Sequence[Visit], bases: Mapping[int, Figures]) -> Summary | None:
    """Median added latency over the yardstick's median, which counts as at least ADDED_FLOOR_US.

    One round's p99 is luck, and near zero it makes any ratio: so medians come first and the least yardstick is set.
    Least and greatest are the candidate's own rounds over that same yardstick.
    """
    added = summarise([visit.figures[key] for visit in mine if key in visit.figures])
    yard = summarise([figures[key] for figures in bases.values() if key in figures])
    if added is None or yard is None:
        return None
    base = max(yard.median, ADDED_FLOOR_US)
    return Summary(added.median / base, added.low / base, added.high / base)
