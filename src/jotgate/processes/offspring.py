"""One child as the supervisor sees it: started, ready, draining, gone, and when to start the next in its place."""

import os
import signal
import subprocess
import time
from typing import Final, NamedTuple

from jotgate.processes.child import EXIT_ORPHANED, EXIT_REFUSED, MODULE, Assignment, command

_BACKOFF_FIRST_S: Final = 0.05
_BACKOFF_MAX_S: Final = 5.0
_STEADY_S: Final = 10.0
_STARTS_WITHOUT_READY_MAX: Final = 5


class Place(NamedTuple):
    """What stays the same from one process in this place to the next."""

    assignment: Assignment
    kept_fds: tuple[int, ...]
    module: str = MODULE

    @property
    def name(self) -> str:
        """What messages call it."""
        role = self.assignment.role
        return role if role == "control" else f"{role} {self.assignment.slot}"


class Offspring:
    """The process in one place, and its history."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.ready = False
        self.was_ready = False
        self.start_at_s: float | None = 0.0
        self._status_fd = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._started_s = 0.0
        self._failures = 0

    @property
    def running(self) -> bool:
        """Whether a process is there, be it one that drains."""
        return self._process is not None or bool(self._leaving)

    @property
    def hopeless(self) -> bool:
        """Whether process after process ended before it was ever ready."""
        return not self.was_ready and self._failures >= _STARTS_WITHOUT_READY_MAX

    def start(self) -> int:
        """Start the process. Returns the descriptor on which its word of readiness will come. Raises OSError."""
        self._started_s = time.monotonic()
        status_r, status_w = os.pipe2(os.O_CLOEXEC)
        assignment = self.place.assignment._replace(status_fd=status_w, again=self.was_ready)
        try:
            self._process = subprocess.Popen(
                command(assignment, self.place.module),
                stdin=subprocess.DEVNULL,
                pass_fds=(*self.place.kept_fds, status_w),
                # Its own group: the terminal's Ctrl-C reaches the supervisor alone, which stops all in order.
                process_group=0,
            )
        except OSError:
            os.close(status_r)
            raise
        finally:
            os.close(status_w)
        self._status_fd = status_r
        self.start_at_s = None
        return status_r

    def speaks(self, status_fd: int) -> bool:
        """Whether the process now in this place is the one that reports on this descriptor."""
        return status_fd == self._status_fd

    def became_ready(self) -> None:
        """The process serves."""
        self.ready = self.was_ready = True

    def leaves(self) -> None:
        """The process takes nothing more: let the next one start, while this one finishes what it has."""
        if self._process is None:
            return
        self._leaving.append(self._process)
        self._process = None
        self._status_fd = -1
        self.ready = False
        self._failures = 0
        self.start_at_s = 0.0

    def reap(self) -> int | None:
        """The exit status, as in `subprocess.Popen.returncode`, once, when the process has ended; else None."""
        status = None if self._process is None else self._process.poll()
        if status is not None:
            self._process = None
            self._status_fd = -1
            self.ready = False
        return status

    def reap_leaving(self) -> None:
        """Let go of the processes that have finished draining."""
        self._leaving = [process for process in self._leaving if process.poll() is None]

    def plan_restart(self) -> float:
        """Decide when to start again: at once after a long life, later and later after short ones. Seconds from now."""
        now_s = time.monotonic()
        self._failures = 0 if now_s - self._started_s >= _STEADY_S else self._failures + 1
        delay_s = min(_BACKOFF_FIRST_S * 2.0 ** max(0, self._failures - 1), _BACKOFF_MAX_S)
        self.start_at_s = now_s + delay_s
        return delay_s

    def send(self, number: signal.Signals) -> None:
        """Send a signal to whoever is there."""
        for process in (*self._leaving, *([self._process] if self._process is not None else [])):
            process.send_signal(number)

    @property
    def pid(self) -> int:
        """The process id, or 0."""
        return self._process.pid if self._process is not None else 0


def describe_end(status: int) -> str:
    """Say how a process ended, from its exit status."""
    if status < 0:
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"
    if status == EXIT_REFUSED:
        return "could not start, for the reason above"
    if status == EXIT_ORPHANED:
        return "ended because it lost its supervisor"
    return f"ended with exit status {status}"
