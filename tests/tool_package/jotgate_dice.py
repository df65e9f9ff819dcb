"""A package as others write one, whose entry points of the group `jotgate.tools` tests have called as tools."""

import asyncio
import os
import threading
from pathlib import Path
from typing import NoReturn

from jotgate.sdk.tools import ToolCaller, ToolError

UNFIT = 7


async def greet(who: ToolCaller, greeting: str = "Hello") -> str:
    """Greet whoever calls."""
    return f"{greeting}, {who.subject} ({who.role})"


def add(numbers: list[int], *, half: bool = False) -> dict[str, object]:
    """Add whole numbers."""
    print("a print meets no message")
    return {"sum": sum(numbers) / (2 if half else 1), "secret": os.environ.get("SUPABASE_JWT_SECRET")}


async def wait(mark: str) -> None:
    """Wait to be cancelled."""
    _note(mark, "runs")
    try:
        await asyncio.Event().wait()
    finally:
        _note(mark, "cancelled")


def fail() -> NoReturn:
    """Break."""
    raise ValueError("the password is hunter2")


def refuse() -> NoReturn:
    """Refuse, in words for the caller."""
    raise ToolError("there is no such die")


def flood() -> str:
    """Say more than is taken."""
    return "x" * 70_000


def odd(what: str) -> object:
    """Return what is no JSON, or raise what cannot be told."""
    if what == "surrogate":
        return "\ud800"
    if what == "error":
        raise ToolError("\ud800")
    return object()


def die() -> NoReturn:
    """End the process."""
    os._exit(3)


def stick() -> None:
    """Never end."""
    print("stuck", flush=True)
    threading.Event().wait()


def _note(mark: str, text: str) -> None:
    Path(mark).write_text(text)
