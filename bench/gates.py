"""The limits that a build must hold, and the goals beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.starting import Starts
from bench.summary import Summary, summarise

Standing = Literal["goal reached", "holds", "BROKEN", "not measured"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit on a median, and the goal where there is one."""

    key: str
    title: str
    unit: str
    limit: float
    goal: float | None = None


GATES: Final = (
    Gate("request_cpu_us", "CPU per request over nginx's", "x", 2.2, 1.8),
    Gate("chunk_cpu_us", "CPU per streamed chunk over nginx's", "x", 1.8, 1.4),
    Gate("first_s", "first start to ready", "s", 2.0),
    Gate("again_s", "start to the first answered completion", "s", 2.0),
    Gate("help_s", "`jotgate --help`", "s", 0.2),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate and what was measured."""

    gate: Gate
    measured: Summary | None

    @property
    def standing(self) -> Standing:
        """How the median stands to limit and goal; what stands exactly on a limit holds it."""
        if self.measured is None:
            return "not measured"
        if self.measured.median > self.gate.limit:
            return "BROKEN"
        if self.gate.goal is not None and self.measured.median <= self.gate.goal:
            return "goal reached"
        return "holds"


def judge(ratios: Mapping[str, Summary], starts: Starts | None) -> list[Verdict]:
    """All gates in order; those whose figures were not asked for are not measured."""
    found: dict[str, Summary | None] = dict(ratios)
    if starts:
        waits: dict[str, Sequence[float]] = {
            "first_s": starts.first_s,
            "again_s": starts.again_s,
            "help_s": starts.help_s,
        }
        found |= {key: summarise(samples) for key, samples in waits.items()}
    return [Verdict(gate, found.get(gate.key)) for gate in GATES]
