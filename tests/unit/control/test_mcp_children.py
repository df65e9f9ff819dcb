"""A child may write anything: its caller is told at once, and the others go on."""

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import pytest

from jotgate.control.mcp_children import children_mount
from jotgate.core.mcp_children import HEAD, ChildSpec
from jotgate.services.mcp_bridge import Bridge, Hearing
from jotgate.testing.ports import ManualClock

_ANSWERS: Final[dict[str, bytes]] = {
    "no object": b'"id":%d',
    "neither": b'{"jsonrpc":"2.0","id":%d}',
    "both": b'{"jsonrpc":"2.0","id":%d,"method":"x","result":{}}',
    "behind another id": b'{"result":{"id":1,"a":[{"id":2}],"b":"\xff"},"jsonrpc":"2.0","id":%d}',
    "not utf-8": b'{"jsonrpc":"2.0","id":%d,"result":{"a":"\xff"}}',
    "too deep": b'{"jsonrpc":"2.0","id":%d,"result":' + b"[" * 100_000 + b"}",
    "an error of text": b'{"jsonrpc":"2.0","id":%d,"error":"text"}',
    "a code of text": b'{"jsonrpc":"2.0","id":%d,"error":{"code":"x"}}',
}


_NOISE: Final = (
    b"Server started",
    b"\xff",
    b"[" * 100_000,
    b'{"method":5}',
    b'{"id":[],"result":1}',
    b'{"method":5,"params":5}',
    b'{"id":null,"error":{"code":-32700,"message":"no"}}',
)


class _Pipe:
    """A child that answers what it is asked in these words (services.mcp_bridge.Pipe).

    Mutable: the words, the ids under which it has said nothing, whether it reads.
    """

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing
        self.words: Callable[[int], bytes] = _good
        self.left: asyncio.Queue[int] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()

    async def write(self, line: bytes) -> None:
        await self.reads.wait()
        message = json.loads(line)
        if "id" in message and "method" in message:
            said = self.words(message["id"])
            if said:
                self.hearing.heard(said)
            else:
                self.left.put_nowait(message["id"])

    async def close(self) -> None:
        """It has ended."""


def _good(number: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":{}}' % number


def _silent(number: int) -> bytes:
    return b""


async def _ask(bridge: Bridge) -> tuple[int, Any]:
    """The status and the body of what control answers to a call of the child."""
    sent: list[MutableMapping[str, Any]] = []
    asked = [{"type": "http.request", "body": b'{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{}}'}]

    async def receive() -> MutableMapping[str, Any]:
        if asked:
            return asked.pop()
        await asyncio.Event().wait()
        raise AssertionError("nobody leaves")

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "POST", "path": HEAD + "one", "root_path": "", "headers": []}
    async with asyncio.timeout(5.0):
        await children_mount(lambda _name: bridge).app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(event.get("body", b"") for event in sent))


@pytest.mark.parametrize("case", _ANSWERS)
def test_what_is_no_answer_is_told_at_once_and_the_child_goes_on(case: str) -> None:
    pipes: list[_Pipe] = []

    async def launch(_spec: ChildSpec, hearing: Hearing) -> _Pipe:
        pipes.append(_Pipe(hearing))
        return pipes[-1]

    async def use() -> None:
        bridge = Bridge(ChildSpec("one", "none"), launch, ManualClock(), lambda *_: None)
        assert (await _ask(bridge))[0] == 200
        pipes[0].words = _silent
        other = asyncio.create_task(_ask(bridge))
        left = await pipes[0].left.get()
        pipes[0].words = lambda number: _ANSWERS[case] % number
        status, body = await _ask(bridge)
        assert (status, body["error"]["data"]["code"]) == (502, "upstream_torn")
        pipes[0].words = _good
        for noise in _NOISE:
            pipes[0].hearing.heard(noise)
        status, body = await _ask(bridge)
        assert (status, body["id"], len(pipes)) == (200, 9, 1)
        pipes[0].hearing.heard(_good(left))
        assert (await other)[0] == 200, "the others are not harmed"

    asyncio.run(use())


def test_a_child_that_asks_and_does_not_read_costs_no_more_than_so_many_answers() -> None:
    pipes: list[_Pipe] = []

    async def launch(_spec: ChildSpec, hearing: Hearing) -> _Pipe:
        pipes.append(_Pipe(hearing))
        return pipes[-1]

    async def use() -> None:
        bridge = Bridge(ChildSpec("one", "none"), launch, ManualClock(), lambda *_: None)
        await bridge.ready()
        pipes[0].reads.clear()
        for number in range(10_000):
            pipes[0].hearing.heard(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % number)
        assert len(asyncio.all_tasks()) < 2_000
        pipes[0].reads.set()
        assert (await _ask(bridge))[0] == 200

    asyncio.run(use())


@pytest.mark.parametrize("words", _ANSWERS.values(), ids=_ANSWERS)
def test_a_child_that_cannot_be_begun_with_is_told_to_be_so_at_once(words: bytes) -> None:
    async def launch(_spec: ChildSpec, hearing: Hearing) -> _Pipe:
        pipe = _Pipe(hearing)
        pipe.words = lambda number: words % number
        return pipe

    async def use() -> None:
        bridge = Bridge(ChildSpec("one", "none"), launch, ManualClock(), lambda *_: None)
        status, body = await _ask(bridge)
        assert (status, body["error"]["data"]["code"]) == (502, "upstream_unavailable")

    asyncio.run(use())
