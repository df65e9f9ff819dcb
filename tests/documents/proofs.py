"""Run exactly the tests that the ledger names, and say which of them do not prove anything."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.documents.checks import LEDGER
from tests.documents.ledger import Fault, Placed

_FINISHED: Final = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}


class Recorder:
    """A pytest plugin that keeps only the named tests and writes down how each of them ended."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.wanted = frozenset(wanted)
        self.outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if self.wanted & {item.nodeid, _name(item.nodeid)}]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Set-up, call and tear-down report one by one; an expected failure proves nothing.
        ended = "an expected failure" if hasattr(report, "wasxfail") else report.outcome
        if self.outcomes.get(report.nodeid, "passed") == "passed":
            self.outcomes[report.nodeid] = ended

    def verdict(self, test: str) -> str:
        """How the test ended, all its parameter sets taken together: `passed`, or the first other outcome."""
        ended = [how for node, how in self.outcomes.items() if test in {node, _name(node)}]
        if not ended:
            return "not there, or not run"
        return next((how for how in ended if how != "passed"), "passed")


def _name(node: str) -> str:
    return node.partition("[")[0]


def run(root: Path, placed: list[Placed]) -> list[Fault]:
    """Run the named tests in this process with `root` as pytest's root; a fault for each not passed."""
    wanted = {one.entry.test for one in placed if one.entry.test}
    files = sorted({test.partition("::")[0] for test in wanted})
    recorder = Recorder(wanted)
    present = [file for file in files if (root / file).is_file()]
    ended: int = pytest.ExitCode.OK
    if present:
        os.chdir(root)  # node ids are relative to it
        options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--rootdir={root}"]
        ended = pytest.main([*options, *present], plugins=[recorder])
    verdicts = {test: recorder.verdict(test) for test in wanted}
    faults = [
        Fault(LEDGER, one.line, f"the test did not pass ({verdicts[test]}): {test}")
        for one in placed
        if (test := one.entry.test) and verdicts[test] != "passed"
    ]
    if ended not in _FINISHED and not faults:
        faults.append(Fault(LEDGER, 1, f"pytest ended with code {ended}, its report stands above"))
    return faults
