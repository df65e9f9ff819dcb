"""One client connection: requests answered in order, framed as they were asked for, whatever the segments."""

import asyncio

import pytest

from jotgate.core.snapshot import Limits
from tests.loops import on_loop, until
from tests.unit.edge.listening import Client, Edge, get, listening, post, post_chunked


async def later(edge: Edge, client: Client, request: bytes) -> None:
    """Send a request for `/later` and wait until it is being answered."""
    count = len(edge.application.tasks)
    client.send(request)
    await until(lambda: len(edge.application.tasks) > count)


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
async def test_eight_requests_may_wait_and_the_eighth_is_the_last() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(b"".join(post(b"%d" % number) for number in range(20)))
        responses = [await client.answer() for _ in range(8)]
        assert [response.body for response in responses] == [b"/now:%d" % number for number in range(8)]
        assert [response.closes for response in responses] == [False] * 7 + [True]
        assert await client.closed()
        assert len(edge.application.opened) == 8
        assert edge.connections, "it takes what the client still sends, so that no reset overtakes the answers"
        client.writer.close()
        await until(lambda: not edge.connections)


@on_loop
async def test_eight_requests_may_wait_behind_the_one_being_answered() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        client.send(*[post(b"%d" % number) for number in range(12)])
        await until(lambda: len(edge.application.opened) == 9)
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        bodies = [(await client.answer()).body for _ in range(9)]
        assert bodies == [b"first", *[b"/now:%d" % number for number in range(8)]]
        assert await client.closed()


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


# Expect


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


# Responses


@on_loop
async def test_an_answer_of_unknown_length_is_chunked() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        caller = edge.application.tasks[0].caller
        caller.start(200, b"A: b\r\n", None, b"")
        caller.write(b"one")
        caller.write(b"")
        caller.end(b"two")
        response = await client.answer()
        assert (response.body, response.fields["transfer-encoding"], response.fields["a"]) == (
            b"onetwo",
            "chunked",
            "b",
        )
        assert (await client.send(get()).answer()).status == 200


@on_loop
async def test_an_answer_of_known_length_is_not_chunked_even_behind_one_that_is() -> None:
    async with listening() as edge:
        client = await edge.connect()
        for length in (None, 6):
            await later(edge, client, get(b"/later"))
            caller = edge.application.tasks[-1].caller
            caller.start(200, b"", length, b"one")
            caller.end(b"two")
            response = await client.answer()
            assert (response.body, response.fields.get("content-length")) == (b"onetwo", length and "6")


@on_loop
async def test_an_http10_client_gets_an_answer_of_unknown_length_until_the_end() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later", version=b"1.0"))
        caller = edge.application.tasks[0].caller
        caller.start(200, b"", None, b"one")
        caller.write(b"two")
        caller.end(b"")
        response = await client.answer()
        assert (response.body, response.closes) == (b"onetwo", True)
        assert "transfer-encoding" not in response.fields


@on_loop
async def test_head_is_answered_like_get_without_the_body() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(b"HEAD /now HTTP/1.1\r\nHost: g\r\n\r\n")
        assert (await client.answer(head_only=True)).fields["content-length"] == "5"
        for length in (None, 6):
            await later(edge, client, b"HEAD /later HTTP/1.1\r\nHost: g\r\n\r\n")
            caller = edge.application.tasks[-1].caller
            caller.start(200, b"", length, b"on")
            caller.write(b"et")
            caller.end(b"wo")
            response = await client.answer(head_only=True)
            assert response.fields.get("content-length") == (length and "6")
        assert (await client.send(get()).answer()).body == b"/now:"


