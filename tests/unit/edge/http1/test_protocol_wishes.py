"""What a client wishes beside its answer: to be told to go on, or another protocol."""

import asyncio

import pytest

from tests.listening import get, later, listening, post, post_chunked
from tests.loops import on_loop, until


def expecting(path: bytes = b"/now", version: bytes = b"1.1", wish: bytes = b"100-continue", size: int = 4) -> bytes:
    head = b"POST %b HTTP/%b\r\nHost: gate\r\nExpect: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, version, wish, size)


@pytest.mark.parametrize("wish", [b"100-continue", b"100-Continue"])
@on_loop
async def test_a_client_that_waits_is_told_to_go_on(wish: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        assert (await client.send(expecting(wish=wish)).answer()).status == 100
        assert (await client.send(b"body").answer()).body == b"/now:body"


@on_loop
async def test_a_client_that_waits_behind_another_request_is_told_when_that_is_answered() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later") + expecting())
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        assert (await client.answer()).body == b"first"
        assert (await client.answer()).status == 100
        assert (await client.send(b"body").answer()).body == b"/now:body"


@on_loop
async def test_a_client_that_waits_no_longer_is_told_nothing() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later") + expecting() + b"bo")
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        assert (await client.answer()).body == b"first"
        assert (await client.send(b"dy").answer()).body == b"/now:body"


@pytest.mark.parametrize(("path", "size", "status"), [(b"/no", 4, 401), (b"/now", 200_001, 413)])
@on_loop
async def test_a_client_that_waits_is_refused_without_its_body(path: bytes, size: int, status: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        response = await client.send(expecting(path, size=size)).answer()
        assert (response.status, response.closes) == (status, True)
        assert await client.closed()


@pytest.mark.parametrize("request_bytes", [expecting(version=b"1.0"), expecting(wish=b"magic")])
@on_loop
async def test_no_interim_answer_goes_to_http10_or_for_another_wish(request_bytes: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        assert (await client.send(request_bytes + b"body").answer()).body == b"/now:body"


# Upgrade


@pytest.mark.parametrize("body", [b"", b"body"])
@pytest.mark.parametrize("segments", [1, 2])
@on_loop
async def test_a_wish_for_another_protocol_is_declined_and_the_request_answered(body: bytes, segments: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        raw = post(
            body, b"/now?a", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"
        )
        for piece in [raw] if segments == 1 else [raw[: len(raw) - len(body) - 2], raw[len(raw) - len(body) - 2 :]]:
            client.send(piece)
            await asyncio.sleep(0.0)
        response = await client.answer()
        assert (response.status, response.body, response.closes) == (200, b"/now:" + body, False)
        assert "upgrade" not in response.fields
        (request,) = edge.application.opened
        assert (request.query, b"upgrade" in request.headers) == (b"a", False)
        assert (await client.send(post(b"next")).answer()).body == b"/now:next"


@on_loop
async def test_a_declined_upgrade_keeps_all_else_that_the_request_said() -> None:
    async with listening() as edge:
        client = await edge.connect()
        upgrade = (b"Upgrade: websocket", b"Connection: close, Upgrade")
        response = await client.send(get(b"/now", *upgrade)).answer()
        assert (response.status, response.closes) == (200, True)
        assert await client.closed()
        client = await edge.connect()
        chunked = post_chunked(b"ab", b"c").replace(
            b"Host: gate\r\n", b"Host: gate\r\nUpgrade: x\r\nConnection: Upgrade\r\n"
        )
        client.send(chunked + get(b"/now", b"Connection: upgrade", b"Upgrade: y") + get())
        assert [(await client.answer()).body for _ in range(3)] == [b"/now:abc", b"/now:", b"/now:"]


@on_loop
async def test_a_client_that_waits_and_wishes_for_another_protocol_is_told_once() -> None:
    async with listening() as edge:
        client = await edge.connect()
        raw = expecting().replace(b"Host: gate\r\n", b"Host: gate\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n")
        assert (await client.send(raw).answer()).status == 100
        assert (await client.send(b"body").answer()).body == b"/now:body"
        assert len(edge.application.opened) == 1


@on_loop
async def test_an_http10_client_stays_one_when_its_upgrade_is_declined() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(b"GET /later HTTP/1.0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        await until(lambda: len(edge.application.tasks) == 1)
        edge.application.tasks[0].caller.start(200, b"", None, b"a")
        edge.application.tasks[0].caller.end(b"b")
        response = await client.answer()
        assert (response.body, response.closes, "transfer-encoding" in response.fields) == (b"ab", True, False)
