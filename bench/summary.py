"""Medians and ratios of what the rounds gave."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.metrics import METRICS, Figures
from bench.rounds import STRAIGHT, Visit


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


def ratios(visits: Iterable[Visit], candidate: str, yardstick: str) -> dict[str, Summary]:
    """Candidate over yardstick by metric, round by round: what disturbs one round disturbs both.

    A round in which the yardstick shows nothing above zero gives no ratio.
    """
    known = list(visits)
    bases = {visit.round: visit.figures for visit in known if visit.candidate == yardstick}
    found: dict[str, Summary] = {}
    for key in (metric.key for metric in METRICS if metric.ratio):
        samples = [
            visit.figures[key] / bases[visit.round][key]
            for visit in known
            if visit.candidate == candidate and key in visit.figures and bases.get(visit.round, {}).get(key, 0) > 0
        ]
        if summary := summarise(samples):
            found[key] = summary
    return found
