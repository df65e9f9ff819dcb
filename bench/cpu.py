"""The CPU time of a process tree, to the nanosecond, from /proc/PID/task/TID/schedstat."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError

PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessTime:
    """CPU time of one process: of each thread that lives, and of the whole process, ended threads included."""

    threads_ns: Mapping[int, int]
    clock_ns: int


TreeTime = Mapping[int, ProcessTime]


def parse_schedstat(text: str) -> int:
    """Nanoseconds on the CPU: the first of the three figures in a schedstat file.

    Raises:
        BenchError: the text does not begin with a figure; the kernel was built without CONFIG_SCHED_INFO.
    """
    words = text.split()
    if len(words) != 3 or not words[0].isdigit():
        raise BenchError(f"a schedstat file reads '{text.strip()}': this kernel does not count CPU time per thread")
    return int(words[0])


def parse_stat(text: str) -> tuple[int, int]:
    """Parent and session of a process from /proc/PID/stat, whose second field may hold blanks and parentheses."""
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), int(fields[3])


def tree(root: int, relations: Mapping[int, tuple[int, int]]) -> set[int]:
    """The processes of a tree: all descendants of `root`, and all of its session, whatever became of their parents.

    `relations` gives parent and session of each process. `root` leads the session.
    """
    found = {pid for pid, (_, session) in relations.items() if root in (session, pid)}
    while more := {pid for pid, (parent, _) in relations.items() if parent in found} - found:
        found |= more
    return found


def parse_core(text: str, core: int) -> int:
    """Nanoseconds that a core was not idle, from /proc/stat: what ran, interrupts, and what the hypervisor took.

    The kernel counts in ticks, so that spans under a second are coarse.
    """
    for line in text.splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            busy = user + nice + system + irq + softirq + steal
            return busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    raise BenchError(f"/proc/stat has no line for core {core}")


def read_core(core: int) -> int:
    """Nanoseconds that a core has not been idle since the machine was started."""
    return parse_core((PROC / "stat").read_text(), core)


def spent_ns(before: TreeTime, after: TreeTime) -> int:
    """CPU time that a tree used between two readings; a process that is new has used all that it shows.

    A thread that ended in between has no schedstat left. The clock of its process counts the same nanoseconds and
    has kept them, so the greater of the two is what the process used.

    Raises:
        BenchError: a process ended in between, so that its time is lost: a candidate that stands does not do that.
    """
    if gone := before.keys() - after.keys():
        raise BenchError(f"process {min(gone)} of a candidate ended while it was measured")
    nothing = ProcessTime({}, 0)
    return sum(_spent_by_process(before.get(pid, nothing), now) for pid, now in after.items())


def _spent_by_process(before: ProcessTime, after: ProcessTime) -> int:
    by_threads = sum(ns - before.threads_ns.get(thread, 0) for thread, ns in after.threads_ns.items())
    return max(by_threads, after.clock_ns - before.clock_ns)


def processes(root: int) -> set[int]:
    """The processes of the tree under `root` at this moment."""
    return tree(root, _relations())


def read_tree(root: int) -> TreeTime:
    """CPU time of each process of the tree under `root`; one that ends during the reading is left out."""
    times: dict[int, ProcessTime] = {}
    for pid in processes(root):
        try:
            threads = {
                int(task.name): parse_schedstat((task / "schedstat").read_text())
                for task in (PROC / str(pid) / "task").iterdir()
            }
            times[pid] = ProcessTime(threads, time.clock_gettime_ns(_process_clock(pid)))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return times


def _relations() -> dict[int, tuple[int, int]]:
    relations: dict[int, tuple[int, int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            relations[int(entry.name)] = parse_stat((entry / "stat").read_text(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return relations


def _process_clock(pid: int) -> int:
    """The id of a process's CPU clock, made as clock_getcpuclockid(3) makes it (CPUCLOCK_SCHED is 2)."""
    return (~pid << 3) | 2


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep this process on one core, and so whatever it starts meanwhile; None changes nothing."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def two_cores() -> tuple[int, int]:
    """A core for the load and one for the candidates.

    Raises:
        BenchError: fewer than two cores may be used.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("the bench needs two cores, one for the load and one for what is measured; there is one")
    return cores[0], cores[-1]
