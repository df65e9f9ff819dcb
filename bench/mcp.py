"""What the way to an MCP server costs: the latency that a tool call gains, and what open subscriptions take.

A call is sent to the server itself and through the gateway in turn, on a kept connection each; the difference of the
medians is what the way adds.
"""

import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.errors import BenchError
from bench.jotgate import run_jotgate, start_jotgate
from bench.memory import read_memory
from bench.server import Server, free_port, launch, running
from bench.summary import Summary, summarise

CONFIGURATION: Final = """\
[limits]
connections_per_address = 65536
[[mcp.servers]]
name = "bench"
url = "http://127.0.0.1:{port}/mcp"
"""
_WITHIN_S: Final = 30.0
_WARM: Final = 200
_EVENT: Final = b"data:"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True, slots=True)
class McpCost:
    """Microseconds that the gateway added to the median call, one figure a round, and KiB (PSS) a subscription took."""

    calls: int
    subscriptions: int
    added_us: list[float]
    subscription_kib: float

    def summaries(self) -> dict[str, Summary | None]:
        """The figures that gates stand on."""
        return {"mcp_added_us": summarise(self.added_us), "mcp_stream_kib": summarise([self.subscription_kib])}


def measure_mcp(folder: Path, cores: tuple[int, int], rounds: int, calls: int, subscriptions: int) -> McpCost:
    """Start both and measure. `cores` are the load's, which is the server's too, and jotgate's.

    Raises:
        BenchError: an answer was none.
    """
    folder.mkdir()
    with ExitStack() as stack:
        behind = stack.enter_context(running(_start_server(folder, cores[0])))
        configuration = folder / "jotgate.toml"
        configuration.write_text(CONFIGURATION.format(port=behind.port))
        installation = folder / "data"
        gateway = stack.enter_context(running(start_jotgate(installation, configuration, cores[1])))
        token = run_jotgate(
            "token", "create", "--subject", "bench", "--scope", "mcp:bench:*", "--data", str(installation)
        ).strip()
        straight = stack.enter_context(_Calls(behind.port, "/mcp", token))
        through = stack.enter_context(_Calls(gateway.port, "/mcp/bench", token))
        for one in (straight, through):
            one.take(_WARM)
        added = [through.take(calls) - straight.take(calls) for _ in range(rounds)]
        return McpCost(calls, subscriptions, added, _subscription_kib(gateway, token, subscriptions))


def _start_server(folder: Path, core: int) -> Server:
    port = free_port()
    command: list[str | Path] = [sys.executable, "-P", Path(__file__).with_name("mcp_server.py"), str(port)]
    server = launch("MCP server", port, command, folder / "server.log", core)
    server.wait_until(server.accepts)
    return server


class _Calls:
    """Tool calls on one connection, one after another."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), _WITHIN_S)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = _render(path, token, "tools/call", {"name": "echo", "arguments": {"text": "hello"}})

    def __enter__(self) -> "_Calls":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def take(self, count: int) -> float:
        """The median of so many calls, in microseconds. Raises BenchError."""
        return median(self._call() for _ in range(count))

    def _call(self) -> float:
        begun = time.perf_counter()
        self._connection.sendall(self._request)
        answer = b""
        while b'"hello"' not in answer:
            piece = self._connection.recv(65_536)
            if not piece or answer.startswith(b"HTTP/1.1 4"):
                raise BenchError(f"a tool call was answered with {answer[:200]!r}")
            answer += piece
        return (time.perf_counter() - begun) * 1e6


def _subscription_kib(gateway: Server, token: str, count: int) -> float:
    """What each open subscription took of all memory of the gateway. Raises BenchError."""
    filter_ = {"notifications": {"toolsListChanged": True}}
    request = _render("/mcp/bench", token, "subscriptions/listen", filter_)
    with ExitStack() as stack:

        def open_some(some: int) -> None:
            opened = [stack.enter_context(_connect(gateway.port, request)) for _ in range(some)]
            for connection in opened:
                _await_event(connection)

        open_some(16)  # What the first ones have loaded stays, and is no subscription's.
        return _grown_kib(gateway, lambda: open_some(count)) / count


def _grown_kib(server: Server, thing: Callable[[], None]) -> float:
    before = read_memory(server.pid)
    thing()
    return (read_memory(server.pid).pss_mib - before.pss_mib) * 1_024


def _connect(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), _WITHIN_S)
    connection.sendall(request)
    return connection


def _await_event(connection: socket.socket) -> None:
    received = b""
    while _EVENT not in received:
        piece = connection.recv(65_536)
        if not piece:
            raise BenchError("a subscription was closed before it was acknowledged")
        received += piece


def _render(path: str, token: str, method: str, params: Mapping[str, object]) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": _META}}).encode()
    name = f"Mcp-Name: {params['name']}\r\n" if "name" in params else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
