"""The supervisor: starts control and workers, says when one dies, starts another, and stops all of them in order.

It serves nothing and decides nothing, so that there is little that could go wrong with it. It owns what must outlive
a child: the lock on DATA, the listening sockets, and the life line (see `processes.child`).
"""

import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from jotgate.errors import JotgateError
from jotgate.processes.child import DRAINING, EXIT_REFUSED, MODULE, READY, RELOADED, Assignment
from jotgate.processes.console import say
from jotgate.processes.notify import Notifier
from jotgate.processes.offspring import Offspring, Place, describe_end

_BEYOND_DRAIN_S: Final = 5.0  # what a worker needs beside the time that it gives its running calls
_CONTROL_GRACE_S: Final = 5.0


class Launch(NamedTuple):
    """What the supervisor runs with. All descriptors are open; `worker_fds` has the listening sockets of each worker.

    `marks_fd` is of the marks that workers share. `module` is what the children run.
    """

    directory: str
    config: str
    url: str
    lock_fd: int
    worker_fds: tuple[tuple[int, ...], ...]
    control_fds: tuple[int, int, int]
    marks_fd: int
    sources: str = ""
    logs: str = "auto info"
    drain_s: int = 30
    module: str = MODULE


class Supervisor:
    """Runs the children until it is told to stop."""

    def __init__(self, launch: Launch, announce: Callable[[], None], notifier: Notifier) -> None:
        self._announce = announce
        self._notifier = notifier
        self._drain_s = launch.drain_s
        self._url = launch.url
        self._announced = False
        self._failed = False
        self._control_told = False
        self._reload_asked = False
        self._reload_told = False
        self._stop_deadline_s: float | None = None
        life_fd, self._life_w = os.pipe2(os.O_CLOEXEC)  # The write end is kept open, never written to.
        self._control = Offspring(_place(launch, life_fd, "control", 0))
        self._workers = [Offspring(_place(launch, life_fd, "worker", slot)) for slot in range(len(launch.worker_fds))]
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run until SIGTERM, SIGINT, or a fault that starting again will not mend. Returns the exit code."""
        wake_r, wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        self._selector.register(wake_r, selectors.EVENT_READ)
        while not self._done():
            self._start_due()
            for key, _ in self._selector.select(self._patience_s()):
                if key.data is None:
                    self._take_signals(os.read(key.fd, 512))
                else:
                    self._take_status(key.data, key.fd)
            self._reap()
            self._pursue_reload()
            self._pursue_stop()
            self._notifier.pat(well=self._control.running and all(one.running for one in self._workers))
        return 1 if self._failed else 0

    @property
    def _all(self) -> list[Offspring]:
        return [self._control, *self._workers]

    def _done(self) -> bool:
        return self._stop_deadline_s is not None and not any(one.running for one in self._all)

    def _patience_s(self) -> float | None:
        if self._stop_deadline_s is not None:
            due_s = [self._stop_deadline_s]
        else:
            due_s = [one.start_at_s for one in self._all if one.start_at_s is not None]
        now_s = time.monotonic()
        spans_s = [max(0.0, due - now_s) for due in due_s]
        if (watchdog_s := self._notifier.patience_s()) is not None:
            spans_s.append(watchdog_s)
        return min(spans_s, default=None)

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for one in self._all:
            if one.start_at_s is None or one.start_at_s > now_s or self._stop_deadline_s is not None:
                continue
            try:
                self._selector.register(one.start(), selectors.EVENT_READ, one)
            except OSError as error:
                self._plan(one, f"{one.place.name} cannot be started: {error.strerror}", 0)

    def _take_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGHUP:
                self._reload_asked = True
            if number not in (signal.SIGTERM, signal.SIGINT):
                continue
            if self._stop_deadline_s is None:
                self._begin_stop()
            else:
                self._send_all(signal.SIGKILL, self._all)

    def _take_status(self, one: Offspring, status_fd: int) -> None:
        words = os.read(status_fd, 512)
        if not words:
            self._selector.unregister(status_fd)
            os.close(status_fd)
        elif one.speaks(status_fd):
            for word in words.splitlines(keepends=True):
                self._take_word(one, word)

    def _take_word(self, one: Offspring, word: bytes) -> None:
        if word == READY:
            one.became_ready()
            self._tell_ready()
            if one is self._control and self._reload_told:  # The one that was told is gone; this one has just read.
                self._tell_reloaded()
        elif word == RELOADED:
            self._tell_reloaded()
        elif word == DRAINING and self._stop_deadline_s is None:
            say(
                f"{one.place.name} (pid {one.pid}) takes nothing more and finishes its calls; starting another",
                event="child_draining",
                level="info",
                pid=one.pid,
            )
            one.leaves()

    def _tell_ready(self) -> None:
        if self._announced or not all(each.ready for each in self._all):
            return
        self._announced = True
        self._notifier.ready(f"serving {self._url}")
        try:
            self._announce()
        except (JotgateError, OSError) as error:
            say(f"it serves, and its first lines cannot be printed: {error}", event="announce_failed")

    def _tell_reloaded(self) -> None:
        self._reload_told = False
        self._notifier.ready(f"serving {self._url}")

    def _reap(self) -> None:
        for one in self._all:
            pid = one.pid
            one.reap_leaving()
            status = one.reap()
            if status is not None and self._stop_deadline_s is None:
                self._plan(one, f"{one.place.name} (pid {pid}) {describe_end(status)}", status)

    def _plan(self, one: Offspring, what: str, status: int) -> None:
        """Decide what becomes of a place whose process ended, or could not begin."""
        delay_s = one.plan_restart()
        if not one.was_ready and (status == EXIT_REFUSED or one.hopeless):
            say(f"{what}; stopping", event="child_ended", level="error", status=status)
            self._failed = True
            self._begin_stop()
        else:
            say(f"{what}; starting another in {delay_s:g} s", event="child_ended", status=status)

    def _pursue_reload(self) -> None:
        """Pass SIGHUP on to control, once all serve and it is there to take it; the workers hear of it from control."""
        if self._reload_asked and self._announced and self._control.ready and self._stop_deadline_s is None:
            self._reload_asked = False
            self._reload_told = True
            self._notifier.reloading()
            self._control.send(signal.SIGHUP)

    def _begin_stop(self) -> None:
        # Workers go first: control must still be there to write down their last audit rows.
        self._stop_deadline_s = time.monotonic() + self._drain_s + _BEYOND_DRAIN_S
        self._notifier.stopping()
        self._notifier.extend(self._drain_s + _BEYOND_DRAIN_S + _CONTROL_GRACE_S)
        self._send_all(signal.SIGTERM, self._workers)

    def _pursue_stop(self) -> None:
        if self._stop_deadline_s is None:
            return
        left = [worker for worker in self._workers if worker.running]
        if not left and not self._control_told:
            self._control_told = True
            self._stop_deadline_s = time.monotonic() + _CONTROL_GRACE_S
            self._send_all(signal.SIGTERM, [self._control])
        elif time.monotonic() >= self._stop_deadline_s:
            for one in left or [self._control]:
                say(f"{one.place.name} (pid {one.pid}) did not stop in time and is killed", event="child_killed")
            self._stop_deadline_s = time.monotonic() + _CONTROL_GRACE_S
            self._send_all(signal.SIGKILL, left or [self._control])

    def _send_all(self, number: signal.Signals, whom: Sequence[Offspring]) -> None:
        for one in whom:
            one.send(number)


def _place(launch: Launch, life_fd: int, role: Literal["worker", "control"], slot: int) -> Place:
    listen_fds = launch.control_fds if role == "control" else launch.worker_fds[slot]
    assignment = Assignment(
        role=role,
        slot=slot,
        directory=launch.directory,
        listen_fds=listen_fds,
        life_fd=life_fd,
        status_fd=-1,
        config=launch.config,
        url=launch.url,
        sources=launch.sources,
        logs=launch.logs,
        drain_s=launch.drain_s,
        workers=len(launch.worker_fds),
        marks_fd=launch.marks_fd if role == "worker" else -1,
    )
    marks = (launch.marks_fd,) if role == "worker" else ()
    return Place(assignment, (launch.lock_fd, life_fd, *listen_fds, *marks), launch.module)
