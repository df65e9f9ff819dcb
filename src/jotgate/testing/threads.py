"""Runs a peer of a test in a loop and a thread of its own, for tests that have no loop."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final, TypeVar

_READY_S: Final = 10.0
_Peer = TypeVar("_Peer")


@contextmanager
def in_thread(peer: AbstractAsyncContextManager[_Peer]) -> Iterator[_Peer]:
    """Enter the peer there and leave it at the end. Raises TimeoutError when it is not ready within ten seconds."""
    started: Future[tuple[_Peer, asyncio.Event, asyncio.AbstractEventLoop]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with peer as entered:
            started.set_result((entered, stop, asyncio.get_running_loop()))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    entered, stop, loop = started.result(_READY_S)
    try:
        yield entered
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_READY_S)
