"""The supervisor with children that do nothing but fail in one way each."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from jotgate.processes.child import EXIT_REFUSED, Assignment, read_assignment
from jotgate.processes.notify import take_notifier
from jotgate.processes.offspring import describe_end

# A supervisor whose children run the given program instead of jotgate; `status` is the descriptor they report on.
_DRIVER: Final = """
import os, sys
from jotgate.processes import offspring
from jotgate.processes.notify import take_notifier
from jotgate.processes.supervisor import Launch, Supervisor

def command(assignment, module):
    return [sys.argv[3], "-c", sys.argv[1 if assignment.role == "control" else 2], str(assignment.status_fd)]

offspring.command = command
null = os.open("/dev/null", os.O_RDONLY)
launch = Launch(
    directory="/",
    config="",
    url="",
    lock_fd=null,
    worker_fds=((null,),),
    control_fds=(null, null, null),
    marks_fd=null,
)
notifier = take_notifier(os.environ)
sys.exit(Supervisor(launch, lambda: print("announced", flush=True), notifier).run())
"""
_READY: Final = "import os, sys, time; os.write(int(sys.argv[1]), b'ready\\n'); "
_SERVES: Final = _READY + "time.sleep(60)"


def supervise(
    control: str, worker: str, environment: Mapping[str, str] | None = None, program: str = sys.executable
) -> "subprocess.CompletedProcess[str]":
    """Run a supervisor on these two programs to its end."""
    return subprocess.run(
        [sys.executable, "-c", _DRIVER, control, worker, program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **(environment or {})},
    )


@pytest.mark.parametrize("role", ["control", "worker 0"])
def test_a_child_that_refuses_to_start_stops_everything(role: str) -> None:
    programs = [_SERVES, _SERVES]
    programs[role != "control"] = f"import sys; sys.stderr.write('the reason\\n'); sys.exit({EXIT_REFUSED})"
    ended = supervise(programs[0], programs[1])
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


def test_a_child_that_the_system_will_not_start_is_given_up_too() -> None:
    ended = supervise(_SERVES, _SERVES, program="/nowhere/python")
    assert ended.returncode == 1
    said = [
        line for line in ended.stderr.splitlines() if "control cannot be started: No such file or directory" in line
    ]
    assert len(said) == 5
    assert said[-1].endswith("; stopping")


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


def test_a_child_is_told_whether_one_has_served_in_its_place_before(tmp_path: Path) -> None:
    told = tmp_path / "told"
    driver = _DRIVER.replace("str(assignment.status_fd)]", "str(assignment.status_fd), str(assignment.again)]")
    control = (
        f"import os, pathlib, sys; told = pathlib.Path({str(told)!r}); "
        "before = told.read_text() if told.exists() else ''; told.write_text(before + sys.argv[2] + ' ')\n"
        "if not before: sys.exit(3)\n"
        f"{_READY}\n"
        "os.kill(os.getppid(), 15) if 'True' in told.read_text() else sys.exit(3)\ntime.sleep(60)"
    )
    subprocess.run(
        [sys.executable, "-c", driver, control, _SERVES, sys.executable], capture_output=True, timeout=30, check=True
    )
    assert told.read_text() == "False False True "


def test_a_worker_that_drains_is_replaced_at_once_and_may_take_its_time(tmp_path: Path) -> None:
    """The first worker says that it drains and waits; the second starts meanwhile, and its end ends everything."""
    first = tmp_path / "first"
    worker = (
        _READY + f"import pathlib; first = pathlib.Path({str(first)!r})\n"
        "if not first.exists():\n"
        "    first.touch(); os.write(int(sys.argv[1]), b'draining\\n')\n"
        "else:\n"
        "    os.kill(os.getppid(), 15)\n"
        "time.sleep(60)"
    )
    ended = supervise(_SERVES, worker)
    assert ended.returncode == 0
    assert "takes nothing more and finishes its calls; starting another" in ended.stderr
    assert "starting another in" not in ended.stderr


def test_a_service_manager_is_told_how_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        control = _READY + (
            "import signal; signal.signal(signal.SIGHUP, lambda *_: (os.write(int(sys.argv[1]), b'reloaded\\n'), "
            "os.kill(os.getppid(), 15))); os.kill(os.getppid(), 1); time.sleep(60)"
        )
        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
        ended = supervise(control, _SERVES, environment)
        assert ended.returncode == 0
        manager.setblocking(False)
        said = list(received(manager))
    kinds = [text.partition("\n")[0] for text in said]
    wanted = ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert [kind for kind in kinds if kind in wanted] == wanted
    assert "WATCHDOG=1" in kinds
    reloading = next(text for text in said if text.startswith("RELOADING=1"))
    assert 0 < int(re.search(r"MONOTONIC_USEC=(\d+)", reloading)[1]) <= time.monotonic_ns() // 1000  # type: ignore[index]


def test_a_reload_that_control_takes_to_its_grave_is_over_when_the_next_one_serves(tmp_path: Path) -> None:
    """The first control dies of the SIGHUP; the second has read everything anew, and ends all."""
    path, mark = tmp_path / "notify", tmp_path / "mark"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        control = (
            f"import os, pathlib, signal, time; mark = pathlib.Path({str(mark)!r})\n"
            "if mark.exists():\n"
            f"    {_READY}os.kill(os.getppid(), signal.SIGTERM)\n"
            "else:\n"
            f"    mark.touch(); {_READY}os.kill(os.getppid(), signal.SIGHUP)\n"
            "time.sleep(60)"
        )
        ended = supervise(control, _SERVES, {"NOTIFY_SOCKET": str(path)})
        assert "was killed by SIGHUP" in ended.stderr
        manager.setblocking(False)
        kinds = [text.partition("\n")[0] for text in received(manager)]
    assert (kinds.count("RELOADING=1"), kinds.count("READY=1")) == (1, 2)


def test_children_do_not_speak_for_the_supervisor() -> None:
    environment = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "OTHER": "1"}
    notifier = take_notifier(environment)
    assert environment == {"OTHER": "1"}
    assert notifier.patience_s() is None, "the watchdog is another process's"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_an_address_that_is_no_unix_socket_is_not_spoken_to(address: str) -> None:
    take_notifier({"NOTIFY_SOCKET": address}).ready("x")


def received(manager: socket.socket) -> Iterator[str]:
    """The datagrams that wait."""
    while True:
        try:
            yield manager.recv(4_096).decode()
        except BlockingIOError:
            return


def test_a_wish_to_reload_waits_for_control_and_reaches_nobody_else(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # Control asks its supervisor before it is ready, then takes SIGHUP, and ends all once it has come.
    control = (
        "import os, pathlib, signal, sys; parent = os.getppid(); "
        f"take = lambda *_: (pathlib.Path({str(mark)!r}).write_text('taken'), os.kill(parent, signal.SIGTERM)); "
        "os.kill(parent, signal.SIGHUP); signal.signal(signal.SIGHUP, take); "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    ) + _SERVES
    ended = supervise(control, _SERVES)
    assert ended.returncode == 0
    assert mark.read_text() == "taken"
    assert "SIGHUP" not in ended.stderr


def test_an_assignment_survives_the_command_line() -> None:
    whole = Assignment(
        "control", 0, "/a b", (3, 4, 5), 6, 7, "/c d.toml", "http://[::1]:1", "{}", "json debug", 7, 2, True
    )
    assert read_assignment(whole.arguments()) == whole
    bare = Assignment("worker", 2, "/", (3,), 4, 5)
    assert read_assignment(bare.arguments()) == bare


def test_no_other_role_is_known() -> None:
    with pytest.raises(ValueError, match="no such role"):
        read_assignment(["boss", *Assignment("worker", 2, "/", (3,), 4, 5).arguments()[1:]])


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
