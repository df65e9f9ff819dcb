"""An OpenAI-shaped upstream that says back the last message: `python -m bench.soak.upstream PORT steady|flaky`.

A flaky one goes through a cycle for ever: it answers, it says 503, it refuses connections. While it refuses, those
that are open get their answers, with word that they will be closed.
"""

import asyncio
import json
import sys
from typing import Final

ANSWERS_S: Final = 1.0
UNWELL_S: Final = 0.4
REFUSES_S: Final = 0.4
EVENT_PAUSE_S: Final = 0.02
EVENTS: Final = 12


class Upstream:
    """The server. Mutable: whether it is unwell, whether it refuses."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._unwell = False
        self._refuses = False

    async def serve(self, *, flaky: bool) -> None:
        """Serve for ever."""
        server = await self._listen()
        while flaky:
            await asyncio.sleep(ANSWERS_S)
            self._unwell = True
            await asyncio.sleep(UNWELL_S)
            self._unwell, self._refuses = False, True
            server.close()
            await asyncio.sleep(REFUSES_S)
            self._refuses = False
            server = await self._listen()
        await server.serve_forever()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", self._port, reuse_address=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The gateway has closed it.
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body = json.loads(await reader.readexactly(length))
        goes_on = not self._refuses
        closing = b"" if goes_on else b"Connection: close\r\n"
        if self._unwell:
            writer.write(b"HTTP/1.1 503 Unwell\r\nContent-Length: 2\r\n%b\r\n{}" % closing)
        elif body.get("stream"):
            await self._stream(writer, body["messages"][-1]["content"], closing)
        else:
            writer.write(unary(body["messages"][-1]["content"], closing))
        await writer.drain()
        return goes_on

    async def _stream(self, writer: asyncio.StreamWriter, text: str, closing: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n%b\r\n" % closing
        )
        for _ in range(EVENTS):
            writer.write(event({"choices": [{"index": 0, "delta": {"content": text + " "}, "finish_reason": None}]}))
            await writer.drain()
            await asyncio.sleep(EVENT_PAUSE_S)
        writer.write(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        writer.write(event({"choices": [], "usage": USAGE}))
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


USAGE: Final = {"prompt_tokens": 1, "completion_tokens": EVENTS, "total_tokens": EVENTS + 1}


def unary(text: str, closing: bytes) -> bytes:
    """A whole answer."""
    content = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "said",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    body = json.dumps(content).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n" % (len(body), closing)
    return head + body


def event(members: dict[str, object]) -> bytes:
    """One event as one chunk."""
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "said", **members}
    text = b"data: %b\n\n" % json.dumps(whole).encode()
    return b"%x\r\n%b\r\n" % (len(text), text)


if __name__ == "__main__":
    asyncio.run(Upstream(int(sys.argv[1])).serve(flaky=sys.argv[2] == "flaky"))
