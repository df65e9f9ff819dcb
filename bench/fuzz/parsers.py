"""Runs the targets: guided by coverage where atheris is installed, else with what Hypothesis makes of their seeds."""

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bench.fuzz.exchange import Harm
from bench.fuzz.strategies import mutated
from bench.fuzz.targets import TARGETS, Target

LENGTH_MAX: Final = 20_000
_UNITS: Final = re.compile(r"stat::number_of_executed_units: (\d+)")
_COVERAGE: Final = re.compile(r"cov: (\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One target's run: the inputs that it judged and, where it was guided, the branches that they reached."""

    target: str
    driver: str
    inputs: int
    reached: int | None
    seconds: float


def is_guided() -> bool:
    """Whether atheris is there to guide."""
    return find_spec("atheris") is not None


def run_parsers(chosen_seed: int, *, inputs: int, seconds: int) -> list[Outcome]:
    """Fuzz every target: guided, for so many seconds each; else with so many inputs each.

    What a parser lets out that is no refusal leaves here too, with the input that brought it about.

    Raises:
        Harm: a property of what was taken did not hold.
    """
    if is_guided():
        return [run_guided(name, chosen_seed, seconds) for name in TARGETS]
    return [run_generated(name, target, chosen_seed, inputs) for name, target in TARGETS.items()]


def run_generated(name: str, target: Target, chosen_seed: int, inputs: int) -> Outcome:
    """Judge the seeds, then so many mutations of them."""
    seeds, began_s = list(target.seeds()), time.monotonic()
    for one in seeds:
        target.takes(one)

    @seed(chosen_seed)
    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(seeds) | st.binary(max_size=200))
    def attack(given_bytes: bytes) -> None:
        target.takes(given_bytes)

    attack()
    return Outcome(name, "Hypothesis", inputs + len(seeds), None, time.monotonic() - began_s)


def run_guided(name: str, chosen_seed: int, seconds: int) -> Outcome:
    """Let atheris look for inputs that reach more, in a process of its own."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(TARGETS[name].seeds()):
            Path(folder, f"{number:04}").write_bytes(one)
        options = [f"-max_total_time={seconds}", f"-seed={chosen_seed % 2**32 or 1}", f"-max_len={LENGTH_MAX}"]
        command = [sys.executable, "-m", "bench.fuzz.guided", name, *options, "-print_final_stats=1", folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder_of_bench(), check=False)
    found, reached = _UNITS.search(done.stderr), _COVERAGE.findall(done.stderr)
    if done.returncode != 0 or found is None:
        raise Harm(f"the target '{name}': {done.stderr[-4_000:]}")
    return Outcome(name, "atheris", int(found[1]), int(reached[-1]) if reached else None, time.monotonic() - began_s)


def folder_of_bench() -> Path:
    """Where `python -m bench` is found."""
    return Path(__file__).parents[2]


def render_parsers(outcomes: list[Outcome]) -> list[str]:
    """The outcomes as lines of a page."""
    rows = [
        f"| {one.target} | {one.inputs:,} | {'' if one.reached is None else f'{one.reached:,}'} | {one.seconds:.0f} |"
        for one in outcomes
    ]
    driver = outcomes[0].driver
    how = "guided by coverage of `jotgate.jose`" if driver == "atheris" else "mutations of the same seeds"
    return [
        f"## The parsers, in process: {sum(one.inputs for one in outcomes):,} inputs",
        "",
        f"By {driver}: {how}. Nothing but a refusal left a parser, and of whatever was taken held what",
        "`bench/fuzz/targets.py` says of it.",
        "",
        "| target | inputs | reached | seconds |",
        "|---|---|---|---|",
        *rows,
    ]
