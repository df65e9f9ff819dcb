"""What a child of the supervisor is told, and what it owes: an assignment in argv, a life line, words on how it is.

The supervisor holds the only write end of the life line, a pipe. Its end of file means that the supervisor is gone,
however it went; a child then ends by itself within a second, so that the next `jotgate up` finds DATA free. This
module imports the standard library alone, because the supervisor imports it.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Literal, NamedTuple

MODULE: Final = "jotgate.assembly"
"""What a child runs."""

EXIT_REFUSED: Final = 78
"""A child that found a fault which starting it again will not mend (EX_CONFIG); it has said which on stderr."""

EXIT_ORPHANED: Final = 75
"""A child that was still there when its time after the supervisor's end had run out."""

READY: Final = b"ready\n"
DRAINING: Final = b"draining\n"
RELOADED: Final = b"reloaded\n"
_ORPHAN_GRACE_S: Final = 0.7
_ROLES: Final[dict[str, Literal["worker", "control"]]] = {"worker": "worker", "control": "control"}


class Assignment(NamedTuple):
    """A child's whole task. Descriptors are open and inherited; a replacement inherits the same listening sockets.

    `listen_fds` is for a worker (HTTP, and one for each face in their order), for control (operator, edge, bus).
    `directory` is DATA, absolute. `config` is the path of `jotgate.toml`, or empty, and `sources` what else decides
    settings, as `assembly.sources` writes it. `url` is what the gateway can be reached at on this machine. `logs` is
    the format and the level of the log, `drain_s` how long running calls are waited for. `workers` is how many share
    the listening address, and `marks_fd` the file of the marks that they share (`processes.marks`). `again`: a process
    in this place has served before, since the supervisor started.
    """

    role: Literal["worker", "control"]
    slot: int
    directory: str
    listen_fds: tuple[int, ...]
    life_fd: int
    status_fd: int
    config: str = ""
    url: str = ""
    sources: str = ""
    logs: str = "auto info"
    drain_s: int = 30
    workers: int = 1
    again: bool = False
    marks_fd: int = -1

    def arguments(self) -> list[str]:
        """The assignment as the arguments of `python -m jotgate.assembly`."""
        listen = ",".join(map(str, self.listen_fds))
        numbers = [str(self.slot), listen, str(self.life_fd), str(self.status_fd)]
        texts = [self.directory, self.config, self.url, self.sources, self.logs]
        more = [str(self.drain_s), str(self.workers), "again" if self.again else "first", str(self.marks_fd)]
        return [self.role, *numbers, *texts, *more]

    def report_ready(self) -> None:
        """Tell the supervisor that this child serves. Call it once."""
        self._report(READY)

    def report_draining(self) -> None:
        """Tell the supervisor that this child takes nothing more, and that another may take its place."""
        self._report(DRAINING)

    def report_reloaded(self) -> None:
        """Tell the supervisor that the settings were read again, put into effect or not."""
        self._report(RELOADED)

    def _report(self, word: bytes) -> None:
        with suppress(BrokenPipeError):  # The supervisor is gone; the life line says so too.
            os.write(self.status_fd, word)

    def follow_supervisor(self, stop: Callable[[], None]) -> None:
        """Watch the life line from a thread of its own, from now on.

        When the supervisor is gone, `stop` is called on that thread (so hand in something like
        `lambda: loop.call_soon_threadsafe(stopping.set)`); a process that is still there 0.7 s later is ended hard.
        """
        thread = threading.Thread(target=self._await_end, args=(stop,), name="life-line", daemon=True)
        thread.start()

    def _await_end(self, stop: Callable[[], None]) -> None:
        os.read(self.life_fd, 1)
        watchdog = threading.Timer(_ORPHAN_GRACE_S, os._exit, (EXIT_ORPHANED,))
        watchdog.daemon = True
        watchdog.start()
        stop()


def read_assignment(arguments: Sequence[str]) -> Assignment:
    """The assignment in the arguments that `Assignment.arguments` made. Raises ValueError."""
    role, slot, listen, life_fd, status_fd, *others = arguments
    directory, config, url, sources, logs, drain_s, workers, time, marks_fd = others
    if role not in _ROLES:
        raise ValueError(f"no such role: {role}")
    return Assignment(
        role=_ROLES[role],
        slot=int(slot),
        directory=directory,
        listen_fds=tuple(map(int, listen.split(","))),
        life_fd=int(life_fd),
        status_fd=int(status_fd),
        config=config,
        url=url,
        sources=sources,
        logs=logs,
        drain_s=int(drain_s),
        workers=int(workers),
        again=time == "again",
        marks_fd=int(marks_fd),
    )


def command(assignment: Assignment, module: str = MODULE) -> list[str]:
    """The command line that starts the child; `-P` keeps the working directory out of its import path."""
    return [sys.executable, "-P", "-m", module, *assignment.arguments()]
