"""A gateway in front of the scripted upstream of WebSockets, and what is said on a connection to it."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from jotgate.testing.realtime import RealtimeUpstream
from jotgate.testing.running import Gateway


class Stage:
    """A gateway in front of the upstream, in one event loop of the test's."""

    def __init__(self, gateway: Gateway, upstream: RealtimeUpstream) -> None:
        self.gateway = gateway
        self.upstream = upstream

    def open(self, token: str, *protocols: str, model: str = "talk") -> AbstractAsyncContextManager[ClientConnection]:
        """A connection with its token in the header, or among the subprotocols."""
        url = self.gateway.url.replace("http:", "ws:") + f"/v1/realtime?model={model}"
        headers = {} if protocols else {"Authorization": f"Bearer {token}"}
        offered: Any = list(protocols) or None
        return connect(url, additional_headers=headers, subprotocols=offered, compression=None)


async def event(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """The next event of a type."""
    while True:
        found: dict[str, Any] = json.loads(await connection.recv())
        if found["type"] == kind:
            return found


async def closed(connection: ClientConnection) -> int:
    """The code with which it is closed; events before that are passed over."""
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        return connection.close_code or 0
