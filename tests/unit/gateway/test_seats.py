"""Seats of one somebody over all workers: never one more than there may be, and those of a dead worker are free."""

import os
import signal
import subprocess
import sys

import pytest

from jotgate.gateway.seats import OwnMarks, Seats
from jotgate.processes.marks import SharedMarks, make_marks

_OTHER = """
import sys
from jotgate.gateway.seats import Seats
from jotgate.processes.marks import SharedMarks
seats = Seats(SharedMarks(int(sys.argv[1])))
held = [seats.take("subject", "alice", limit=3) for _ in range(2)]
print(sum(one is not None for one in held), flush=True)
for line in sys.stdin:
    held.pop()()
    print("left", flush=True)
"""


def test_workers_share_them_and_those_of_one_that_was_killed_are_free() -> None:
    fd = make_marks()
    mine = Seats(SharedMarks(fd))
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(fd)],
        pass_fds=(fd,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "2\n"
        last = mine.take("subject", "alice", limit=3)
        assert last is not None
        assert mine.take("subject", "alice", limit=3) is None
        assert mine.take("subject", "bob", limit=1) is not None, "somebody else's are others"
        other.stdin.write("leave\n")
        other.stdin.flush()
        assert other.stdout.readline() == "left\n"
        assert mine.take("subject", "alice", limit=3) is not None
        assert mine.take("subject", "alice", limit=3) is None
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert mine.take("subject", "alice", limit=3) is not None, "the dead one had it"
        last()
        last()  # Twice is once.
        assert mine.take("subject", "alice", limit=3) is not None
        assert mine.take("subject", "alice", limit=3) is None
    os.close(fd)


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_one_worker_alone_counts_its_own(limit: int) -> None:
    seats = Seats(OwnMarks())
    taken = [seats.take("address", "192.0.2.1", limit=limit) for _ in range(limit + 2)]
    assert sum(one is not None for one in taken) == limit
