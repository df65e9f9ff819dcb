"""A worker's connection to control, when control goes."""

import asyncio
from pathlib import Path
from typing import Any, cast

from jotgate.processes.link import Link
from jotgate.processes.messages import UpstreamTokenRefused
from tests.loops import on_loop, until


def test_what_is_sent_while_control_goes_is_dropped_without_a_fault(tmp_path: Path) -> None:
    @on_loop
    async def play() -> None:
        loop = asyncio.get_running_loop()
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        path, told, ends = str(tmp_path / "s"), list[str](), list[asyncio.Transport]()

        class Control(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                ends.append(cast("asyncio.Transport", transport))

        server = await loop.create_unix_server(Control, path)
        link = Link(
            path, connected=lambda: told.append("connected"), received=lambda _: None, lost=lambda: told.append("lost")
        )
        keeping = loop.create_task(link.keep())
        await until(lambda: bool(told and ends))
        server.close()
        ends[0].abort()
        while "lost" not in told:
            assert link.send(UpstreamTokenRefused("coze", "s", b""))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        keeping.cancel()
        assert faults == []
        assert not link.send(UpstreamTokenRefused("coze", "s", b""))

    play()
