"""Asynchronous tests on the event loop that workers use."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec

import uvloop

_Given = ParamSpec("_Given")
_PATIENCE_S: Final = 20.0


def on_loop(test: Callable[_Given, Coroutine[Any, Any, None]]) -> Callable[_Given, None]:
    """Run the test on a loop of its own, to its end within 20 s; nothing it left running outlives it."""

    @wraps(test)
    def run(*given: _Given.args, **named: _Given.kwargs) -> None:
        async def patiently() -> None:
            async with asyncio.timeout(_PATIENCE_S):
                await test(*given, **named)

        uvloop.run(patiently())

    return run


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until this is true."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)
