"""A client connection within its limits: slow clients are cut off, crowds are thinned, and nobody else notices."""

import pytest

from jotgate.core.snapshot import Limits
from jotgate.edge.proxies import Proxies
from jotgate.errors import Code
from tests.listening import get, later, listening, post, post_chunked
from tests.loops import on_loop, until

TIMES = Limits(first_byte_s=10, header_s=20, body_s=30, idle_s=40, stall_s=50, body_bytes=10_000_000)


@on_loop
async def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        await until(lambda: len(edge.connections) == 1)
        await edge.let_pass(10)
        assert edge.connections
        await edge.let_pass(0.1)
        assert await client.closed()
        assert edge.application.refused == []


@on_loop
async def test_a_kept_connection_is_closed_without_a_word_when_it_idles() -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        for _ in range(3):
            assert (await client.send(get()).answer()).status == 200
            await edge.let_pass(39)
        await edge.let_pass(1.1)
        assert await client.closed()
        assert edge.application.refused == []


@pytest.mark.parametrize("begun", [b"G", b"\r\n", get()[:-1], get() + b"POST /now HT"])
@on_loop
async def test_a_head_that_does_not_end_is_a_408(begun: bytes) -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        client.send(begun)
        for _ in range(begun.count(get())):
            assert (await client.answer()).status == 200
        await until(lambda: any(connection._received for connection in edge.made))
        await edge.let_pass(20.1)
        response = await client.answer()
        assert (response.status, response.closes) == (408, True)
        assert Code.REQUEST_TIMEOUT.encode() in response.body
        assert await client.closed()


@on_loop
async def test_a_head_is_not_given_more_time_for_each_byte() -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        sent = 0
        for line in (b"GET /now HTTP/1.1\r\n", *[b"X: a\r\n"] * 3):
            client.send(line)
            sent += len(line)
            await until(lambda: any(connection._field_bytes == sent for connection in edge.made))  # noqa: B023
            await edge.let_pass(5.1)
        assert (await client.answer()).status == 408


@pytest.mark.parametrize("begun", [post(b"abc")[:-1], post_chunked(b"abc")[:-5]])
@on_loop
async def test_a_body_that_does_not_end_is_a_408_and_never_answered_otherwise(begun: bytes) -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        client.send(begun)
        await until(lambda: len(edge.application.opened) == 1)
        await edge.let_pass(30.1)
        response = await client.answer()
        assert (response.status, response.closes) == (408, True)
        assert edge.application.answered == []
        assert [type(refusal).__name__ for _, refusal in edge.application.refused] == ["RequestLate"]


@on_loop
async def test_a_request_that_is_being_answered_is_given_any_time() -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        client.send(get(b"/later") + b"GET /now HT")
        await until(lambda: len(edge.application.tasks) == 1)
        await edge.let_pass(10_000)
        edge.application.tasks[0].caller.respond(200, b"", b"late")
        assert (await client.answer()).body == b"late"
        assert (await client.send(get()[len(b"GET /now HT") :]).answer()).status == 200


@on_loop
async def test_a_client_that_reads_nothing_is_cut_off_and_one_that_reads_slowly_is_not() -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        client.send(get(b"/later"))
        await until(lambda: len(edge.application.tasks) == 1)
        task = edge.application.tasks[0]
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        task.caller.start(200, b"", None, b"x")
        while "paused" not in task.told:
            task.caller.write(b"x" * 1_000_000)
        await edge.let_pass(49)
        assert "gone" not in task.told
        await edge.let_pass(1.1)
        await until(lambda: "gone" in task.told)


@on_loop
async def test_a_connection_that_is_closed_and_not_drained_is_cut_off() -> None:
    async with listening(TIMES) as edge:
        client = await edge.connect()
        client.send(get(b"/later"))
        await until(lambda: len(edge.application.tasks) == 1)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        task = edge.application.tasks[0]
        task.caller.start(200, b"", None, b"x" * 50_000_000)
        task.caller.abort()
        await edge.let_pass(49)
        assert edge.connections
        await edge.let_pass(1.1)
        await until(lambda: not edge.connections)


@on_loop
async def test_an_address_has_so_many_connections_and_room_again_when_one_ends() -> None:
    async with listening(Limits(connections_per_address=2)) as edge:
        first, second = await edge.connect(), await edge.connect()
        for client in (first, second):
            assert (await client.send(get()).answer()).status == 200
        third = await edge.connect()
        response = await third.answer()
        assert (response.status, response.closes) == (429, True)
        assert Code.TOO_MANY_CONNECTIONS.encode() in response.body
        assert await third.closed()
        assert (await first.send(get()).answer()).status == 200
        third.leave()
        first.leave()
        await until(lambda: len(edge.connections) == 1)
        assert (await (await edge.connect()).send(get()).answer()).status == 200


