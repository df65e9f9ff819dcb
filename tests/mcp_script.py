"""MCP servers that say what a test has written down: of both eras at one origin, with streams that a test speaks on."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any, Final

from tests.mcp_clients import LEGACY, STATELESS
from tests.mcp_stage import tool

_DEEP: Final = b"[" * 100_000 + b"]" * 100_000
HOSTILE: Final[Mapping[str, bytes]] = {
    "not utf-8": b'{"jsonrpc":"2.0","id":ID,"result":{"tools":[],"protocolVersion":"\xff"}}',
    "too deep": b'{"jsonrpc":"2.0","id":ID,"result":{"tools":%b}}' % _DEEP,
    "a list that is none": b'{"jsonrpc":"2.0","id":ID,"result":{"tools":5,"supportedVersions":5,"protocolVersion":5}}',
    "a result that is none": b'{"jsonrpc":"2.0","id":ID,"result":[]}',
    "a code of text": b'{"jsonrpc":"2.0","id":ID,"error":{"code":"x"}}',
    "an error of text": b'{"jsonrpc":"2.0","id":ID,"error":"text"}',
    "nothing": b'{"jsonrpc":"2.0","id":ID}',
    "no object": b'["id",ID]',
}
"""What no server may answer; `ID` is the id of what it was asked."""
TOOLS: Final = [tool("act"), tool("look", readOnlyHint=True)]


class Script:
    """What the servers say. Mutable: what is said to which method in place of an answer, and what was heard.

    `/old…` are of the older era, others of the stateless one. `speak` says something on all streams that wait.
    """

    def __init__(self) -> None:
        self.said: dict[str, bytes] = {}
        self.media_type = "application/json"
        self.coding = ""
        self.status = 200
        self.session = ""
        """What a session is called, in place of a name of its own."""
        self.replayed: dict[str, bytes] = {}
        """What is said again, by `Last-Event-ID`."""
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.streams: list[tuple[str, SimpleQueue[bytes | None]]] = []
        """The streams that were opened, each by its session."""
        self._sessions = 0
        self._lock = threading.Lock()

    def speak(self, message: object, stream: str = "") -> None:
        """Say a message, or bytes as they are, on the stream of a session; on all without one."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        for name, queue in tuple(self.streams):
            if stream in ("", name):
                queue.put(b"id: e\ndata: %b\n\n" % data)

    def listen(self, name: str) -> "SimpleQueue[bytes | None]":
        """What is said on one more stream."""
        queue: SimpleQueue[bytes | None] = SimpleQueue()
        self.streams.append((name, queue))
        return queue

    def answer(self, path: str, message: Any) -> tuple[int, bytes, str]:
        """The status of an answer, its content, and the session that it begins."""
        method, identity, session = message.get("method", ""), message.get("id"), ""
        if identity is None:
            return 202, b"", ""
        if method in self.said:
            return self.status, self.said[method].replace(b"ID", json.dumps(identity).encode()), ""
        old = path.startswith("/old")
        result = _result(method, message.get("params", {}), old=old)
        if result is None:
            error = {"code": -32601, "message": "no such method"}
            return (200 if old else 404), _message(identity, error=error), ""
        if old and method == "initialize":
            with self._lock:
                self._sessions += 1
                session = self.session or f"session-{self._sessions}"
        return 200, _message(identity, result=result if old else {"resultType": "complete", **result}), session


def _result(method: str, params: Any, *, old: bool) -> dict[str, object] | None:
    if method == ("initialize" if old else "server/discover"):
        about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "script", "version": "1"}}
        return {**about, **({"protocolVersion": LEGACY} if old else {"supportedVersions": [STATELESS]})}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": params["name"]}]}
    return None


def _message(identity: object, **members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": identity, **members}).encode()


@contextmanager
def scripted() -> Iterator[tuple[Script, str]]:
    """The servers, and their origin."""
    script = Script()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Nobody reads it: a gateway may close a connection when it likes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            fields = {name.lower(): value for name, value in self.headers.items()}
            script.heard.append(("GET", fields))
            session, last = fields.get("mcp-session-id", ""), fields.get("last-event-id", "")
            self._stream(session, script.replayed.get(last, b""))

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.heard.append((message.get("method", ""), {}))
            if message.get("method") == "subscriptions/listen":
                self._stream("listen", b"")
                return
            status, body, session = script.answer(self.path, message)
            if script.media_type == "text/event-stream":
                body = b"data: %b\n\n" % body
            self.send_response(status)
            self.send_header("Content-Type", script.media_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (("Mcp-Session-Id", session), ("Content-Encoding", script.coding)):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, name: str, begun: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            queue = script.listen(name)
            self.wfile.write(b": open\n\n" + begun)
            while (piece := queue.get()) is not None:
                self.wfile.write(piece)
            self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        for _, queue in script.streams:
            queue.put(None)
        server.shutdown()
        server.server_close()
        thread.join()
