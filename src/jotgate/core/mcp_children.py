"""MCP servers that are child processes of control: where workers find them, and what they are started with."""

from typing import Final

from msgspec import Struct

from jotgate.core.mcp_entries import McpEntry

HEAD: Final = "/internal/mcp/"
"""Below this path control answers workers for its children; nothing of the edge leads there."""


class ChildSpec(Struct, frozen=True):
    """One child. `env` are the names of the variables that it is given of control's own, `memory_mib` 0 is no bound.

    Without a `command` it is jotgate's own, and calls the functions of the entry points in `python`.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ("PATH",)
    directory: str = ""
    memory_mib: int = 0
    open_files: int = 1_024
    message_bytes: int = 33_554_432
    python: tuple[str, ...] = ()


def child_path(upstream: str) -> str:
    """Where a worker finds the child of this upstream's name."""
    return HEAD + upstream.removeprefix("mcp:")


def compile_children(entry: McpEntry) -> tuple[ChildSpec, ...]:
    """The children that the settings ask for."""
    return tuple(
        ChildSpec(
            name=one.name,
            command=one.command,
            args=one.args,
            env=one.env,
            directory=one.directory,
            memory_mib=one.memory_mib,
            open_files=one.open_files,
            message_bytes=one.message_bytes,
            python=one.python,
        )
        for one in entry.servers
        if one.is_child
    )