@on_loop
async def test_a_crowd_twice_as_large_is_not_even_told() -> None:
    async with listening(Limits(connections_per_address=1)) as edge:
        await edge.connect()
        told = await edge.connect()
        assert (await told.answer()).status == 429
        untold = await edge.connect()
        with pytest.raises((ConnectionResetError, EOFError)):
            await untold.answer()


@on_loop
async def test_a_trusted_proxy_may_have_any_number_of_connections() -> None:
    async with listening(Limits(connections_per_address=1)) as edge:
        edge.surroundings.proxies = Proxies(("127.0.0.0/8",), "x-forwarded")
        for _ in range(5):
            assert (await (await edge.connect()).send(get()).answer()).status == 200
        assert len(edge.surroundings.crowd) == 0


@on_loop
async def test_what_left_counts_no_longer() -> None:
    async with listening() as edge:
        clients = [await edge.connect() for _ in range(5)]
        await until(lambda: len(edge.connections) == 5)
        assert len(edge.surroundings.crowd) == 1
        for client in clients:
            client.leave()
        await until(lambda: not edge.connections)
        assert len(edge.surroundings.crowd) == 0


# Pipelines


@on_loop
async def test_requests_that_come_in_one_go_are_all_answered_in_their_order() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(b"".join(post(b"%d" % number) for number in range(200)))
        responses = [await client.answer() for _ in range(200)]
        assert [response.body for response in responses] == [b"/now:%d" % number for number in range(200)]
        assert not any(response.closes for response in responses)
        assert edge.connections


@on_loop
async def test_eight_requests_may_wait_and_the_others_are_read_when_there_is_room() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        client.send(*[post(b"%d" % number) for number in range(30)])
        await until(lambda: len(edge.application.opened) == 9)
        assert not edge.made[0].transport.is_reading()
        client.send(*[post(b"%d" % number) for number in range(30, 60)])
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        bodies = [(await client.answer()).body for _ in range(61)]
        assert bodies == [b"first", *[b"/now:%d" % number for number in range(60)]]
        assert edge.made[0].transport.is_reading()


@on_loop
async def test_eight_may_wait_of_those_that_come_in_one_short_segment() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later") + b"".join(post(b"%d" % number) for number in range(20)))
        assert len(edge.application.opened) == 9
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        assert [(await client.answer()).body for _ in range(21)] == [b"first", *[b"/now:%d" % n for n in range(20)]]


_UPGRADE = (b"Upgrade: h2c", b"Connection: Upgrade")


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (get(), b""),
        (b"\r\n\r\n" + post(b"a"), b"a"),
        (post(b"\r\n\r\n"), b"\r\n\r\n"),
        (post_chunked(b"a", b"\r\n\r\n", b"b"), b"a\r\n\r\nb"),
        (post_chunked(), b""),
        (post_chunked(b"a" * 20, trailer=b"X: 0\r\n"), b"a" * 20),
        (post(b"a", b"/now", *_UPGRADE), b"a"),
        (post_chunked(b"a").replace(b"Host: gate", b"Host: gate\r\n" + b"\r\n".join(_UPGRADE)), b"a"),
    ],
)
@on_loop
async def test_the_request_behind_another_in_one_short_segment_begins_where_that_ends(
    first: bytes, body: bytes
) -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(first + post(b"next") + get()[:-9])
        assert [(await client.answer()).body for _ in range(2)] == [b"/now:" + body, b"/now:next"]
        assert (await client.send(get()[-9:]).answer()).status == 200


@pytest.mark.parametrize("cut", range(1, 12))
@on_loop
async def test_a_body_in_chunks_may_be_cut_within_its_end(cut: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        text = post_chunked(b"ab")
        client.send(text[:-cut])
        await until(lambda: bool(edge.made) and edge.made[0]._received == len(text) - cut)
        client.send(text[-cut:] + post(b"next") + get())
        assert [(await client.answer()).body for _ in range(3)] == [b"/now:ab", b"/now:next", b"/now:"]


@on_loop
async def test_of_a_body_behind_a_request_that_is_being_answered_only_the_beginning_is_read() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        client.send(post(b"x" * 190_000))
        await until(lambda: len(edge.application.opened) == 2 and not edge.made[0].transport.is_reading())
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        assert (await client.answer()).body == b"first"
        assert len((await client.answer()).body) == 190_005


@on_loop
async def test_a_client_that_goes_while_its_requests_wait_is_forgotten() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        client.send(*[get() for _ in range(30)])
        await until(lambda: not edge.made[0].transport.is_reading())
        client.leave()
        edge.application.tasks[0].caller.respond(200, b"", b"x" * 10)
        await until(lambda: not edge.connections)
