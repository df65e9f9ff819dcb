"""The supervisor with children that do nothing but fail in one way each."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from jotgate.processes.child import EXIT_REFUSED, Assignment, read_assignment
from jotgate.processes.offspring import describe_end

# A supervisor whose children run the given program instead of jotgate; `status` is the descriptor they report on.
_DRIVER: Final = """
import os, sys
from jotgate.processes import offspring
from jotgate.processes.supervisor import Launch, Supervisor

def command(assignment):
    return [sys.executable, "-c", sys.argv[1 if assignment.role == "control" else 2], str(assignment.status_fd)]

offspring.command = command
null = os.open("/dev/null", os.O_RDONLY)
launch = Launch(directory="/", config="", url="", lock_fd=null, worker_fds=(null,), control_fds=(null, null, null))
sys.exit(Supervisor(launch, lambda: print("announced", flush=True)).run())
"""
_READY: Final = "import os, sys, time; os.write(int(sys.argv[1]), b'ready\\n'); "
_SERVES: Final = _READY + "time.sleep(60)"


def supervise(control: str, worker: str) -> "subprocess.CompletedProcess[str]":
    """Run a supervisor on these two programs to its end."""
    return subprocess.run(
        [sys.executable, "-c", _DRIVER, control, worker], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("role", ["control", "worker 0"])
def test_a_child_that_refuses_to_start_stops_everything(role: str) -> None:
    programs = [_SERVES, _SERVES]
    programs[role != "control"] = f"import sys; sys.stderr.write('the reason\\n'); sys.exit({EXIT_REFUSED})"
    ended = supervise(*programs)
    assert ended.returncode == 1
    assert ended.stderr.startswith("the reason\n")
    assert f"jotgate: {role} (pid " in ended.stderr
    assert "could not start, for the reason above; stopping\n" in ended.stderr
    assert ended.stdout == ""


def test_a_child_that_never_gets_ready_is_given_up_after_five_starts() -> None:
    ended = supervise(_SERVES, "import sys; sys.exit(3)")
    assert ended.returncode == 1
    said = [line for line in ended.stderr.splitlines() if "ended with exit status 3" in line]
    assert [line.rpartition("; ")[2] for line in said] == [
        "starting another in 0.05 s",
        "starting another in 0.1 s",
        "starting another in 0.2 s",
        "starting another in 0.4 s",
        "stopping",
    ]


def test_a_child_that_was_ready_once_is_started_again_even_when_it_then_refuses(tmp_path: Path) -> None:
    """A configuration that was spoiled while jotgate runs must not take down what still serves."""
    mark = tmp_path / "mark"
    worker = (
        _READY + f"import pathlib; mark = pathlib.Path({str(mark)!r}); count = len(mark.read_text()) if mark.exists() "
        f"else 0; mark.write_text('x' * (count + 1)); "
        f"os.kill(os.getppid(), 15) if count == 2 else None; sys.exit({EXIT_REFUSED}) if count < 2 else time.sleep(60)"
    )
    ended = supervise(_SERVES, worker)
    assert ended.returncode == 0
    assert ended.stderr.count("starting another in") == 2
    assert ended.stdout == "announced\n"
    assert mark.read_text() == "xxx"


def test_an_assignment_survives_the_command_line() -> None:
    whole = Assignment("control", 0, "/a b", (3, 4, 5), 6, 7, "/c d.toml", "http://[::1]:1", "{}")
    assert read_assignment(whole.arguments()) == whole
    bare = Assignment("worker", 2, "/", (3,), 4, 5)
    assert read_assignment(bare.arguments()) == bare


def test_no_other_role_is_known() -> None:
    with pytest.raises(ValueError, match="no such role"):
        read_assignment(["boss", "0", "3", "4", "5", "/", "", "", ""])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (-9, "was killed by SIGKILL"),
        (-63, "was killed by signal 63"),
        (EXIT_REFUSED, "could not start, for the reason above"),
        (75, "ended because it lost its supervisor"),
        (1, "ended with exit status 1"),
    ],
)
def test_an_end_is_described(status: int, said: str) -> None:
    assert describe_end(status) == said
