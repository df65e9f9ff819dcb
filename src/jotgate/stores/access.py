"""Ways to the store from an event loop: on threads of its own, or, where nothing waits, right here."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from jotgate.store_ports import Store

_Result = TypeVar("_Result")


class ThreadedAccess:
    """Asks a store on as many threads as it takes calls at once (ports.StoreAccess).

    A caller that is cancelled no longer waits; what it asked for is still done.
    """

    def __init__(self, store: Store, threads: int) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        """Do `work` on a thread of the store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, self._store)

    def close(self) -> None:
        """Wait for what was asked, then let go of the store."""
        self._threads.shutdown()
        self._store.close()


class DirectAccess:
    """Asks a store that never waits, which is the one in memory, without leaving the loop (ports.StoreAccess)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        """Do `work` now."""
        return work(self._store)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()
