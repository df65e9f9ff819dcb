"""MCP servers whose tools a test changes, with a token endpoint beside them, and a gateway in front of them."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from jotgate.testing.running import Gateway, run_command, running_gateway
from tests.integration.exchanges import Answer, Caller

VERSION: Final = "2026-07-28"
_OF_SERVER: Final = "io.modelcontextprotocol/serverInfo"


def tool(name: str, description: str = "It works.", **hints: bool) -> dict[str, object]:
    """The definition of a tool."""
    found: dict[str, object] = {"name": name, "description": description, "inputSchema": {"type": "object"}}
    return {**found, "annotations": hints} if hints else found


class Heard(NamedTuple):
    """What a server was asked."""

    server: str
    method: str
    authorization: str
    body: Any


class ToolServers:
    """The servers by name, and the token endpoint `/token`. Mutable: tools, tokens, what was heard."""

    def __init__(self) -> None:
        self.tools: dict[str, list[dict[str, object]]] = {}
        self.accepted: dict[str, set[str]] = {}
        """The bearer tokens that a server takes; all without an entry."""
        self.forms: list[dict[str, str]] = []
        self.refresh_tokens: dict[str, str] = {}
        """Refresh token -> whose it is; each dies on use."""
        self.refusing = ""
        self.media_type = "application/json"
        self.heard: list[Heard] = []
        self._number = 0
        self._lock = threading.Lock()

    def answer(self, server: str, message: Any, authorization: str) -> tuple[int, object]:
        """The status of an answer, and its content."""
        with self._lock:
            self.heard.append(Heard(server, message.get("method", ""), authorization, message))
            taken = self.accepted.get(server)
            if taken is not None and authorization.removeprefix("Bearer ") not in taken:
                return 401, {"error": "invalid_token"}
            if message.get("method") == "initialize":  # It is of the stateless revision.
                return 404, {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}
            result: dict[str, object] = {"resultType": "complete", "_meta": {_OF_SERVER: {"name": server}}}
            if message.get("method") == "server/discover":
                result |= {"supportedVersions": [VERSION], "capabilities": {"tools": {}, "resources": {}}}
            elif message.get("method") == "tools/list":
                result |= {"tools": self.tools.get(server, []), "ttlMs": 0, "cacheScope": "public"}
            elif message.get("method") == "tools/call":
                result |= {"content": [{"type": "text", "text": message["params"]["name"]}]}
            return 200, {"jsonrpc": "2.0", "id": message.get("id"), "result": result}

    def grant(self, form: dict[str, str]) -> tuple[int, object]:
        """What the token endpoint says to a form."""
        with self._lock:
            self.forms.append(form)
            self._number += 1
            if self.refusing:
                return 400, {"error": self.refusing}
            if form["grant_type"] == "refresh_token":
                whose = self.refresh_tokens.pop(form["refresh_token"], "")
                if not whose:
                    return 400, {"error": "invalid_grant"}
                successor = f"refresh-{whose}-{self._number}"
                self.refresh_tokens[successor] = whose
                token = f"access-{whose}-{self._number}"
                return 200, {
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": 3600,
                    "refresh_token": successor,
                }
            return 200, {"access_token": f"access-{self._number}", "token_type": "Bearer", "expires_in": 3600}

    def calls(self, server: str) -> list[Heard]:
        """The calls of tools that a server has seen."""
        return [one for one in self.heard if one.server == server and one.method == "tools/call"]


@contextmanager
def tool_servers() -> Iterator[tuple[ToolServers, str]]:
    """The servers, and the origin at which they answer."""
    servers = ToolServers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/token":
                form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                status, content = servers.grant(form)
            else:
                server = self.path.removeprefix("/mcp/")
                status, content = servers.answer(server, json.loads(body), self.headers.get("Authorization", ""))
            octets = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", servers.media_type)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)
            self.wfile.flush()

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield servers, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class McpStage:
    """A gateway, and the servers behind it."""

    def __init__(self, gateway: Gateway, servers: ToolServers) -> None:
        self.gateway = gateway
        self.servers = servers
        self._tokens: dict[tuple[str, ...], str] = {}

    def token(self, *scopes: str, subject: str = "ann", audience: str = "") -> str:
        """A token with these scopes, made once."""
        key = (subject, audience, *scopes)
        if key not in self._tokens:
            options = [text for scope in scopes for text in ("--scope", scope)]
            options += ["--audience", audience] if audience else []
            self._tokens[key] = self.gateway.token(*options, subject=subject)
        return self._tokens[key]

    def ask(
        self,
        token: str,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        path: str = "/mcp/files",
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        """Send one stateless message."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        fields: dict[str, str | bytes] = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
        }
        if params and "name" in params:
            fields["Mcp-Name"] = str(params["name"])
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
        with closing(Caller(self.gateway, token)) as caller:
            return caller("POST", path, body, headers={**fields, **(headers or {})})

    def list(self, token: str, path: str = "/mcp/files") -> list[str]:
        """The tools that somebody is shown, in their order."""
        answer = self.ask(token, "tools/list", path=path)
        assert answer.status == 200, answer.body
        assert answer.json["result"]["cacheScope"] == "private"
        return [one["name"] for one in answer.json["result"]["tools"]]

    def call(self, token: str, name: str, path: str = "/mcp/files") -> Answer:
        """Call a tool."""
        return self.ask(token, "tools/call", {"name": name, "arguments": {}}, path=path)

    def command(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """What a command prints; its exit code is looked at."""
        done = run_command(*arguments, data=self.gateway.data, stdin=stdin)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr


_CONFIG: Final = """
[[mcp.servers]]
name = "files"
url = "{origin}/mcp/files"
tools_ttl = "1s"

[[mcp.servers]]
name = "wary"
url = "{origin}/mcp/wary"
pins = "approve"

[[mcp.servers]]
name = "keyed"
url = "{origin}/mcp/keyed"
credential_env = "KEYED_CREDENTIAL"

[[mcp.servers]]
name = "desk"
url = "{origin}/mcp/desk"
kept_credential = "user"

[[mcp.servers]]
name = "mail"
url = "{origin}/mcp/mail"
[mcp.servers.oauth]
grant = "user-login"
client_id = "gateway"
token_url = "{origin}/token"

[[mcp.servers]]
name = "data"
url = "{origin}/mcp/data"
[mcp.servers.oauth]
grant = "token-exchange"
client_id = "gateway"
client_secret_env = "EXCHANGE_SECRET"
token_url = "{origin}/token"

[[quotas]]
name = "each-tool"
limit = "2 tool_calls/day"
per = ["principal", "tool"]
tools = ["files:limited", "files:limited_too"]
"""


@contextmanager
def mcp_stage(more: str = "") -> Iterator[McpStage]:
    """A running gateway with these servers."""
    with tool_servers() as (servers, origin):
        for name in ("wary", "keyed", "desk", "mail", "data"):
            servers.tools[name] = [tool("look", readOnlyHint=True), tool("act")]
        environment = {"KEYED_CREDENTIAL": "own-key", "EXCHANGE_SECRET": "exchange-secret"}
        with running_gateway(_CONFIG.format(origin=origin) + more, environment=environment) as gateway:
            yield McpStage(gateway, servers)
