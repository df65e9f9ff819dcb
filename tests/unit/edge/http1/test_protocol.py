"""One client connection: requests answered in order, whatever the segments, their bodies bounded."""

import tracemalloc

import pytest

from jotgate.core.snapshot import Limits
from tests.listening import get, listening, post, post_chunked
from tests.loops import on_loop, until


@on_loop
async def test_a_request_is_read_whole() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(post(b"body", b"/now?a=b", b"Accept: x", b"X-Thing:  spaced  "))
        response = await client.answer()
        assert (response.status, response.body, response.closes) == (200, b"/now:body", False)
        (request,) = edge.application.opened
        assert (request.method, request.path, request.query, request.body) == (b"POST", b"/now", b"a=b", b"body")
        assert (request.peer, request.headers[b"accept"], request.headers[b"x-thing"]) == ("127.0.0.1", b"x", b"spaced")


@on_loop
async def test_a_connection_serves_one_request_after_another() -> None:
    async with listening() as edge:
        client = await edge.connect()
        for request, body in ((get(), b"/now:"), (post(b"a"), b"/now:a"), (post_chunked(b"a", b"bc"), b"/now:abc")) * 3:
            assert (await client.send(request).answer()).body == body
        assert len(edge.connections) == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        get(b"/now", b"Connection: close"),
        get(version=b"1.0"),
        get(b"/now", b"Connection: keep-alive", version=b"1.0"),
        b"GET /now HTTP/1.0\r\n\r\n",
    ],
)
@on_loop
async def test_a_connection_ends_when_the_client_says_so_and_with_http10(request_bytes: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        response = await client.send(request_bytes).answer()
        assert (response.status, response.closes) == (200, True)
        assert await client.closed()


@on_loop
async def test_bytes_may_come_one_at_a_time() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await client.trickle(post(b"abc") + post_chunked(b"de", b"f", trailer=b"T: v\r\n") + get(b"/now", b"Accept: a"))
        assert [(await client.answer()).body for _ in range(3)] == [b"/now:abc", b"/now:def", b"/now:"]


@on_loop
async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(get(b"/later") + post(b"two") + get(b"/later") + post(b"four"))
        await until(lambda: len(edge.application.tasks) == 1)
        assert [request.path for request in edge.application.answered] == [b"/later"]
        edge.application.tasks[0].caller.respond(200, b"", b"one")
        assert [(await client.answer()).body for _ in range(2)] == [b"one", b"/now:two"]
        assert len(edge.application.tasks) == 2
        edge.application.tasks[1].caller.start(200, b"", None, b"th")
        edge.application.tasks[1].caller.end(b"ree")
        assert [(await client.answer()).body for _ in range(2)] == [b"three", b"/now:four"]


@on_loop
async def test_a_large_body_before_a_pipelined_head_is_not_counted_with_it() -> None:
    async with listening() as edge:
        client = await edge.connect()
        large, second = post(b"x" * 60_000), get(b"/now", b"Accept: y")
        client.send(large[:-10])
        await until(lambda: len(edge.application.opened) == 1)
        client.send(large[-10:] + second[:20])
        assert len((await client.answer()).body) == 60_005
        assert (await client.send(second[20:]).answer()).status == 200


@pytest.mark.parametrize("cut", [*range(0, 50, 7), 52, 53, 54])
@on_loop
async def test_a_pipelined_head_may_be_cut_anywhere_behind_a_body_of_any_size(cut: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        text = post(b"x" * 5_000) + get(b"/now", b"Accept: a", b"Accept: b")
        second = len(text) - 55 + cut
        client.send(text[:second])
        assert (await client.answer()).status == 200
        assert (await client.send(text[second:]).answer()).status == 200


# Bodies


@on_loop
async def test_chunks_extensions_and_trailers_are_taken_and_dropped() -> None:
    async with listening() as edge:
        client = await edge.connect()
        head = b"POST /now HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: Chunked\r\n\r\n"
        assert (await client.send(head, b'1;a="b"\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n').answer()).body == b"/now:abc"
        assert b"x" not in edge.application.opened[0].headers


@on_loop
async def test_a_body_of_the_largest_size_is_taken_and_one_more_byte_is_not() -> None:
    async with listening(Limits(body_bytes=70_000)) as edge:
        client = await edge.connect()
        assert (await client.send(post(b"x" * 70_000)).answer()).status == 200
        assert (await client.send(post_chunked(b"x" * 35_000, b"x" * 35_000)).answer()).status == 200
        for request in (post(b"x" * 70_001), post_chunked(b"x" * 35_000, b"x" * 35_001)):
            client = await edge.connect()
            response = await client.send(request).answer()
            assert (response.status, response.closes) == (413, True)
            assert await client.closed()


@on_loop
async def test_a_body_in_the_smallest_pieces_takes_no_more_memory_than_its_length_and_a_copy() -> None:
    async with listening(Limits(body_bytes=1_000_000)) as edge:
        client = await edge.connect()
        client.send(b"POST /now HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n")
        await until(lambda: len(edge.application.opened) == 1)
        (connection,) = edge.made
        tracemalloc.start()
        for _ in range(500):
            connection.data_received(b"2\r\nxx\r\n" * 1_000)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < 2_000_000
        assert len((await client.send(b"0\r\n\r\n").answer()).body) == 1_000_005


@on_loop
async def test_a_body_announced_too_large_is_refused_before_it_is_sent() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(b"POST /now HTTP/1.1\r\nHost: g\r\nContent-Length: 200001\r\n\r\n")
        response = await client.answer()
        assert (response.status, response.closes) == (413, True)


@on_loop
async def test_a_client_that_is_still_sending_reads_the_refusal() -> None:
    """Closing a socket with unread bytes resets it, and a reset may overtake the answer."""
    async with listening(Limits(body_bytes=100_000)) as edge:
        for request in (post(b"x" * 8_000_000), post_chunked(*[b"x" * 60_000] * 100), post(b"x" * 8_000_000, b"/no")):
            client = await edge.connect()
            client.send(request)
            response = await client.answer()
            assert (response.status, response.closes) == (401 if b"/no " in request else 413, True)
            await client.writer.drain()
            assert await client.closed()


@on_loop
async def test_a_refused_request_with_a_small_body_keeps_the_connection() -> None:
    async with listening() as edge:
        client = await edge.connect()
        for request in (post(b"x" * 65_536, b"/no"), post_chunked(b"x" * 65_536, path=b"/no"), get(b"/no")):
            response = await client.send(request).answer()
            assert (response.status, response.closes) == (401, False)
            assert edge.application.refused[-1][0].body == b""
        assert (await client.send(get()).answer()).status == 200


@pytest.mark.parametrize("request_bytes", [post(b"x" * 65_537, b"/no"), post_chunked(b"x" * 65_537, path=b"/no")])
@on_loop
async def test_a_refused_request_with_a_large_body_ends_the_connection(request_bytes: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        response = await client.send(request_bytes).answer()
        assert (response.status, response.closes) == (401, True)
        assert await client.closed()
