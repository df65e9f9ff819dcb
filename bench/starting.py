"""How long jotgate makes people wait: for its first answer, for `jotgate --help`, and for its end after a crash."""

import os
import signal
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from bench.cpu import PROC, processes
from bench.errors import BenchError
from bench.jotgate import create_token, launch_jotgate, run_jotgate
from bench.load import render_request
from bench.server import Server, running
from bench.summary import Summary, summarise

ANSWER_BYTES_MAX: Final = 65_536
ORPHANS_WITHIN_S: Final = 15.0
ORPHANS_POLL_S: Final = 0.002


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds, one per sample.

    `first_s`: an empty directory, until /health/ready says 200. `again_s`: a directory with a key, until an
    authenticated completion has come back. `help_s`: the whole command. `orphans_s`: SIGKILL of the supervisor, until
    nothing is left of what it started.
    """

    first_s: list[float]
    again_s: list[float]
    help_s: list[float]
    orphans_s: list[float]

    def summaries(self) -> dict[str, Summary | None]:
        """The figures that gates stand on."""
        return {
            "first_s": summarise(self.first_s),
            "again_s": summarise(self.again_s),
            "help_s": summarise(self.help_s),
            "orphans_s": summarise(self.orphans_s),
        }


def measure_starts(folder: Path, configuration: Path, samples: int, help_samples: int) -> Starts:
    """Start and stop jotgate in turn; on any core, as a person would."""
    known = folder / "known"
    token = create_token(known)
    completion = render_request(token)
    ready = b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    first, again, orphans = [], [], []
    for number in range(samples):
        first.append(_start(folder / f"empty-{number}", configuration, ready))
        again.append(_start(known, configuration, completion))
        orphans.append(_kill(known, configuration, ready))
    return Starts(first, again, [_timed_help() for _ in range(help_samples)], orphans)


def _start(installation: Path, configuration: Path, request: bytes) -> float:
    began = time.perf_counter()
    with running(launch_jotgate(installation, configuration, core=None)) as server:
        server.wait_until(lambda: answers(server, request))
        took = time.perf_counter() - began
        server.stop()
    return took


def _kill(installation: Path, configuration: Path, request: bytes) -> float:
    """Seconds from the supervisor's death to that of its last child. Raises BenchError where one does not end."""
    with running(launch_jotgate(installation, configuration, core=None)) as server:
        server.wait_until(lambda: answers(server, request))
        children = processes(server.pid) - {server.pid}
        began = time.perf_counter()
        os.kill(server.pid, signal.SIGKILL)
        while not all(map(_ended, children)):
            if time.perf_counter() - began > ORPHANS_WITHIN_S:
                raise BenchError(f"children of a killed supervisor still run after {ORPHANS_WITHIN_S:.0f} s")
            time.sleep(ORPHANS_POLL_S)
        return time.perf_counter() - began


def _ended(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def answers(server: Server, request: bytes) -> bool:
    """Whether the server answers this raw request with 200 now."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.connect()
        connection.sock.sendall(request)
        with connection.response_class(connection.sock) as response:
            response.begin()
            response.read(ANSWER_BYTES_MAX)
            return response.status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _timed_help() -> float:
    began = time.perf_counter()
    run_jotgate("--help")
    return time.perf_counter() - began
