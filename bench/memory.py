"""The memory of a process tree, and what a thousand streams that wait for their next event take of it."""

import re
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from bench.cpu import PROC, processes
from bench.errors import BenchError
from bench.load import Load, render_request
from bench.plan import Stream
from bench.rounds import Requests
from bench.server import Server

_MIB: Final = 1024.0
_OPEN_WITHIN_S: Final = 30.0
_EVENT: Final = b"data:"
_INTERVAL_US: Final = 50_000_000
_WARM_S: Final = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of a whole tree. PSS counts a page that n processes share as 1/n in each; RSS counts it whole in each."""

    rss_mib: float
    pss_mib: float


@dataclass(frozen=True, slots=True)
class Idle:
    """A candidate after a second of load, and then with `streams` open streams that wait."""

    streams: int
    rested: Memory
    streaming: Memory

    @property
    def per_stream_kib(self) -> float:
        """PSS that each stream added."""
        return (self.streaming.pss_mib - self.rested.pss_mib) * 1024 / self.streams


def parse_rollup(text: str) -> Memory:
    """RSS and PSS in /proc/PID/smaps_rollup.

    Raises:
        BenchError: the kernel shows none.
    """
    figures = {name: int(kib) for name, kib in re.findall(r"^(Rss|Pss):\s+(\d+) kB$", text, re.MULTILINE)}
    if figures.keys() != {"Rss", "Pss"}:
        raise BenchError("/proc/PID/smaps_rollup shows no RSS and PSS: this kernel does not count them")
    return Memory(figures["Rss"] / _MIB, figures["Pss"] / _MIB)


def read_memory(root: int) -> Memory:
    """Memory of the tree under `root`."""
    found = [parse_rollup((PROC / str(pid) / "smaps_rollup").read_text()) for pid in processes(root)]
    return Memory(sum(one.rss_mib for one in found), sum(one.pss_mib for one in found))


def measure_idle(server: Server, load: Load, requests: Requests, token: str, streams: int) -> Idle:
    """Read the memory of a fresh candidate after a second of load, and while streams are open."""
    load.closed(server.port, requests.unary, 32, _WARM_S)
    rested = read_memory(server.pid)
    with _open_streams(server.port, token, streams):
        return Idle(streams, rested, read_memory(server.pid))


@contextmanager
def _open_streams(port: int, token: str, count: int) -> Iterator[None]:
    """Streams whose first event has come and whose second is far off.

    Raises:
        BenchError: one was not answered with an event.
    """
    request = render_request(token, Stream(connections=count, rounds=1, chunks=2, interval_us=_INTERVAL_US))
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), _OPEN_WITHIN_S))
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ)
        deadline_s = time.monotonic() + _OPEN_WITHIN_S
        while selector.get_map():
            ready = selector.select(deadline_s - time.monotonic())
            if not ready:
                raise BenchError(f"{len(selector.get_map())} of {count} streams never sent an event")
            for key, _ in ready:
                _await_event(selector, key.fileobj)
        yield


def _await_event(selector: selectors.BaseSelector, connection: object) -> None:
    assert isinstance(connection, socket.socket)
    received = connection.recv(65_536)
    if not received:
        raise BenchError("a stream was closed before its first event")
    if _EVENT in received:
        selector.unregister(connection)
