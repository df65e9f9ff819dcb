"""An upstream that sells tokens: it keeps ceilings, says in `usage` what it sent, and writes each call down.

`python -m jotgate.testing.token_upstream PORT --log FILE [--pace TOKENS_PER_SECOND]` is the twin of bench's
mock_upstream.c with the same options, whose opening lines say which words of a prompt it understands; it needs no
compiler.
"""

import argparse
import asyncio
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jotgate.testing.call_log import COMPLETE, GONE, CallLine, render_line
from jotgate.testing.upstream import pause, reset

BYTES_PER_TOKEN: Final = 4
_TOKEN: Final = "tok "
_MADE: Final = {True: 100, False: 24}
"""Tokens of a stream, and of a whole answer, when the prompt asks for no number."""
_EARLY: Final = frozenset({"torn", "reset", "error", "stall"})
_WORDS: Final = re.compile(r"\b(n|i|k|end)=(\w+)")
_REFUSAL: Final = b'{"error":{"message":"It was asked to refuse.","type":"server_error","param":null,"code":null}}'
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_REQUEST_ID: Final = re.compile(rb"(?i)\r\nx-request-id: *([^\r ]+)")


class _StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class _Body(Struct, frozen=True):
    n: int = 1
    stream: bool = False
    stream_options: _StreamOptions | UnsetType | None = UNSET
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class Order(Struct, frozen=True, kw_only=True):
    """What a call asks for. `made` are all of its tokens, `piece` those of one event, `pause_s` goes before each token.

    `stop_at`: after so many of them it ends early; None: it does not.
    """

    request_id: str
    stream: bool
    usage: bool
    ceiling: int | None
    choices: int
    prompt: int
    made: int
    piece: int
    pause_s: float
    stop_at: int | None
    ending: str

    def line(self, written: int, ending: str) -> CallLine:
        """What is written down of it."""
        return CallLine(
            self.request_id,
            "stream" if self.stream else "unary",
            self.ceiling,
            self.prompt,
            written if self.stream else self.made,
            ending,
        )

    @property
    def finish_reason(self) -> str:
        """Why its text ends."""
        return "length" if self.ceiling is not None and self.made >= self.ceiling * self.choices else "stop"

    @property
    def usage_member(self) -> dict[str, object]:
        """What it cost, as a member of an answer; nothing when nothing is said."""
        if not self.usage:
            return {}
        counts = {"prompt_tokens": self.prompt, "completion_tokens": self.made, "total_tokens": self.prompt + self.made}
        return {"usage": counts}


def read_order(head: bytes, body: bytes, pause_s: float) -> Order:
    """Read what is asked for; `pause_s` is for a prompt that does not say how long a token takes."""
    asked = msgspec.json.decode(body, type=_Body)
    words = dict(_WORDS.findall(body.decode()))
    ending = _ending(words.get("end", ""), stream=asked.stream)
    ceiling = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    made = int(words.get("n", _MADE[asked.stream]))
    if ceiling is not None and ending != "over":
        made = min(made, ceiling)
    if ending == "hang" or ending.isdecimal():
        made = 0
    made *= asked.n
    named = _REQUEST_ID.search(head)
    wants_usage = isinstance(asked.stream_options, _StreamOptions) and asked.stream_options.include_usage
    return Order(
        request_id=named[1].decode() if named else "-",
        stream=asked.stream,
        usage=(wants_usage or not asked.stream) and ending != "silent",
        ceiling=ceiling,
        choices=asked.n,
        prompt=len(body) // BYTES_PER_TOKEN + 1,
        made=made,
        piece=int(words.get("k", 1)),
        pause_s=int(words["i"]) / 1e6 if "i" in words else pause_s,
        stop_at=made // 2 if ending in _EARLY else None,
        ending=ending or COMPLETE,
    )


def _ending(word: str, *, stream: bool) -> str:
    """A whole answer cannot fail in its middle: it is refused, or never comes."""
    return word if stream else {"error": "500", "stall": "hang"}.get(word, word)


