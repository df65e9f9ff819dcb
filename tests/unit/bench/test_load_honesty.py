"""The load generator against servers that misbehave: it may never call a bad answer good.

It is a C program, so these tests need gcc and run with those that need real counterparts.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.compiler import compile_all
from bench.load import Load, LoadResult
from bench.mock import start_mock
from bench.plan import Stream
from bench.rounds import chunk_fault, write_requests
from bench.server import running
from tests.unit.bench.test_plan import TINY

pytestmark = pytest.mark.peers

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def scripted(answer: Callable[[int], bytes | None]) -> Iterator[int]:
    """A server that answers its n-th request (from 0) with `answer(n)` in two pieces; None closes the connection."""
    count = iter(range(1_000_000))
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65_536):
                with lock:
                    said = answer(next(count))
                if said is None:
                    return
                connection.sendall(said[:20])
                connection.sendall(said[20:])

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()


def rate(port: int, folder: Path) -> LoadResult:
    """A hundred requests in a second, over one connection, so that answers come in the order of the script."""
    requests = write_requests(folder, "token", TINY)
    return Load(compile_all().loadgen, 0).rate(port, requests.unary, 100, 1, 1)


def every_tenth(answer: bytes | None) -> Callable[[int], bytes | None]:
    return lambda number: answer if number % 10 == 9 else GOOD


def test_good_answers_are_counted_one_by_one(tmp_path: Path) -> None:
    with scripted(lambda _: GOOD) as port:
        found = rate(port, tmp_path)

    assert (found.sent, found.ok, found.reconnects) == (100, 100, 0)
    assert found.fault() is None


def test_another_status_is_not_ok(tmp_path: Path) -> None:
    with scripted(every_tenth(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")) as port:
        found = rate(port, tmp_path)

    assert (found.sent, found.ok, found.not_ok, found.errors) == (100, 90, 10, 0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="closed without an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", id="no framing"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", id="not HTTP/1.1"),
        pytest.param(GOOD + b"more", id="bytes beyond the answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n", id="no chunk size"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n",
            id="a chunk longer than its size",
        ),
    ],
)
def test_a_broken_answer_is_an_error(answer: bytes | None, tmp_path: Path) -> None:
    with scripted(every_tenth(answer)) as port:
        found = rate(port, tmp_path)

    assert (found.sent, found.ok, found.not_ok, found.errors) == (100, 90, 0, 10)
    assert found.fault() is not None


def test_a_chunked_answer_is_read_to_its_end(tmp_path: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n1;x=y\r\n}\r\n0\r\nA: b\r\n\r\n"
    with scripted(lambda _: chunked) as port:
        found = rate(port, tmp_path)

    assert (found.sent, found.ok) == (100, 100)


def test_a_connection_that_is_closed_as_announced_is_no_error(tmp_path: Path) -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with scripted(every_tenth(closing)) as port:
        found = rate(port, tmp_path)

    assert (found.sent, found.ok, found.errors, found.reconnects) == (100, 100, 0, 10)


def test_a_stamp_that_is_cut_in_two_counts_once(tmp_path: Path) -> None:
    """The text `"T` and 20 digits stands across two chunks, and again whole: two events."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b'9\r\n: "T00000\r\nf\r\n000000000000001\r\n1b\r\n, "T00000000000000000001 "}\r\n0\r\n\r\n'
    asked = Stream(connections=1, rounds=3, chunks=2, interval_us=0)
    with scripted(lambda _: head + chunks) as port:
        requests = write_requests(tmp_path, "token", TINY)
        found = Load(compile_all().loadgen, 0).stream(port, requests.paced, asked)

    assert found.fault() is None
    assert chunk_fault(found, asked) is None


def test_the_mock_upstream_sends_every_event_that_it_was_asked_for(tmp_path: Path) -> None:
    programs = compile_all()
    requests = write_requests(tmp_path, "token", TINY)
    load = Load(programs.loadgen, 0)
    with running(start_mock(programs.mock_upstream, tmp_path, 0)) as mock:
        for file, asked in ((requests.paced, TINY.paced), (requests.blast, TINY.blast)):
            found = load.stream(mock.port, file, asked)

            assert found.fault() is None
            assert chunk_fault(found, asked) is None
        closed = load.closed(mock.port, requests.unary, 4, 1)

    assert closed.fault() is None
    assert closed.sent > 1_000
    assert load.sent_to(mock.port) == closed.sent + 8 + 4
