"""The report of one run, as a JSON object and as a Markdown page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Final

from bench.admission import Admissions
from bench.candidates import TABLES, Comparison, Table
from bench.gates import Verdict
from bench.mcp import McpCost
from bench.memory import Idle
from bench.metering import LIMITS, Meterings
from bench.metrics import METRICS, Metric
from bench.plan import Plan
from bench.possession import Possession
from bench.reload import Blocks
from bench.rounds import Visit
from bench.starting import Starts
from bench.summary import Summary, summarise
from bench.verifier import REVOKED, TOKEN_BYTES, Verification

FORMAT: Final = 2
QUIET_PCT: Final = 5.0
HOW_TO_READ: Final = """\
The ratio of CPU time is the figure to trust: it is taken round by round beside nginx and Envoy, and the gates stand on
its median. Requests per second and p99 are noisy, and requests per second say little where the load's core was busier
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
    ratios: Mapping[Comparison, Mapping[str, Summary]]
    verification: Verification | None
    possession: Possession | None
    admissions: Admissions | None
    meterings: Meterings | None
    mcp: McpCost | None
    starts: Starts | None
    idle: Mapping[str, Idle]
    blocks: Blocks | None
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
        {
            **asdict(verdict.gate),
            "comparison": verdict.gate.comparison and verdict.gate.comparison.title,
            "measured": _as_dict(verdict.measured),
            "standing": verdict.standing,
        }
        for verdict in report.verdicts
    ]
    members = {
        "format": FORMAT,
        "good": report.good,
        "taken_at": report.taken_at,
        "plan": asdict(report.plan),
        "machine": report.machine,
        "gates": gates,
        "medians": _as_dicts(report.medians),
        "ratios": _as_dicts({comparison.title: found for comparison, found in report.ratios.items() if found}),
        "verification": asdict(report.verification) if report.verification else None,
        "possession": asdict(report.possession) if report.possession else None,
        "admissions": asdict(report.admissions) if report.admissions else None,
        "meterings": asdict(report.meterings) if report.meterings else None,
        "mcp": asdict(report.mcp) if report.mcp else None,
        "starts": asdict(report.starts) if report.starts else None,
        "idle": {name: asdict(idle) for name, idle in report.idle.items()},
        "blocks": asdict(report.blocks) if report.blocks else None,
        "accounted": report.accounted,
        "faults": report.faults,
        "visits": [asdict(visit) for visit in report.visits],
    }
    return json.dumps(members, indent=1, ensure_ascii=False) + "\n"


