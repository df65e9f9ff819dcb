"""Responses framed as they were asked for, what becomes of the caller, and defects that nobody foresaw."""

import asyncio

import pytest

from jotgate.core.snapshot import Limits
from tests.listening import get, later, listening, post, post_chunked
from tests.loops import on_loop, until


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


@on_loop
async def test_an_answer_to_http10_that_cannot_be_finished_ends_in_a_reset() -> None:
    """Its length is known by the connection's end alone, which must not look as if all had come (RFC 9112 s8)."""
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later", version=b"1.0"))
        caller = edge.application.tasks[0].caller
        caller.start(200, b"", None, b"part")
        caller.abort()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


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
async def test_what_a_slow_client_has_not_read_of_an_answer_that_is_given_up_is_dropped() -> None:
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
        task.caller.abort()
        assert edge.connections
        await until(lambda: not edge.connections)
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(sent)


@on_loop
async def test_a_client_that_reads_gets_all_that_was_written_before_an_answer_was_given_up() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later"))
        caller = edge.application.tasks[0].caller
        caller.start(200, b"", None, b"x" * 100_000)
        caller.write(b"the last word")
        caller.abort()
        assert (await client.reader.read()).endswith(b"the last word\r\n")
        await until(lambda: not edge.connections)


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


@pytest.mark.parametrize("request_bytes", [post(b"body"), post_chunked(b"body"), get()])
@pytest.mark.parametrize("cut", [3, 20, 4])
@on_loop
async def test_closing_when_idle_lets_a_request_that_has_begun_come_and_be_answered(
    request_bytes: bytes, cut: int
) -> None:
    async with listening() as edge:
        client = await edge.connect()
        begun = request_bytes[:-cut] if cut < 10 else request_bytes[:cut]
        client.send(begun)
        await until(lambda: bool(edge.made) and edge.made[0]._received > 0)
        edge.made[0].close_when_idle()
        client.send(request_bytes[len(begun) :] + get(b"/now", b"Too: late"))
        response = await client.answer()
        assert (response.status, response.closes) == (200, True)
        assert await client.closed()
        assert len(edge.application.opened) == 1


@on_loop
async def test_an_announced_end_waits_for_the_request_that_has_begun_behind_the_one_being_answered() -> None:
    async with listening() as edge:
        client = await edge.connect()
        await later(edge, client, get(b"/later") + post(b"body")[:-2])
        edge.made[0].announce_end()
        edge.application.tasks[0].caller.respond(200, b"", b"one")
        assert not (await client.answer()).closes
        edge.made[0].close_when_idle()
        second = await client.send(b"dy").answer()
        assert (second.body, second.closes) == (b"/now:body", True)
        assert await client.closed()


@on_loop
async def test_an_empty_line_begins_no_request() -> None:
    async with listening() as edge:
        client = await edge.connect()
        assert (await client.send(get()).answer()).status == 200
        client.send(b"\r\n")
        await until(lambda: edge.made[0]._received == 2)
        edge.made[0].close_when_idle()
        assert await client.closed()


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
