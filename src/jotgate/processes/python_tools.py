"""Serves functions of installed packages as a server of MCP, over its input and output; it is a child of control.

It is run as `python -m jotgate.processes.python_tools MESSAGE_BYTES NAME …`, by the names of entry points. What the
functions print goes to stderr, which is in the log of control. What they raise ends one call; what they do beside is
bounded by the limits of the process.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, Final, cast

import msgspec
from msgspec import Raw

from jotgate.core.mcp_eras import CANCELLED, DISCOVER
from jotgate.core.mcp_messages import Message, read_message
from jotgate.core.mcp_reader import UNREADABLE
from jotgate.core.tool_answers import answer, discovered, error, failed, listed, text_result
from jotgate.core.tool_callers import CALLER_KEY
from jotgate.errors import McpMalformed
from jotgate.mcp_refusals import RPC_INVALID_PARAMS
from jotgate.processes.python_functions import PythonTool, UnfitFunction, load
from jotgate.sdk.tools import ToolCaller, ToolError

THREADS: Final = 32
"""So many functions that are not async run at once; the others wait."""
_LINE_BYTES_MAX: Final = 1 << 30
_ERROR_CHARS_MAX: Final = 1_000
_NOTHING: Final = Raw(b"{}")
_UNKNOWN_METHOD: Final = -32601
_STUCK: Final = 70
_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, Raw]


class PythonServer:
    """The server. Mutable: the calls that run, and what runs in threads though nobody waits for it any more."""

    def __init__(self, tools: Iterable[PythonTool], output: BinaryIO, bytes_max: int) -> None:
        self._tools = {one.name: one for one in tools}
        self._output = output
        self._bytes_max = bytes_max
        self._running: dict[bytes, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(THREADS)
        self._left: set[Future[object]] = set()

    async def serve(self, lines: asyncio.StreamReader) -> None:
        """Answer what comes until there is no more."""
        while line := await lines.readline():
            try:
                self._take(read_message(line))
            except McpMalformed as fault:
                self._say(error(None, fault.rpc_code, fault.message))

    def _take(self, message: Message) -> None:
        if message.method == CANCELLED:
            task = self._running.get(bytes(message.params.get("requestId", b"")))
            if task is not None:
                task.cancel()
        elif message.is_request and message.id is not None:
            key = bytes(message.id)
            task = self._running[key] = asyncio.get_running_loop().create_task(self._answer(message))
            task.add_done_callback(partial(self._ended, message.id))

    def _ended(self, identity: Raw, task: "asyncio.Task[None]") -> None:
        """A call is over; one that has failed in a way of its own is answered all the same."""
        self._running.pop(bytes(identity), None)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self._say(answer(identity, _failure_of(fault)))

    async def _answer(self, message: Message) -> None:
        if message.method == DISCOVER:
            self._say(answer(message.id, discovered("python")))
        elif message.method == "tools/list":
            self._say(answer(message.id, listed(one.definition for one in self._tools.values())))
        elif message.method != "tools/call":
            self._say(error(message.id, _UNKNOWN_METHOD, "this server has tools alone"))
        elif message.name not in self._tools:
            self._say(error(message.id, RPC_INVALID_PARAMS, "there is no tool of this name"))
        else:
            await self._call(message, self._tools[message.name])

    async def _call(self, message: Message, tool: PythonTool) -> None:
        try:
            caller = msgspec.json.decode(message.meta.get(CALLER_KEY, _NOTHING), type=ToolCaller)
            arguments = tool.read(message.params.get("arguments", _NOTHING), caller)
        except UNREADABLE as fault:
            self._say(error(message.id, RPC_INVALID_PARAMS, f"the arguments are not those of this function: {fault}"))
            return
        told = answer(message.id, _result_of(await self._run(tool, arguments)))
        if len(told) >= self._bytes_max:
            told = answer(message.id, failed("the result of the tool is longer than message_bytes"))
        self._say(told)

    async def _run(self, tool: PythonTool, arguments: dict[str, object]) -> "asyncio.Future[object]":
        """What has come of a call; it is cancelled with whoever waits for it, as far as it can be."""
        thread: Future[object] | None = None
        running: asyncio.Future[object]
        if tool.is_async:
            running = asyncio.ensure_future(cast("Coroutine[object, object, object]", tool.function(**arguments)))
        else:
            thread = self._threads.submit(partial(tool.function, **arguments))
            running = asyncio.wrap_future(thread)
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            running.cancel()
            if thread is not None and thread.running():
                self._leave(thread)
            raise
        return running

    def _leave(self, thread: "Future[object]") -> None:
        """No thread can be ended. When all are taken by what nobody waits for, the process ends, and is begun anew."""
        self._left = {one for one in self._left if not one.done()} | {thread}
        if len(self._left) >= THREADS:
            sys.stderr.write("every thread is taken by a cancelled call that does not end\n")
            sys.stderr.flush()
            os._exit(_STUCK)

    def _say(self, line: bytes) -> None:
        self._output.write(line + b"\n")
        self._output.flush()


def load_all(names: Iterable[str]) -> list[PythonTool]:
    """The tools of these entry points; those that are none are told on stderr and left out."""
    tools = []
    with ThreadPoolExecutor(1) as importing:
        for name in names:
            found = importing.submit(load, name)
            fault = found.exception()
            if fault is None:
                tools.append(found.result())
                continue
            if not isinstance(fault, UnfitFunction):
                traceback.print_exception(fault)
            sys.stderr.write(f"the entry point '{name}' is no tool: {fault}\n")
            sys.stderr.flush()
    return tools


async def _serve(tools: Iterable[PythonTool], pipes: tuple[int, int], bytes_max: int) -> None:
    lines = asyncio.StreamReader(_LINE_BYTES_MAX)
    source, sink = pipes
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(source, "rb"))
    with os.fdopen(sink, "wb") as output:
        await PythonServer(tools, output, bytes_max).serve(lines)


def _result_of(done: "asyncio.Future[object]") -> Members:
    """What a call has come to: a text as it is, else JSON."""
    fault = None if done.cancelled() else done.exception()
    if done.cancelled() or fault is not None:
        return _failure_of(fault)
    value = done.result()
    try:
        if isinstance(value, str):
            return text_result(value)
        encoded = _encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as unfit:
        return _failure_of(unfit)
    return text_result(encoded.decode(), Raw(encoded) if encoded.startswith(b"{") else None)


def _failure_of(fault: BaseException | None) -> Members:
    """What a caller is told: of an exception its kind alone, as its text may be nobody's but the operator's."""
    if isinstance(fault, ToolError):
        text = str(fault)[:_ERROR_CHARS_MAX].encode(errors="replace").decode()
        return failed(text or "the tool has failed")
    if fault is None:
        return failed("the tool has given up")
    traceback.print_exception(fault)
    sys.stderr.flush()
    return failed(f"the tool has failed: {type(fault).__name__}")


def main(arguments: list[str]) -> None:
    """Serve until the input ends. Nothing that a function prints or reads meets the messages."""
    bytes_max, *names = arguments
    source, sink = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    asyncio.run(_serve(load_all(names), (source, sink), int(bytes_max)))
    os._exit(0)  # Threads that are left keep nobody.


if __name__ == "__main__":
    main(sys.argv[1:])
