"""A stateless MCP server that does next to nothing: run as `python mcp_server.py PORT`, standard library alone.

It answers what it is, one tool, calls of that tool, and subscriptions, which it acknowledges and keeps open.
"""

import asyncio
import json
import sys
from typing import Final

_VERSION: Final = "2026-07-28"
_TOOL: Final = {"name": "echo", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
_RESULTS: Final[dict[str, dict[str, object]]] = {
    "server/discover": {"supportedVersions": [_VERSION], "capabilities": {"tools": {"listChanged": True}}},
    "tools/list": {"tools": [_TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "hello"}]},
}
_STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection: a request at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._held) < end + 4 + length:
                return
            body, self._held = self._held[end + 4 : end + 4 + length], self._held[end + 4 + length :]
            self._answer(json.loads(body))

    def _answer(self, message: dict[str, object]) -> None:
        if message["method"] == "subscriptions/listen":
            params = {"_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]}, "notifications": {}}
            told = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}
            event = b"data: " + json.dumps(told).encode() + b"\n\n"
            self.transport.write(_STREAM + b"%x\r\n%b\r\n" % (len(event), event))
            return
        result = {"resultType": "complete", **_RESULTS[str(message["method"])]}
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2_048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
