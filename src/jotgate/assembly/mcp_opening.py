"""Puts together what answers MCP clients in a worker."""

import asyncio

from jotgate.assembly.system import SystemEntropy
from jotgate.gateway.mcp_book import ToolBook
from jotgate.gateway.mcp_door import McpDoor
from jotgate.gateway.mcp_means import Means
from jotgate.gateway.mcp_metering import McpMetering
from jotgate.gateway.mcp_peers import Peers
from jotgate.gateway.mcp_pending import Work
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.ports import Clock


def open_mcp(
    gateway: Gateway, clock: Clock, recorder: CallRecorder, loop: asyncio.AbstractEventLoop, book: ToolBook
) -> McpDoor:
    """What a gateway answers MCP clients by, from now on; `book` is what is known of tools."""
    running: set[asyncio.Task[object]] = set()  # A loop itself forgets tasks that nobody holds.

    def spawn(work: Work) -> None:
        task = loop.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)

    means = Means(
        clock=clock,
        hub=gateway,
        recorder=recorder,
        metering=McpMetering(clock, gateway, recorder.trail, gateway.metered),
        peers=Peers(clock),
        book=book,
        entropy=SystemEntropy(),
        pending=set(),
        spawn=spawn,
    )
    door = McpDoor(means)
    gateway.serve_mcp(door)
    return door