def to_markdown(report: Report) -> str:
    """The report for people: gates first, then the figures, then the machine."""
    parts: list[Iterable[str]] = [
        (f"# jotgate beside nginx and Envoy: {report.plan.name} run of {report.taken_at}", ""),
        (_standing(report), ""),
        _wrong(report),
        _disturbed(report),
        gates_table(report.verdicts),
        *(figures_table(table, report) for table in TABLES),
        ("", f"Medians of {report.plan.rounds} rounds, least to greatest in brackets. {report.accounted}"),
        verification_table(report.verification),
        possession_table(report.possession),
        admissions_table(report.admissions),
        metering_lines(report.meterings),
        mcp_lines(report.mcp),
        idle_table(report.idle),
        blocks_table(report.blocks),
        ("", "## How to read this", "", HOW_TO_READ, ""),
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
        limit = f"{'each at most ' if gate.worst else ''}{gate.limit} {gate.unit}"
        goal = f"{gate.goal} {gate.unit}" if gate.goal is not None else ""
        lines.append(f"| {gate.title} | {measured} | {limit} | {goal} | {verdict.standing} |")
    return lines


def figures_table(table: Table, report: Report) -> list[str]:
    """One line a metric, one column a candidate; a metric or candidate that was not measured is left out.

    A table that names no metrics shows those that no other names.
    """
    elsewhere = {key for one in TABLES if one is not table for key in one.metrics}
    names = [name for name in table.columns if name in report.medians]
    shown = [
        metric
        for metric in METRICS
        if (metric.key in table.metrics if table.metrics else metric.key not in elsewhere)
        and any(metric.key in report.medians[name] for name in names)
    ]
    compared = [one for one in table.comparisons if report.ratios.get(one)]
    if not shown or (table.title and not compared):
        return []
    titles = [*names, *(one.title for one in compared)]
    lines = ["", *([f"## {table.title}", ""] if table.title else [])]
    lines += [table.note, ""] if table.note else []
    lines += [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for metric in shown:
        cells = [_figure(report.medians[name].get(metric.key), metric) for name in names]
        cells += [_cell(report.ratios[one].get(metric.key), 2, "x") for one in compared]
        lines.append(f"| {metric.title} ({metric.unit}) | {' | '.join(cells)} |")
    return lines


def verification_table(found: Verification | None) -> list[str]:
    """What it costs to verify a token, one line a way."""
    if found is None:
        return []
    return [
        "",
        "## Verifying a token",
        "",
        f"ES256, {TOKEN_BYTES} bytes, two issuers; {found.tokens:,} tokens in the cache. CPU time a token.",
        "",
        "| | µs | over the bare primitive |",
        "|---|---|---|",
        *(
            f"| {way} | {_cell(summarise(us), 2, '')} | {_cell(found.over_bare(way), 2, 'x')} |"
            for way, us in found.us.items()
        ),
        "",
        f"With {REVOKED:,} revocations of all kinds over the same with none: {_cell(found.over_unrevoked(), 2, 'x')}.",
        f"A token's first look among them, once after each further one: {_cell(found.first_look(), 2, 'x')}.",
    ]


def possession_table(found: Possession | None) -> list[str]:
    """What a call costs more for a DPoP proof, one line a part."""
    if found is None:
        return []
    return [
        "",
        "## A DPoP proof",
        "",
        "ES256, one client, a store of its own. CPU time a proof, beside that of the call.",
        "",
        "| | µs |",
        "|---|---|",
        *(f"| {way} | {_cell(summarise(us), 1, '')} |" for way, us in found.us.items()),
        f"| all but the first | {_cell(found.total(), 1, '')} |",
    ]


def admissions_table(found: Admissions | None) -> list[str]:
    """What policies cost, one line a way."""
    if found is None:
        return []
    return [
        "",
        "## Admitting a call",
        "",
        "Its token is known, its body has 400 bytes. CPU time a call, from its head to its upstream.",
        "",
        "| | µs | over without policies |",
        "|---|---|---|",
        *(
            f"| {way} | {_cell(summarise(us), 2, '')} | {_cell(found.over_none(way), 2, 'x')} |"
            for way, us in found.us.items()
        ),
    ]


def metering_lines(found: Meterings | None) -> list[str]:
    """What quotas cost."""
    if found is None:
        return []
    levels = ", ".join(f"{unit} of a {level}" for level, unit in LIMITS)
    return [
        "",
        "## Quotas",
        "",
        f"{found.calls:,} calls in a loop reserve and settle under limits on {levels}, from leases that are held.",
        f"CPU time a call: {_cell(summarise(found.us), 2, 'µs')}.",
    ]


def mcp_lines(found: McpCost | None) -> list[str]:
    """What the way to an MCP server costs."""
    if found is None:
        return []
    return [
        "",
        "## MCP",
        "",
        f"{found.calls:,} calls of a tool a round, one after another, straight and through the gateway in turn.",
        f"Added to the median call: {_cell(summarise(found.added_us), 0, 'µs')}.",
        f"Each of {found.subscriptions:,} open subscriptions takes {found.subscription_kib:.1f} KiB (PSS).",
    ]


def idle_table(idle: Mapping[str, Idle]) -> list[str]:
    """Memory, one line a candidate."""
    if not idle:
        return []
    streams = next(iter(idle.values())).streams
    lines = [
        "",
        f"## Memory with {streams:,} open streams that wait",
        "",
        "MiB of all processes together; PSS counts what they share once.",
        "",
        "| | PSS after a second of load | RSS | PSS with the streams | RSS | PSS per stream |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in idle.items():
        rested, streaming = found.rested, found.streaming
        lines.append(
            f"| {name} | {rested.pss_mib:.1f} | {rested.rss_mib:.1f} | {streaming.pss_mib:.1f} | "
            f"{streaming.rss_mib:.1f} | {found.per_stream_kib:.1f} KiB |"
        )
    return lines


def blocks_table(blocks: Blocks | None) -> list[str]:
    """The longest turns of a worker's event loop."""
    if blocks is None:
        return []
    rows = (
        ("own CPU time", blocks.reload_cpu_ms, blocks.calm_cpu_ms),
        ("wall time", blocks.reload_wall_ms, blocks.calm_wall_ms),
    )
    return [
        "",
        f"## The longest block of a worker's loop in each of {len(blocks.reload_cpu_ms)} reloads",
        "",
        "Milliseconds, at 500 requests per second; beside it as long a time without a reload.",
        "",
        "| | with a reload | without |",
        "|---|---|---|",
        *(
            f"| {name} | {_cell(summarise(with_it), 2, '')} | {_cell(summarise(calm), 2, '')} |"
            for name, with_it, calm in rows
        ),
    ]


def _figure(summary: Summary | None, metric: Metric) -> str:
    return _cell(summary, metric.digits, "")


def _cell(summary: Summary | None, digits: int, unit: str) -> str:
    if summary is None:
        return ""
    middle = f"{summary.median:,.{digits}f}{' ' if unit else ''}{unit}"
    return f"{middle} ({summary.low:,.{digits}f} to {summary.high:,.{digits}f})"


def _as_dict(summary: Summary | None) -> dict[str, float] | None:
    return asdict(summary) if summary else None


def _as_dicts(found: Mapping[str, Mapping[str, Summary]]) -> dict[str, dict[str, dict[str, float]]]:
    return {name: {key: asdict(summary) for key, summary in by_key.items()} for name, by_key in found.items()}
