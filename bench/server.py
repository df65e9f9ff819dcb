"""A process that the bench starts, waits for and stops, whatever the candidate."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cpu import pinned
from bench.errors import BenchError

READY_WITHIN_S: Final = 15.0
STOP_WITHIN_S: Final = 15.0
POLL_S: Final = 0.002
LOG_TAIL_CHARS: Final = 2_000


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a candidate: without what would slow it down or configure it behind the bench's back.

    PYTHONDONTWRITEBYTECODE makes every start compile every module anew.
    """
    return {
        name: value
        for name, value in given.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("JOTGATE_")
    }


def allow_many_files() -> None:
    """Let this process, and so whatever it starts, open as many files as the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(frozen=True, slots=True)
class Server:
    """A started process, leader of its own session, whose output goes to a file."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """Everything it has printed so far."""
        return self.output.read_text(errors="replace")

    def last_words(self) -> str:
        """The end of what it has printed, for a message."""
        return self.said()[-LOG_TAIL_CHARS:].strip()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return as soon as `ready()` holds.

        Raises:
            BenchError: the process ended first, or READY_WITHIN_S passed and it was killed; with the end of what it
                printed.
        """
        deadline = time.monotonic() + READY_WITHIN_S
        while not ready():
            code = self.process.poll()
            if code is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
                continue
            self.kill()
            what = f"was not ready after {READY_WITHIN_S:.0f} s" if code is None else f"ended with {code}"
            raise BenchError(f"{self.name} {what}; its last words:\n{self.last_words()}")

    def accepts(self) -> bool:
        """Whether something accepts connections on its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ask it to end, and after STOP_WITHIN_S end the whole session.

        Raises:
            BenchError: it had to be killed.
        """
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise BenchError(f"{self.name} did not stop within {STOP_WITHIN_S:.0f} s of SIGTERM") from error

    def kill(self) -> None:
        """End what is left of its session at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def launch(
    name: str,
    port: int,
    command: Sequence[str | Path],
    output: Path,
    core: int | None,
    *,
    additions: Mapping[str, str] | None = None,
) -> Server:
    """Start a process on a core (None: on any), and do not wait for anything. `additions` go to its environment."""
    with output.open("wb") as out, pinned(core):
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environment(os.environ), **(additions or {})},
            start_new_session=True,
        )
    return Server(name, port, process, output)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """See to it that nothing of the server outlives the block, however it is left."""
    try:
        yield server
    finally:
        server.kill()
