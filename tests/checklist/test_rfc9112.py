"""Every row of `requests`, in one segment and byte by byte: what is served or refused, and how the connection ends."""

import asyncio

import pytest

from jotgate.core.snapshot import Limits
from tests.checklist.requests import ROWS, Row
from tests.listening import Client, listening
from tests.loops import on_loop

_MANY_BYTES = 1_000


def name(row: Row) -> str:
    return f"{row.section} {row.rule}"


async def read_answers(client: Client, row: Row) -> None:
    """Read as many answers as there must be, and see whether the connection goes on."""
    methods = [line.partition(b" ")[0] for line in row.raw.split(b"\r\n") if line.endswith(b"HTTP/1.1")]
    for number, status in enumerate(row.statuses):
        head_only = number < len(methods) and methods[number] == b"HEAD"
        response = await client.answer(head_only=head_only)
        assert response.status == status
        assert response.closes is (row.closes and number == len(row.statuses) - 1)
    if row.closes:
        assert await client.closed()
    else:
        assert (await client.send(b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n").answer()).status == 200


@pytest.mark.parametrize("row", ROWS, ids=name)
@on_loop
async def test_a_row_in_one_segment(row: Row) -> None:
    async with listening(Limits()) as edge:
        client = await edge.connect()
        await read_answers(client.send(row.raw), row)
        assert len(edge.application.answered) == row.statuses.count(200) + (not row.closes)


@pytest.mark.parametrize("row", [row for row in ROWS if len(row.raw) < _MANY_BYTES], ids=name)
@on_loop
async def test_a_row_byte_by_byte(row: Row) -> None:
    async with listening(Limits()) as edge:
        client = await edge.connect()
        sending = asyncio.ensure_future(client.trickle(row.raw))
        await read_answers(client, row)
        sending.cancel()
        assert len(edge.application.answered) == row.statuses.count(200) + (not row.closes)


def test_each_row_has_a_name_of_its_own() -> None:
    assert len({name(row) for row in ROWS}) == len(ROWS) > 100