class TokenUpstream:
    """The server; `told` is called with each call that is over."""

    def __init__(self, told: Callable[[CallLine], None], tokens_per_s: int = 0) -> None:
        self.told = told
        self.pause_s = 1 / tokens_per_s if tokens_per_s else 0.0
        self._lines: set[_Line] = set()

    async def serve(self, port: int, stop: asyncio.Event) -> None:
        """Serve until it is told to stop; what is under way then is over."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Line(self, self._lines), "127.0.0.1", port, backlog=1024)
        await stop.wait()
        server.close()
        for line in tuple(self._lines):
            line.end()


class _Line(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, server: TokenUpstream, lines: "set[_Line]") -> None:
        self._server = server
        self._lines = lines
        self._bytes = b""
        self._order: Order | None = None
        self._written = 0
        self._room = asyncio.Event()
        self._room.set()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(0)  # What is written is what the system has taken.
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if self._answering is not None:
            self._answering.cancel()
        self._tell(GONE)
        self._lines.discard(self)

    def end(self) -> None:
        """Be over at once."""
        self._tell(GONE)
        self.transport.abort()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        head, found, rest = self._bytes.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(rest) < (int(length[1]) if length else 0):
            return
        self._bytes = b""
        if not head.startswith(b"POST "):
            self.transport.write(_whole(200, b"{}"))
            return
        self._order = read_order(head, rest, self._server.pause_s)
        self._written = 0
        self._answering = asyncio.get_running_loop().create_task(self._answer(self._order))

    async def _answer(self, order: Order) -> None:
        if order.ending.isdecimal():
            await self._write(_whole(int(order.ending), _REFUSAL))
        elif order.ending != "hang":
            await (self._stream(order) if order.stream else self._make(order))
        self._tell(order.ending)
        if order.ending == "torn":
            self.transport.close()
        elif order.ending == "reset":
            reset(self.transport)

    def _tell(self, ending: str) -> None:
        """Write the call down, once."""
        order, self._order = self._order, None
        if order is not None:
            self._server.told(order.line(self._written, ending))

    async def _make(self, order: Order) -> None:
        if order.pause_s:
            await pause(order.pause_s * order.made)
        answer = _whole(200, _json({**_opening("chat.completion"), **_choice(order), **order.usage_member}))
        await self._write(answer if order.stop_at is None else answer[: len(answer) // 2])

    async def _stream(self, order: Order) -> None:
        await self._write(_STREAM_HEAD)
        for piece, index in _pieces(order):
            if order.pause_s:
                await pause(order.pause_s * piece)
            await self._room.wait()
            self._written += piece
            await self._write(_text(index, piece))
        if order.ending == "error":
            await self._write(_event({"error": {"message": "It failed.", "type": "server_error"}}) + b"0\r\n\r\n")
        elif order.stop_at is None:
            await self._write(_end_of_stream(order))

    async def _write(self, data: bytes) -> None:
        """Write, and wait until the system has taken it."""
        self.transport.write(data)
        await self._room.wait()


def _pieces(order: Order) -> Iterator[tuple[int, int]]:
    """The tokens of each event, and the choice that it is of."""
    end = order.made if order.stop_at is None else order.stop_at
    for number, made in enumerate(range(0, end, order.piece)):
        yield min(order.piece, end - made), number % order.choices


def _opening(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-0", "object": kind, "created": 1763800000, "model": "gpt-4o-mini"}


def _choice(order: Order) -> dict[str, object]:
    message = {"role": "assistant", "content": f"{order.made} tokens"}
    return {"choices": [{"index": 0, "message": message, "finish_reason": order.finish_reason}]}


def _text(index: int, tokens: int) -> bytes:
    choice = {"index": index, "delta": {"content": _TOKEN * tokens}, "finish_reason": None}
    return _event({**_opening("chat.completion.chunk"), "choices": [choice]})


def _end_of_stream(order: Order) -> bytes:
    opening = _opening("chat.completion.chunk")
    ends = [{"index": index, "delta": {}, "finish_reason": order.finish_reason} for index in range(order.choices)]
    last = _event({**opening, "choices": [], **order.usage_member}) if order.usage else b""
    done = b"data: [DONE]\n\n"
    events = b"".join(_event({**opening, "choices": [end]}) for end in ends)
    return events + last + b"%x\r\n%b\r\n0\r\n\r\n" % (len(done), done)


def _event(members: object) -> bytes:
    text = b"data: %b\n\n" % _json(members)
    return b"%x\r\n%b\r\n" % (len(text), text)


def _whole(status: int, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d Told\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _json(members: object) -> bytes:
    return msgspec.json.encode(members)


@contextmanager
def _ended_by(signal_number: int, act: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal_number, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal_number)


async def _run(port: int, log: IO[str], tokens_per_s: int) -> None:
    stop = asyncio.Event()
    with _ended_by(signal.SIGTERM, stop.set):
        await TokenUpstream(lambda line: _put(log, line), tokens_per_s).serve(port, stop)


def _put(log: IO[str], line: CallLine) -> None:
    log.write(render_line(line))


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m jotgate.testing.token_upstream")
    parser.add_argument("port", type=int)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--pace", type=int, default=0, help="tokens per second of each call that does not say it")
    options = parser.parse_args()
    with options.log.open("a", buffering=1) as log:
        asyncio.run(_run(options.port, log, options.pace))
    return 0


if __name__ == "__main__":
    sys.exit(main())
