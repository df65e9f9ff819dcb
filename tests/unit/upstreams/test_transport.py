"""Requests over kept connections to an upstream that answers well."""

import pytest
from msgspec import structs

from jotgate.testing.upstream import End, Gate, Step, chunked, unary
from tests.ears import REQUEST, ask, begin, upstream
from tests.loops import on_loop, until


@on_loop
async def test_the_request_arrives_byte_for_byte_and_the_answer_comes_back() -> None:
    async with upstream(unary(b'{"a":1}', 201, b"X-Extra: Yes")) as (server, pool):
        ear = await ask(pool)
        assert [request.raw for request in server.requests] == [REQUEST]
        assert ear.head is not None
        assert (ear.head.status, ear.head.length, ear.body) == (201, 7, b'{"a":1}')
        assert (b"x-extra", b"Yes") in ear.head.headers


@on_loop
async def test_no_event_comes_before_begin_returns() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (_, pool):
        for _ in range(2):  # on a new connection and on a kept one
            ear, _exchange = begin(pool)
            assert (ear.head, ear.over) == (None, False)
            await ear.until_over()


@on_loop
async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with upstream(unary(b"1"), chunked(b"2"), unary(b"", 204), unary(b"3")) as (server, pool):
        assert [(await ask(pool)).body for _ in range(4)] == [b"1", b"2", b"", b"3"]
        assert [request.connection for request in server.requests] == [0, 0, 0, 0]


@on_loop
async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    gate = Gate()
    async with upstream([gate, *unary(b"slow")], unary(b"quick")) as (server, pool):
        slow, _ = begin(pool)
        await server.until_requests(1)
        assert (await ask(pool)).body == b"quick"
        gate.open()
        await slow.until_over()
        assert (slow.body, server.opened) == (b"slow", 2)


@on_loop
async def test_the_newest_idle_connection_is_used_first() -> None:
    gate = Gate()
    async with upstream([gate, *unary(b"slow")], unary(b"quick")) as (server, pool):
        server.default = unary(b"next")
        slow, _ = begin(pool)
        await server.until_requests(1)
        await ask(pool)
        gate.open()
        await slow.until_over()
        await ask(pool)
        assert server.requests[-1].connection == 0


@pytest.mark.parametrize(
    "answer",
    [
        unary(b"x", 200, b"Connection: close"),
        [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"],
        unary(b"x") + unary(b"y", 500),
        [unary(b"x")[0] + unary(b"y", 500)[0]],  # type: ignore[operator]
        [unary(b"x")[0] + b"garbage"],  # type: ignore[operator]
        [unary(b"x", 200, b"Connection: close")[0] + b"garbage"],  # type: ignore[operator]
        [chunked(b"x")[0] + b"1\r\nx\r\n0\r\n\r\nHTTP/1.1"],  # type: ignore[operator]
    ],
)
@on_loop
async def test_a_connection_that_is_not_clean_behind_its_answer_is_not_used_again(answer: list[Step]) -> None:
    async with upstream(answer, unary(b"next")) as (server, pool):
        ear = await ask(pool)
        assert (ear.body, ear.complete) == (b"x", True)
        await server.until_connections(0)
        assert (await ask(pool)).body == b"next"
        assert server.opened == 2


@on_loop
async def test_an_answer_that_nobody_asked_for_ends_an_idle_connection() -> None:
    gate = Gate()
    async with upstream([*unary(b"x"), gate, *unary(b"stray", 500)], unary(b"next")) as (server, pool):
        await ask(pool)
        gate.open()
        await server.until_connections(0)
        ear = await ask(pool)
        assert (ear.body, server.opened) == (b"next", 2)


@on_loop
async def test_a_connection_that_the_upstream_closed_is_not_used() -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        await ask(pool)
        await server.hang_up()
        await until(lambda: not pool._idle)
        assert (await ask(pool)).body == b"2"


@on_loop
async def test_a_connection_that_closes_under_a_request_is_not_tried_again() -> None:
    """The upstream may have seen the request: it is said to be written."""
    async with upstream(unary(b"1"), [End()], unary(b"2")) as (server, pool):
        await ask(pool)
        ear = await ask(pool)
        assert ear.error is not None
        assert (ear.error.code, ear.written) == ("upstream_unavailable", True)
        assert [request.connection for request in server.requests] == [0, 0]


@on_loop
async def test_idle_connections_are_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        await ask(pool)
        pool.close_idle()
        assert len(pool._idle) == 1
        monkeypatch.setattr(pool, "_idle_s", 0.0)
        pool.close_idle()
        await server.until_connections(0)


@on_loop
async def test_a_connection_that_was_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(unary(b"1"), unary(b"2")) as (server, pool):
        await ask(pool)
        monkeypatch.setattr(pool, "_idle_s", 0.0)
        assert (await ask(pool)).body == b"2"
        assert [request.connection for request in server.requests] == [0, 1]


@on_loop
async def test_no_more_connections_are_kept_than_the_bound() -> None:
    gate = Gate()
    async with upstream([gate, *unary(b"1")], unary(b"2")) as (server, pool):
        pool._endpoint = structs.replace(pool._endpoint, idle_connections=1)
        slow, _ = begin(pool)
        await server.until_requests(1)
        await ask(pool)
        gate.open()
        await slow.until_over()
        await server.until_connections(1)
        assert len(pool._idle) == 1
