"""What stands behind and beside a gateway whose sockets are measured: `python -m bench.soak.socket_peers ROLE [PORT]`.

`upstream` answers each event of the Realtime API; `relay` passes what is said on to the upstream at PORT, and nothing
else: the least that a relay made of the library `websockets` can do. Either says its port, and ends with its stdin.
"""

import asyncio
import sys

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.server import allow_many_files
from jotgate.testing.realtime import realtime_upstream


async def main(role: str, port: int) -> None:
    """Serve until stdin ends."""
    if role == "upstream":
        async with realtime_upstream() as upstream:
            await _stay(upstream.port)
        return

    async def relay(caller: ServerConnection) -> None:
        assert caller.request is not None, "its handshake is done"
        url = f"ws://127.0.0.1:{port}{caller.request.path}"
        async with connect(url, compression=None) as upstream, asyncio.TaskGroup() as group:
            group.create_task(_pass_on(caller, upstream))
            group.create_task(_pass_on(upstream, caller))

    async with serve(relay, "127.0.0.1", 0, compression=None) as server:
        await _stay(next(iter(server.sockets)).getsockname()[1])


async def _pass_on(one: ServerConnection | ClientConnection, other: ServerConnection | ClientConnection) -> None:
    try:
        async for message in one:
            await other.send(message)
    except ConnectionClosed:
        pass
    await other.close()


async def _stay(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    allow_many_files()
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
