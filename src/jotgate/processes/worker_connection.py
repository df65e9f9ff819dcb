"""Control's end of one connection to a worker: frames in, frames out, and what is under way for it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Final, cast

import msgspec

from jotgate.core.forms import FormAsked
from jotgate.errors import AuditUnavailable
from jotgate.processes.console import say
from jotgate.processes.frames import FrameReader, FrameWriter
from jotgate.processes.messages import FRAME_BYTES_MAX, Hello, Settled

_UNSENT_BYTES_MAX: Final = 2 * FRAME_BYTES_MAX


class WorkerConnection(asyncio.Protocol):
    """One worker. Mutable: what it sent, what of that was confirmed, and what it waits for."""

    transport: asyncio.Transport

    def __init__(self, received: Callable[["WorkerConnection", bytes | bytearray], None], lost: "_Told") -> None:
        self._received = received
        self._lost = lost
        self._frames = FrameReader(FRAME_BYTES_MAX)
        self._writer = FrameWriter(self._write)
        self._drained = asyncio.Event()
        self._drained.set()
        self.hello: Hello | None = None
        self.greeted = False
        self.settled: Settled | None = None
        self.taken = 0
        self.confirmed = 0
        self.questions: dict[_Key, asyncio.Task[None]] = {}
        self.forms: deque[FormAsked] = deque()
        self.answering: set[asyncio.Task[None]] = set()

    def ask(self, key: "_Key", answer: Coroutine[None, None, None]) -> None:
        """Answer a question of this worker, unless that is being done already."""
        if key in self.questions:
            answer.close()
            return
        question = asyncio.get_running_loop().create_task(answer)
        self.questions[key] = question
        question.add_done_callback(lambda _: self.questions.pop(key, None))

    def send(self, message: bytes) -> None:
        """Send a frame, with the others of this turn of the loop, if anybody is there still."""
        self._writer.put(message)

    def close(self) -> None:
        """Send what was to be sent, and close."""
        self._writer.flush()
        self.transport.close()

    def _write(self, message: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() > _UNSENT_BYTES_MAX:
            self.transport.abort()  # It reads nothing; its supervisor will see to it.
            return
        self.transport.write(message)

    async def drained(self) -> None:
        """Wait until what was sent is mostly on its way."""
        await self._drained.wait()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are ones without saying so

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                self._received(self, payload)
        except (ValueError, msgspec.DecodeError) as error:  # UnicodeDecodeError is a ValueError
            say(f"a worker broke the rules of the bus and is cut off: {error}")
            self.transport.abort()
        except AuditUnavailable:
            self.transport.abort()

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self._drained.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        self.forms.clear()
        self._drained.set()  # If the worker died, the supervisor says so.
        self._lost(self)


_Key = tuple[str, str | bytes | int]
_Told = Callable[[WorkerConnection], None]
