"""A child process that nobody hears any more is ended, and whoever waits for it is told."""

import asyncio
from pathlib import Path

from jotgate.core.mcp_children import ChildSpec
from jotgate.processes.mcp_child import Launcher


class _Deaf:
    """Fails at the first line (services.mcp_bridge.Hearing). Mutable: how the child has ended."""

    def __init__(self) -> None:
        self.how: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def heard(self, line: bytes) -> None:
        raise RecursionError(line)

    def ended(self, how: str) -> None:
        self.how.set_result(how)


def test_a_child_whose_reader_fails_is_killed_and_said_to_have_ended() -> None:
    async def use() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        deaf = _Deaf()
        spec = ChildSpec("one", "cat")
        child = await Launcher({"PATH": "/usr/bin:/bin"}, Path())(spec, deaf)
        await child.write(b"what it says again")
        async with asyncio.timeout(10.0):
            how = await deaf.how
        await child.close()
        return how

    assert "SIGKILL" in asyncio.run(use())
