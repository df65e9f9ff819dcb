"""Runs an MCP server as a child process: its lines in and out, what it says on stderr, its end.

It has a session of its own, so that what it starts ends with it, and none of our environment but what is named.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from jotgate.core.mcp_children import ChildSpec
from jotgate.processes.offspring import describe_end
from jotgate.services.mcp_bridge import ChildGone, Hearing

_MODULE: Final = "jotgate.processes.mcp_launcher"
_PYTHON: Final = "jotgate.processes.python_tools"
_LINE_CHARS_MAX: Final = 1_000
_LEAVE_S: Final = 2.0
_JOURNAL: Final = logging.getLogger("jotgate")


class ChildProcess:
    """A running server (services.mcp_bridge.Pipe). Mutable: whether it was told to end."""

    def __init__(self, spec: ChildSpec, process: asyncio.subprocess.Process, hearing: Hearing) -> None:
        self._spec = spec
        self._process = process
        self._hearing = hearing
        self._closing = False
        self._turn = asyncio.Lock()
        self._reading = [
            asyncio.create_task(self._read_output()),
            asyncio.create_task(self._read_errors()),
        ]

    async def write(self, line: bytes) -> None:
        """Say one message."""
        stream = self._process.stdin
        assert stream is not None
        try:
            async with self._turn:
                stream.write(line + b"\n")
                await stream.drain()
        except (OSError, RuntimeError):
            raise ChildGone("the server's process takes nothing any more") from None

    async def close(self) -> None:
        """End it: by the end of its input, then SIGTERM, then SIGKILL, for all that it has started."""
        self._closing = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if await self._left():
                break
            self._signal(number)
        await self._left()
        self._signal(signal.SIGKILL)  # What it has started and left behind.
        for task in self._reading:
            task.cancel()

    async def _left(self) -> bool:
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _read_output(self) -> None:
        try:
            while line := await self._read_line():
                if line.strip():
                    self._hearing.heard(line.rstrip(b"\r\n"))
        finally:  # Whatever has ended this: a server whom nobody hears can say nothing any more.
            self._signal(signal.SIGKILL)
            status = await self._process.wait()
            if not self._closing:
                self._hearing.ended(describe_end(status))

    async def _read_line(self) -> bytes:
        """The next line of its output; empty: there is none, or it is too long."""
        stream = self._process.stdout
        assert stream is not None
        try:
            return await stream.readline()
        except ValueError:
            _JOURNAL.warning(
                "a message of the MCP server '%s' is longer than message_bytes; its process is ended",
                self._spec.name,
                extra={"event": "mcp_child"},
            )
            return b""

    async def _read_errors(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # A line without end; what it holds by now was thrown away.
            if not line:
                return
            text = line.decode("utf-8", "replace").strip()[:_LINE_CHARS_MAX]
            if text:
                extra = {"event": "mcp_child", "fields": {"server": self._spec.name}}
                _JOURNAL.info("the MCP server '%s' says: %s", self._spec.name, text, extra=extra)


class Launcher:
    """Starts servers, with nothing of this environment but what each is given by name."""

    def __init__(self, environment: Mapping[str, str], base: Path) -> None:
        self._environment = environment
        self._base = base

    async def __call__(self, spec: ChildSpec, hearing: Hearing) -> ChildProcess:
        """Start one; `directory` starts where the settings' file is. Raises ChildGone."""
        limits = [str(spec.memory_mib), str(spec.open_files), str(os.getpid())]
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", _MODULE, *limits, *_program(spec)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=spec.message_bytes,
                cwd=self._base / spec.directory,
                env={name: self._environment[name] for name in spec.env if name in self._environment},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ChildGone("the server's process cannot be started", debug=str(error)) from None
        return ChildProcess(spec, process, hearing)


def _program(spec: ChildSpec) -> tuple[str, ...]:
    """What is run, and its arguments."""
    if not spec.python:
        return (spec.command, *spec.args)
    # -P: the directory in which it works is none of which its modules are.
    return (sys.executable, "-P", "-m", _PYTHON, str(spec.message_bytes), *spec.python)
