"""Starting, awaiting and stopping of processes."""

import os
import socket
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.server import environment, launch, running


def test_a_candidate_may_write_bytecode_and_gets_no_hidden_settings() -> None:
    given = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "JOTGATE_DATA": "/elsewhere"}

    assert environment(given) == {"PATH": "/bin"}


def test_one_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = "import sys; sys.exit('no such option')"
    with (
        running(launch("it", 0, [sys.executable, "-c", program], tmp_path / "log", None)) as server,
        pytest.raises(BenchError, match="it ended with 1; its last words:\nno such option"),
    ):
        server.wait_until(lambda: False)


def test_it_is_pinned_to_the_core_and_the_bench_is_not(tmp_path: Path) -> None:
    mine = os.sched_getaffinity(0)
    core = max(mine)
    program = "import os, signal; print(os.sched_getaffinity(0), flush=True); signal.pause()"
    with running(launch("it", 0, [sys.executable, "-c", program], tmp_path / "log", core)) as server:
        server.wait_until(lambda: server.said().endswith("\n"))

        assert server.said().strip() == str({core})
        assert os.sched_getaffinity(0) == mine


def test_its_children_do_not_outlive_it(tmp_path: Path) -> None:
    """The child holds a connection to the test, which reads its end only when the child is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(15)
        address = listener.getsockname()
        child = f"import socket, signal; s = socket.create_connection({address}); signal.pause()"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        with running(launch("it", 0, [sys.executable, "-c", parent], tmp_path / "log", None)):
            held, _ = listener.accept()
        with held:
            held.settimeout(15)

            assert held.recv(1) == b""
