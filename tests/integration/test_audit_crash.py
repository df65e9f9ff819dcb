"""A writer killed with SIGKILL: what it had flushed is there and verifies, and the next instance goes on."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jotgate.core.audit_verifier import VerificationReport
from jotgate.stores.segment_files import segments, verify_directory
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import StillClock, call_lines
from tests.integration.audit_process import RUN_BATCH

ROOT = Path(__file__).parents[2]


class Writer:
    """A running audit process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def read_row(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def send(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def tell(self, command: str) -> int:
        self.send(command)
        return self.read_row()

    def kill(self) -> list[int]:
        """Kill it with SIGKILL. Returns the rows that it still told of."""
        self._process.kill()
        assert self._process.stdout is not None
        rest = [int(line) for line in self._process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        assert self._process.wait() == -9
        return rest


@contextmanager
def writing(directory: Path, instance: str) -> Iterator[Writer]:
    command = [sys.executable, "-m", "tests.integration.audit_process", str(directory), instance]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        writer = Writer(process)
        assert writer.read_row() == 0
        try:
            yield writer
        finally:
            process.kill()


def calls(report: VerificationReport) -> int:
    return sum(segment.calls for segment in report.segments)


def test_what_was_flushed_is_there_and_what_was_not_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "audit"
    with writing(directory, "000000000001") as writer:
        writer.tell("append 100")
        assert writer.tell("flush") == 100
        writer.tell("append 50")
        writer.kill()
    report = verify_directory(directory)
    assert (report.holds, report.torn, calls(report)) == (True, (), 100)
    assert not report.segments[-1].closed


def test_the_next_instances_go_on_behind_one_another(tmp_path: Path) -> None:
    directory = tmp_path / "audit"
    for number in range(1, 5):
        with writing(directory, f"{number:012d}") as writer:
            writer.tell("append 10")
            writer.tell("sync")
            writer.kill()
    report = verify_directory(directory)
    assert (report.holds, report.torn, calls(report)) == (True, (), 40)
    assert report.duplicate_rows == 30  # the same rows of the same worker each time, as if sent again
    links = [segment.opened.previous for segment in report.segments if segment.opened is not None]
    assert [link.file for link in links if link is not None] == list(segments(directory))[:-1]


@pytest.mark.parametrize("attempt", range(5))
def test_a_kill_in_the_middle_of_writing_leaves_at_most_a_torn_tail(tmp_path: Path, attempt: int) -> None:
    """Killed at no particular moment, across changes of segment; every row that was reported flushed is there."""
    directory = tmp_path / "audit"
    with writing(directory, "000000000001") as writer:
        writer.send("run")
        reported = [writer.read_row() for _ in range(7 + 31 * attempt)]
        reported += writer.kill()
    report = verify_directory(directory)
    assert report.holds
    assert len(report.torn) <= 1
    assert reported[-1] <= calls(report) <= reported[-1] + RUN_BATCH
    assert report.missing_rows == 0
    following = SegmentWriter(directory, "000000000002", StillClock())
    following.append(call_lines(1, 1))
    following.close()
    after = verify_directory(directory)
    assert after.holds
    assert after.torn == report.torn
    assert calls(after) == calls(report) + 1
