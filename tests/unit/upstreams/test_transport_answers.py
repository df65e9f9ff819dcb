"""Where an answer ends, and answers that are none."""

import asyncio

import pytest

from jotgate.testing.upstream import End, Gate, Step, chunked, torn, unary, until_close
from tests.ears import ask, begin, upstream
from tests.loops import on_loop


@pytest.mark.parametrize("answer", [chunked(b"one", b"two"), until_close(b"one", b"two"), unary(b"onetwo")])
@on_loop
async def test_a_body_ends_where_its_framing_says(answer: list[Step]) -> None:
    async with upstream(answer) as (_, pool):
        ear = await ask(pool)
        assert (ear.body, ear.complete) == (b"onetwo", True)
        assert ear.head is not None
        assert ear.head.length == (6 if answer == unary(b"onetwo") else None)


@on_loop
async def test_pieces_arrive_as_they_are_sent() -> None:
    gates = [Gate(), Gate()]
    async with upstream(chunked(b"one", gates[0], b"two", gates[1], b"three")) as (_, pool):
        ear, _exchange = begin(pool)
        await ear.until_body(b"one")
        gates[0].open()
        await ear.until_body(b"onetwo")
        gates[1].open()
        await ear.until_over()
        assert (ear.body, ear.complete) == (b"onetwothree", True)


@on_loop
async def test_an_answer_may_come_byte_by_byte() -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\n" + b"".join(
        step for step in chunked(b"one", b"two") if isinstance(step, bytes)
    )
    steps: list[Step] = []
    gates = [Gate() for _ in raw]
    for byte, gate in zip(raw, gates, strict=True):
        steps += [gate, bytes([byte])]
    async with upstream(steps) as (server, pool):
        ear, _ = begin(pool)
        await server.until_requests(1)
        for gate in gates:
            gate.open()
            for _ in range(20):
                await asyncio.sleep(0)
        await ear.until_over()
        assert (ear.body, ear.complete) == (b"onetwo", True)


@on_loop
async def test_interim_responses_are_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n"
    gate = Gate()
    async with upstream([early, gate, *unary(b"ok", 200, b"X-Final: 1")], unary(b"next")) as (server, pool):
        ear, _ = begin(pool)
        await server.until_requests(1)
        gate.open()
        await ear.until_over()
        assert ear.head is not None
        assert (ear.head.status, ear.body) == (200, b"ok")
        assert b"link" not in dict(ear.head.headers)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 1


@on_loop
async def test_trailers_are_not_passed_on() -> None:
    steps: list[Step] = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n"
    ]
    async with upstream(steps, unary(b"next")) as (server, pool):
        ear = await ask(pool)
        assert ear.head is not None
        assert (ear.body, b"x-late" in dict(ear.head.headers)) == (b"ok", False)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 1


@on_loop
async def test_trailers_without_end_are_torn() -> None:
    gate = Gate()
    answer: list[Step] = [*chunked(b"part")[:-1], gate, b"0\r\nX: " + b"a" * 1_000_000]
    async with upstream(answer) as (server, pool):
        ear, _ = begin(pool)
        await ear.until_body(b"part")
        gate.open()
        await ear.until_over()
        assert ear.error is not None
        assert ear.error.code == "upstream_torn"
        await server.until_connections(0)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([], "upstream_unavailable"),
        ([b"HTTP/1.1 200"], "upstream_unavailable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"], "upstream_unavailable"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "upstream_unavailable"),
        (torn(b"part")[:1], "upstream_torn"),
        (torn(b"")[:1], "upstream_torn"),
        (chunked(b"part")[:2], "upstream_torn"),
        ([chunked(b"part")[0], b"9\r\npart"], "upstream_torn"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\npart"], "upstream_torn"),
    ],
)
@on_loop
async def test_an_answer_that_breaks_off_is_a_failure_of_a_written_request(
    answer: list[Step], code: str, how: str
) -> None:
    async with upstream([*answer, End("close" if how == "close" else "reset")], unary(b"next")) as (_, pool):
        ear = await ask(pool)
        assert ear.error is not None
        assert (ear.error.status, ear.written, ear.complete) == (502, True, False)
        assert how == "reset" or ear.error.code == code
        assert (await ask(pool)).body == b"next"


@on_loop
async def test_an_answer_until_close_that_is_reset_is_torn() -> None:
    gate = Gate()
    answer: list[Step] = [*until_close(b"part")[:-1], gate, End("reset")]
    async with upstream(answer) as (_, pool):
        ear, _ = begin(pool)
        await ear.until_body(b"part")
        gate.open()
        await ear.until_over()
        assert ear.error is not None
        assert ear.error.code == "upstream_torn"


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
        # A status that is none, or a coding that is not undone: what follows must not reach a caller as if it were fit.
        b"HTTP/1.1 099 X\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
@on_loop
async def test_garbage_in_place_of_an_answer_is_torn_and_the_connection_closed(raw: bytes) -> None:
    async with upstream([raw], unary(b"next")) as (server, pool):
        ear = await ask(pool)
        assert ear.error is not None
        assert (ear.error.code, ear.written) == ("upstream_torn", True)
        await server.until_connections(0)
        assert (await ask(pool)).body == b"next"
