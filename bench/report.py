"""The report of one run, as a JSON object and as a Markdown page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Final

from bench.gates import Verdict
from bench.metrics import METRICS, Metric
from bench.plan import Plan
from bench.rounds import Visit
from bench.starting import Starts
from bench.summary import Summary

FORMAT: Final = 1
QUIET_PCT: Final = 5.0
HOW_TO_READ: Final = """\
The ratio of CPU time is the figure to trust: it is taken round by round beside nginx, and the gates stand on its
median. Requests per second and p99 are noisy, and requests per second say little where the load's core was busier
than the candidate's own. On a virtual machine the kernel's share of every request is inflated, for both alike: that
draws ratios towards 1 and **flatters** them. Never compare absolute figures of two machines, nor of two runs on a
machine where others work. docs/bench.md says how each figure is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a run found. `accounted` says how the audit log compares with the requests."""

    taken_at: str
    plan: Plan
    machine: Mapping[str, str]
    visits: Sequence[Visit]
    medians: Mapping[str, Mapping[str, Summary]]
    ratios: Mapping[str, Summary]
    starts: Starts | None
    verdicts: Sequence[Verdict]
    accounted: str
    faults: Sequence[str]

    @property
    def good(self) -> bool:
        """Every answer was right and no gate is broken."""
        return not self.faults and all(verdict.standing != "BROKEN" for verdict in self.verdicts)


def to_json(report: Report) -> str:
    """The whole report; every sample is in it."""
    gates = [
        {**asdict(verdict.gate), "measured": _as_dict(verdict.measured), "standing": verdict.standing}
        for verdict in report.verdicts
    ]
    members = {"format": FORMAT, "good": report.good, **asdict(report), "gates": gates}
    del members["verdicts"]
    return json.dumps(members, indent=1, ensure_ascii=False) + "\n"


def to_markdown(report: Report) -> str:
    """The report for people: gates first, then the figures, then the machine."""
    parts: list[Iterable[str]] = [
        (f"# jotgate beside nginx: {report.plan.name} run of {report.taken_at}", ""),
        (_standing(report), ""),
        _wrong(report),
        _disturbed(report),
        gates_table(report.verdicts),
        ("",),
        figures_table(report.medians, report.ratios),
        ("", f"Medians of {report.plan.rounds} rounds, least to greatest in brackets. {report.accounted}", ""),
        ("## How to read this", "", HOW_TO_READ, ""),
        ("## The machine", "", "| | |", "|---|---|"),
        (f"| {name} | {value} |" for name, value in report.machine.items()),
    ]
    return "\n".join(chain.from_iterable(parts)) + "\n"


def _standing(report: Report) -> str:
    if not report.good:
        return "**Not good.** What is wrong:"
    if any(verdict.standing == "not measured" for verdict in report.verdicts):
        return "What was measured holds; this run does not say that everything does."
    return "Everything holds."


def _wrong(report: Report) -> Iterable[str]:
    broken = [verdict for verdict in report.verdicts if verdict.standing == "BROKEN"]
    lines = [f"- {fault}" for fault in report.faults]
    lines += [f"- gate broken: {verdict.gate.title}" for verdict in broken]
    return [*lines, ""] if lines else []


def _disturbed(report: Report) -> Iterable[str]:
    others = [by_key["others_busy_pct"].median for by_key in report.medians.values() if "others_busy_pct" in by_key]
    if not others or max(others) <= QUIET_PCT:
        return []
    words = f"others took {max(others):.0f} % of the candidates' core. What holds here may not hold: measure again."
    return [f"**The machine was not quiet**: {words}", ""]


def gates_table(verdicts: Iterable[Verdict]) -> list[str]:
    """One line a gate."""
    lines = ["| gate | measured | limit | goal | |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        gate = verdict.gate
        measured = _cell(verdict.measured, 2, gate.unit)
        goal = f"{gate.goal} {gate.unit}" if gate.goal is not None else ""
        lines.append(f"| {gate.title} | {measured} | {gate.limit} {gate.unit} | {goal} | {verdict.standing} |")
    return lines


def figures_table(medians: Mapping[str, Mapping[str, Summary]], ratios: Mapping[str, Summary]) -> list[str]:
    """One line a metric, one column a candidate; a metric that nobody was measured by is left out."""
    names = sorted(medians, key=list(medians).index)
    lines = [f"| | {' | '.join(names)} | jotgate / nginx |", "|---" * (len(names) + 2) + "|"]
    for metric in METRICS:
        if not any(metric.key in by_key for by_key in medians.values()):
            continue
        cells = [_figure(medians[name].get(metric.key), metric) for name in names]
        ratio = _cell(ratios.get(metric.key), 2, "x")
        lines.append(f"| {metric.title} ({metric.unit}) | {' | '.join(cells)} | {ratio} |")
    return lines


def _figure(summary: Summary | None, metric: Metric) -> str:
    return _cell(summary, metric.digits, "")


def _cell(summary: Summary | None, digits: int, unit: str) -> str:
    if summary is None:
        return ""
    middle = f"{summary.median:,.{digits}f}{' ' if unit else ''}{unit}"
    return f"{middle} ({summary.low:,.{digits}f} to {summary.high:,.{digits}f})"


def _as_dict(summary: Summary | None) -> dict[str, float] | None:
    return asdict(summary) if summary else None
