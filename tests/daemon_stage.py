"""A running MCP daemon for tests, what is said to it, and how a connection to it ends."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from jotgate.testing.running import Gateway, running_gateway
from jotgate.testing.upstream import UpstreamServer, upstream_in_thread
from tests.daemons import SECRET, WITHIN_S
from tests.mcp_stage import ToolServers, tool, tool_servers

LEGACY: Final = "the-older-token-of-the-daemon"
_SETTINGS: Final = """
[[upstreams]]
name = "slow"
kind = "openai"
base_url = "{base_url}"
models = ["slow-model"]
[[mcp.servers]]
name = "files"
url = "{origin}/mcp/files"
pins = "off"
[cors]
origins = ["https://console.example"]
[mcp_daemon]
model = "echo"
connections_per_subject = 3
connections_per_address = 6
[mcp_daemon.roles]
reader = ["chat", "files_read*"]
"""
CHAT: Final = {"tool": "chat", "arguments": {"message": "hello"}}
SLOW: Final = {"message": "hello", "model": "slow-model"}


class Stage:
    """A daemon with an older token and a time of grace, a model that answers as told, and an MCP server."""

    def __init__(self, gateway: Gateway, model: UpstreamServer, servers: ToolServers) -> None:
        self.gateway = gateway
        self.model = model
        self.servers = servers
        self.url = gateway.read_line_with("The preset mcp-daemon serves").split()[-1]

    def open(self, token: str = "", *protocols: str) -> AbstractAsyncContextManager[ClientConnection]:
        offered: Any = list(protocols) or None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return connect(self.url.replace("http:", "ws:"), additional_headers=headers, subprotocols=offered)

    def call(self, token: str, body: object) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        found = httpx.post(self.url + "/call", headers=headers, json=body, timeout=WITHIN_S, trust_env=False)
        return found.status_code, found.json()


async def ask(connection: ClientConnection, frame: object) -> Any:
    await connection.send(json.dumps(frame))
    return json.loads(await connection.recv())


async def ending(connection: ClientConnection) -> tuple[int, str, list[Any]]:
    """The code and the reason with which it is closed, and what was said before."""
    said = []
    try:
        while True:
            said.append(json.loads(await connection.recv()))
    except ConnectionClosed:
        return connection.close_code or 0, connection.close_reason or "", said


@contextmanager
def daemon_stage() -> Iterator[Stage]:
    """One that has two workers."""
    soon = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    with upstream_in_thread() as model, tool_servers() as (servers, origin):
        servers.tools["files"] = [tool("read_file"), tool("write_file")]
        environment = {
            "EXAI_WS_PORT": "0",
            "SUPABASE_JWT_SECRET": SECRET,
            "EXAI_WS_HELLO_TIMEOUT": "1",
            "EXAI_WS_TOKEN": LEGACY,
            "JWT_GRACE_UNTIL": soon,
        }
        settings = _SETTINGS.format(base_url=model.base_url, origin=origin)
        with running_gateway(settings, "--preset", "mcp-daemon", "--workers", "2", environment=environment) as gateway:
            yield Stage(gateway, model, servers)


def play(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[Stage], None]:
    """A test that runs in an event loop of its own."""

    def run(stage: Stage) -> None:
        asyncio.run(asyncio.wait_for(test(stage), WITHIN_S))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