@pytest.mark.parametrize("status", [204, 304])
@on_loop
async def test_a_status_without_a_body_has_no_length(status: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        edge.application.tasks[0].caller.respond(status, b"", b"")
        response = await client.answer()
        assert (response.status, "content-length" in response.fields) == (status, False)
        assert (await client.send(get()).answer()).status == 200


@pytest.mark.parametrize("length", [None, 9])
@on_loop
async def test_an_answer_that_cannot_be_finished_is_seen_to_be_broken(length: int | None) -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later") + get())
        task = edge.application.tasks[0]
        task.caller.start(200, b"", length, b"part")
        task.caller.abort()
        response = await client.answer()
        assert (response.body, response.whole) == (b"part", False)
        assert await client.closed()
        assert (task.told, len(edge.application.answered)) == ([], 1)


# The caller's fate


@pytest.mark.parametrize("begun", [True, False])
@on_loop
async def test_a_client_that_goes_away_is_told_to_the_one_who_answers(begun: bool) -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later") + get())
        task = edge.application.tasks[0]
        if begun:
            task.caller.start(200, b"", None, b"part")
        client.leave()
        await until(lambda: task.told == ["gone"])
        assert not edge.connections
        assert len(edge.application.answered) == 1


@on_loop
async def test_a_client_that_ends_its_side_in_the_middle_of_a_request_gets_no_answer() -> None:
    async with listening() as edge:
        for text in (b"", b"GET /no", post(b"body")[:-1], post_chunked(b"body")[:-3]):
            client = await edge.connect()
            client.send(text)
            client.writer.write_eof()
            assert await client.closed()
        assert edge.application.answered == []


@on_loop
async def test_a_slow_client_pauses_and_resumes_its_answer() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        task = edge.application.tasks[0]
        sent = 65_536
        task.caller.start(200, b"", None, b"x" * sent)
        while not task.told:
            task.caller.write(b"x" * 65_536)
            sent += 65_536
            await asyncio.sleep(0)
        assert task.told == ["paused"]
        reading = asyncio.ensure_future(client.answer())
        await until(lambda: task.told == ["paused", "resumed"])
        task.caller.end(b"")
        assert len((await reading).body) == sent


@on_loop
async def test_the_next_request_of_a_slow_client_waits_until_it_reads() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        edge.application.tasks[0].caller.respond(200, b"", b"x" * 20_000_000)
        client.send(get(b"/later"))
        await until(lambda: len(edge.application.opened) == 2)
        assert len(edge.application.tasks) == 1
        assert len((await client.answer()).body) == 20_000_000
        await until(lambda: len(edge.application.tasks) == 2)
        edge.application.tasks[1].caller.respond(200, b"", b"two")
        assert (await client.answer()).body == b"two"


@on_loop
async def test_answers_given_at_once_wait_for_a_slow_client_too() -> None:
    async with listening(Limits()) as edge:
        client = await edge.connect()
        body = b"x" * 8_000_000
        client.send(post(body) + post(body) + post(b"end"))
        await until(lambda: len(edge.application.opened) == 3)
        assert len(edge.application.answered) == 1
        assert [len((await client.answer()).body) for _ in range(3)] == [8_000_005, 8_000_005, 8]


@on_loop
async def test_closing_when_idle_closes_an_idle_connection_at_once_and_a_busy_one_after_its_answers() -> None:
    async with listening() as edge:
        idle, busy = await edge.connect(), await edge.connect()
        assert (await idle.send(get()).answer()).status == 200
        await later(edge, busy, get(b"/later") + get())
        assert [connection.idle for connection in edge.made] == [True, False]
        for connection in tuple(edge.connections):
            connection.close_when_idle()
        assert await idle.closed()
        busy.send(get(b"/now", b"Too: late"))
        await until(lambda: edge.made[1]._cut_short)
        edge.application.tasks[0].caller.respond(200, b"", b"one")
        first, second = await busy.answer(), await busy.answer()
        assert (first.body, first.closes) == (b"one", False)
        assert (second.body, second.closes) == (b"/now:", True)
        assert await busy.closed()


# What nobody foresaw


@on_loop
async def test_a_defect_while_answering_is_a_500_and_told() -> None:
    async with listening(faults=1) as edge:
        client = await edge.connect()
        response = await client.send(get(b"/fault")).answer()
        assert response.status == 500
        assert b"ZeroDivision" not in response.body
        assert isinstance(edge.faults[0]["exception"], ZeroDivisionError)
        assert (await client.send(get()).answer()).status == 200


@on_loop
async def test_a_defect_in_the_middle_of_an_answer_breaks_it_off() -> None:
    async with listening(faults=1) as edge:
        client = await edge.connect()
        response = await client.send(get(b"/half")).answer()
        assert (response.body, response.whole) == (b"half", False)


@on_loop
async def test_a_defect_while_opening_is_a_500_and_told() -> None:
    async with listening(faults=1) as edge:
        client = await edge.connect()
        response = await client.send(get(b"/broken")).answer()
        assert (response.status, response.closes) == (500, True)
        assert await client.closed()
