"""CPU time of process trees: the readings of /proc, and the arithmetic over two of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cpu import ProcessTime, parse_core, parse_schedstat, parse_stat, read_tree, spent_ns, tree
from bench.errors import BenchError
from bench.server import launch, running


def test_schedstat_gives_its_first_figure() -> None:
    assert parse_schedstat("8123456789 65207 12\n") == 8_123_456_789


@pytest.mark.parametrize("text", ["", "0 0\n", "-1 2 3\n", "cpu 2 3\n"])
def test_a_kernel_without_schedstat_is_named_as_the_cause(text: str) -> None:
    with pytest.raises(BenchError, match="does not count CPU time"):
        parse_schedstat(text)


def test_stat_is_read_behind_a_name_with_blanks_and_parentheses() -> None:
    assert parse_stat("4711 (a) b (c)) S 12 4700 4699 0 -1 4194304 99") == (12, 4699)


def test_a_core_is_busy_with_all_but_idling_and_waiting() -> None:
    text = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\ncpu1 1 2 3 1000 2000 4 5 6 7 8\nintr 5\n"

    assert parse_core(text, 1) == 21 * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def test_a_core_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BenchError, match="no line for core 7"):
        parse_core("cpu0 1 1 1 1 1 1 1 1 0 0\n", 7)


def test_a_tree_holds_descendants_and_orphans_of_the_session() -> None:
    relations = {
        1: (0, 1),
        100: (1, 100),  # the root
        101: (100, 100),
        102: (101, 102),  # a grandchild that opened a session of its own
        103: (102, 102),
        104: (1, 100),  # its parent ended
        200: (1, 200),
        201: (200, 200),
    }

    assert tree(100, relations) == {100, 101, 102, 103, 104}


def test_time_is_summed_over_threads_and_processes_new_ones_included() -> None:
    before = {10: ProcessTime({10: 1_000, 11: 500}, 1_500)}
    after = {
        10: ProcessTime({10: 1_400, 11: 500, 12: 70}, 1_970),
        20: ProcessTime({20: 9}, 9),
    }

    assert spent_ns(before, after) == 400 + 70 + 9


def test_time_of_threads_that_ended_is_not_lost() -> None:
    before = {10: ProcessTime({10: 1_000, 11: 500}, 1_500)}
    # Thread 11 used another 1,000 before it ended; a thread that neither reading saw used 30.
    after = {10: ProcessTime({10: 1_100}, 2_630), 20: ProcessTime({20: 5}, 105)}

    assert spent_ns(before, after) == 1_130 + 105


def test_a_process_that_ended_makes_the_figure_worthless() -> None:
    with pytest.raises(BenchError, match="process 20 of a candidate ended"):
        spent_ns({10: ProcessTime({10: 1}, 1), 20: ProcessTime({20: 1}, 1)}, {10: ProcessTime({10: 2}, 2)})


def test_the_time_of_a_busy_child_and_its_threads_is_found(tmp_path: Path) -> None:
    """A parent that only waits, under it a process that burns 0.2 s in a thread and tells what it used."""
    burn = (
        "import signal, threading, time\n"
        "def work():\n"
        "    while time.thread_time() < 0.2: pass\n"
        "t = threading.Thread(target=work); t.start(); t.join()\n"
        "print(time.process_time(), flush=True); signal.pause()\n"
    )
    wait = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with running(launch("burner", 0, [sys.executable, "-c", wait], tmp_path / "log", None)) as server:
        assert read_tree(server.pid).keys() >= {server.pid}
        server.wait_until(lambda: server.said().endswith("\n"))
        used_s = float(server.said())
        found_s = spent_ns({}, read_tree(server.pid)) / 1e9

    assert used_s >= 0.2
    assert found_s >= used_s - 0.02  # a thread that runs at this moment shows its time up to the last tick


def test_a_process_that_is_gone_has_no_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert read_tree(process.pid) == {}
