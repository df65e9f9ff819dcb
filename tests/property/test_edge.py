"""Property: what a connection answers does not depend on its segments, and no bytes bring a 5xx or a defect."""

import asyncio
from functools import partial
from itertools import pairwise
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from jotgate.core.calls import Request
from jotgate.core.problems import render
from jotgate.core.snapshot import Limits
from jotgate.edge.http1.guard import GuardedConnection
from jotgate.edge.http1.listener import Surroundings
from jotgate.edge.http1.responses import HeadWriter
from jotgate.errors import JotgateError, TokenMissing
from jotgate.ports import Answer, Caller
from jotgate.testing.ports import ManualClock
from tests.loops import until

_LIMITS: Final = Limits(header_bytes=1024, header_count=8, body_bytes=2048)


class Mirror:
    """Says back what it read, its body in hexadecimal (edge.http1.listener.Application)."""

    def open(self, request: Request) -> Answer:
        if request.path == b"/no":
            raise TokenMissing("there is none")
        return partial(self._answer, request)

    def refuse(self, request: Request, refusal: JotgateError, caller: Caller) -> None:
        problem = render(refusal)
        caller.respond(problem.status, problem.lines, problem.body)

    def _answer(self, request: Request, caller: Caller) -> None:
        caller.respond(200, b"", repr((request.method, request.path, request.query, request.body.hex())).encode())


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing more comes until what is held has been taken."""

    def resume_reading(self) -> None:
        """The next piece may come."""


def answers(pieces: list[bytes]) -> tuple[bytes, bool]:
    """All that is written back, and whether the connection was closed."""
    return asyncio.run(_answers(pieces))


async def _answers(pieces: list[bytes]) -> tuple[bytes, bool]:
    clock = ManualClock()
    surroundings = Surroundings(
        application=Mirror(), clock=clock, heads=HeadWriter(clock), limits=_LIMITS, connections=set()
    )
    connection, wire = GuardedConnection(surroundings), Wire()
    connection.connection_made(wire)
    for piece in pieces:
        if wire.closed:
            break
        connection.data_received(piece)
        await until(lambda: not connection._held or wire.closed)
    return wire.written, wire.closed


def statuses(written: bytes) -> list[int]:
    return [int(rest[:3]) for rest in written.split(b"HTTP/1.1 ")[1:]]


_bodies = st.binary(max_size=80)
_paths = st.sampled_from([b"/a", b"/no", b"/a?b=c", b"http://gate/x?y", b"*"])
_extra = st.lists(
    st.sampled_from(
        [
            b"Accept: a\r\n",
            b"Accept: b\r\n",
            b"Connection: close\r\n",
            b"Expect: 100-continue\r\n",
            b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
            b"Authorization: Bearer x\r\n",
            b"Host: again\r\n",
            b"X: " + b"a" * 300 + b"\r\n",
        ]
    ),
    max_size=3,
).map(b"".join)


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    head = b"POST %b HTTP/%b\r\nHost: gate\r\n%b" % (
        draw(_paths),
        draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"])),
        draw(_extra),
    )
    if draw(st.booleans()):
        body = draw(_bodies)
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    chunks = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in draw(st.lists(_bodies, max_size=3)) if chunk]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"


def _cut(text: bytes, borders: list[int]) -> list[bytes]:
    points = sorted({0, len(text), *(border % (len(text) + 1) for border in borders)})
    return [text[begin:end] for begin, end in pairwise(points)]


def _final(written: bytes) -> bytes:
    """Without the interim answers, which are owed only to a client whose body has not come yet."""
    return written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


@given(st.lists(_requests(), min_size=1, max_size=4), st.lists(st.integers(0, 5_000), max_size=25))
@settings(max_examples=300, deadline=None)
def test_the_answers_are_the_same_whatever_the_segments(requests: list[bytes], borders: list[int]) -> None:
    text = b"".join(requests)
    whole, closed = answers([text])
    pieces, closed_in_pieces = answers(_cut(text, borders))
    assert (_final(pieces), closed_in_pieces) == (_final(whole), closed)
    assert all(status in (100, 200, 400, 401) for status in statuses(whole))


@given(st.lists(_requests(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_answers_are_the_same_byte_by_byte(requests: list[bytes]) -> None:
    text = b"".join(requests)
    whole, closed = answers([text])
    single, closed_singly = answers([bytes([byte]) for byte in text])
    assert (_final(single), closed_singly) == (_final(whole), closed)


@given(st.lists(_requests(), max_size=2), st.binary(max_size=200), st.integers(0, 10_000), st.binary(max_size=3))
@settings(max_examples=400, deadline=None)
def test_no_bytes_bring_a_defect(requests: list[bytes], noise: bytes, position: int, damage: bytes) -> None:
    text = b"".join(requests) + noise
    at = position % (len(text) + 1)
    written, closed = answers([text[:at] + damage + text[at + len(damage) :], b"\r\n\r\n"])
    found = statuses(written)
    assert all(status < 500 for status in found)
    if any(status >= 400 and status != 401 for status in found):
        assert closed
