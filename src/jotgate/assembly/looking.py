"""Looks at the store again and again for what is new there, and says so once when that fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from jotgate.errors import JotgateError, StoreUnavailable
from jotgate.processes.console import log_error, say

POLL_S: Final = 0.25
"""How often the store is asked whether something is new."""


class Looking:
    """What keeps a feed current. Mutable: the fault that was told last.

    `look` asks the store; what it raises is told as `lost`, the event `event`, unless it is that the store does not
    answer, which `StoreFeed` tells of.
    """

    def __init__(self, look: Callable[[], Awaitable[None]], *, lost: str, event: str) -> None:
        self._look = look
        self._lost = lost
        self._event = event
        self._fault = ""

    async def keep(self) -> None:
        """Look four times a second until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._look()
            except StoreUnavailable:
                continue
            except JotgateError as error:
                self._complain(error)
            else:
                self._fault = ""

    def _complain(self, error: JotgateError) -> None:
        if error.message != self._fault:
            say(self._lost, event=self._event, level="error")
            log_error(error)
        self._fault = error.message
