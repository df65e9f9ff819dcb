"""Tools of the MCP daemon that are endpoints of HTTP and functions of Python, with real processes."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect

from jotgate.testing.running import Gateway, run_command, running_gateway, until
from tests.daemons import SECRET, WITHIN_S, signed
from tests.integration.exchanges import Caller, record_of
from tests.mcp_stage import VERSION

_PACKAGE: Final = Path(__file__).parent.parent / "tool_package"
_SETTINGS: Final = """
[mcp]
[[mcp.servers]]
name = "weather"
url = "{origin}/api"
credential_env = "WEATHER_KEY"
message_bytes = 65536
[[mcp.servers.tools]]
name = "forecast"
description = "Tell the weather."
path = "/forecast?units=c"
method = "GET"
read_only = true
[mcp.servers.tools.input_schema]
type = "object"
required = ["city"]
[mcp.servers.tools.input_schema.properties]
city = {{ type = "string" }}
[[mcp.servers.tools]]
name = "report"
path = "/report"
input_schema = '{{"type": "object", "properties": {{"text": {{"type": "string"}}}}}}'
[[mcp.servers.tools]]
name = "odd"
path = "/odd"

[[mcp.servers]]
name = "slow"
url = "{origin}/"
first_byte_timeout = "1s"
[[mcp.servers.tools]]
name = "odd"

[[mcp.servers]]
name = "kept"
url = "{origin}/kept/"
kept_credential = "user"
[[mcp.servers.tools]]
name = "odd"

[[mcp.servers]]
name = "py"
python = ["greet", "add", "wait", "break", "refuse", "flood", "die", "unfit", "absent"]
env = ["PATH", "PYTHONPATH"]
message_bytes = 65536

[mcp_daemon.roles]
user = ["chat", "weather_*", "slow_*", "py_*", "kept_*"]
reader = ["weather_forecast"]
"""


class Endpoints:
    """What a server of HTTP was asked, and what it answers. Mutable."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, str, bytes] = (200, "application/json", b"{}")
        self.left = threading.Event()


@contextmanager
def endpoints() -> Iterator[tuple[Endpoints, str]]:
    told = Endpoints()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            fields = {name.lower(): value for name, value in self.headers.items()}
            told.heard.append((self.command, self.path, fields, body))
            status, media_type, content = told.answer
            if not status:  # It never answers: the end of the connection is waited for.
                self.connection.settimeout(WITHIN_S)
                if not self.rfile.read(1):
                    told.left.set()
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Stage:
    """A daemon with such tools."""

    def __init__(self, gateway: Gateway, told: Endpoints) -> None:
        self.gateway = gateway
        self.told = told
        self.url = gateway.read_line_with("The preset mcp-daemon serves").split()[-1]

    def call(self, tool: str, token: str = "", **arguments: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or signed()}"}
        body = {"tool": tool, "arguments": arguments}
        found = httpx.post(self.url + "/call", headers=headers, json=body, timeout=WITHIN_S, trust_env=False)
        return found.status_code, found.json()

    def text(self, tool: str, token: str = "", **arguments: Any) -> str:
        status, told = self.call(tool, token, **arguments)
        assert status == 200, told
        return str(told["result"]["content"][0]["text"])

    def failure(self, tool: str, **arguments: Any) -> tuple[int, str, str]:
        status, told = self.call(tool, **arguments)
        return status, told["error"]["code"], told["error"]["message"]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with endpoints() as (told, origin):
        environment = {
            "EXAI_WS_PORT": "0",
            "SUPABASE_JWT_SECRET": SECRET,
            "WEATHER_KEY": "the-weather-key",
            "PYTHONPATH": str(_PACKAGE),
        }
        settings = _SETTINGS.format(origin=origin)
        with running_gateway(settings, "--preset", "mcp-daemon", "--workers", "1", environment=environment) as gateway:
            yield Stage(gateway, told)


def test_an_endpoint_is_asked_with_the_arguments_and_its_own_credential(stage: Stage) -> None:
    told, token = stage.told, signed()
    told.answer = (200, "application/json; charset=utf-8", b'{"degrees": 21}')
    status, said = stage.call("weather_forecast", token, city="São Paulo & co", days=[1, 2], wide=True, none=None)
    assert (status, said["tool"], said["result"]["structuredContent"]) == (200, "weather_forecast", {"degrees": 21})
    assert said["result"]["content"] == [{"type": "text", "text": '{"degrees": 21}'}]
    method, target, fields, body = told.heard[-1]
    query = "units=c&city=S%C3%A3o%20Paulo%20%26%20co&days=1&days=2&wide=true"
    assert (method, target, body) == ("GET", f"/api/forecast?{query}", b"")
    assert fields["authorization"] == "Bearer the-weather-key"
    assert said["request_id"] == fields["x-request-id"]
    assert not any(token in value for value in fields.values())
    assert {name for name in fields if name.startswith("mcp-")} == set()

    told.answer = (200, "text/plain", "schön".encode())
    assert stage.text("weather_report", token, text="it rains") == "schön"
    method, target, fields, body = told.heard[-1]
    assert (method, target, json.loads(body)) == ("POST", "/api/report", {"text": "it rains"})
    assert fields["content-type"] == "application/json"
    told.answer = (204, "text/plain", b"")
    assert stage.text("weather_report") == ""


def test_an_endpoint_is_sent_what_is_kept_for_its_caller(stage: Stage) -> None:
    told, data = stage.told, stage.gateway.data
    told.answer = (200, "text/plain", b"ok")
    for holder in ("agent_001", "mcp-daemon/agent_001"):  # The first is somebody else: a subject of our own.
        status, code, _ = stage.failure("kept_odd")
        assert (status, code) == (503, "SERVICE_UNAVAILABLE")
        given = ("mcp", "credential", "set", "kept", "--subject", holder)
        done = run_command(*given, data=data, stdin=f"what-is-kept-for-{holder}")
        assert done.returncode == 0, done.stderr
    assert stage.text("kept_odd") == "ok"
    assert (told.heard[-1][1], told.heard[-1][2]["authorization"]) == (
        "/kept",
        "Bearer what-is-kept-for-mcp-daemon/agent_001",
    )
    told.answer = (401, "text/plain", b"no")
    assert stage.failure("kept_odd")[:2] == (502, "PROVIDER_ERROR")


def test_what_an_endpoint_refuses_is_an_error_that_shows_nothing_of_its_answer(stage: Stage) -> None:
    told, secret = stage.told, b'{"detail": "key the-weather-key of db-7"}'
    execution, provider = (502, "TOOL_EXECUTION_ERROR"), (502, "PROVIDER_ERROR")
    for answer, wanted in (
        ((422, "application/json", secret), execution),
        ((429, "application/json", secret), execution),
        ((503, "application/json", secret), provider),
        ((401, "application/json", secret), provider),
        ((302, "application/json", secret), provider),
        ((200, "image/png", secret), provider),
        ((200, "application/json", b"{not json"), provider),
        ((200, "text/plain", b"\xff\xfe"), provider),
        ((200, "text/plain", b"x" * 70_000), provider),
    ):
        told.answer = answer
        status, said = stage.call("weather_report")
        assert ((status, said["error"]["code"]), "weather-key" in json.dumps(said)) == (wanted, False), answer
    told.answer = (422, "application/json", secret)
    assert stage.failure("weather_report")[2] == "the endpoint of this tool answered with status 422"
    told.answer = (0, "", b"")
    assert stage.failure("slow_odd")[:2] == (504, "TIMEOUT")
    assert told.heard[-1][1] == "/"
    before = len(told.heard)
    status, code, message = stage.failure("weather_forecast", city={"a": 1})
    assert (status, code, message.startswith("'city' is neither a text")) == (400, "INVALID_REQUEST", True)
    assert stage.failure("weather_none")[:2] == (404, "TOOL_NOT_FOUND")
    assert stage.call("weather_report", signed(role="reader"))[0] == 403
    assert len(told.heard) == before


def test_functions_of_enabled_entry_points_are_called_and_know_who_calls(stage: Stage) -> None:
    assert stage.text("py_greet", signed(sub="ann", role="user")) == "Hello, ann (user)"
    forged = {"greeting": "Hi", "_meta": {"jotgate/caller": {"subject": "root"}}}
    assert stage.failure("py_greet", **forged)[:2] == (400, "INVALID_REQUEST")
    status, said = stage.call("py_add", numbers=[1, 2, 3], half=True)
    assert (status, said["result"]["structuredContent"]) == (200, {"sum": 3.0, "secret": None})
    status, code, message = stage.failure("py_add", numbers=["1"])
    assert (status, code) == (400, "INVALID_REQUEST")
    assert message.endswith("Expected `int`, got `str` - at `$.numbers[0]`")
    assert stage.failure("py_break") == (502, "TOOL_EXECUTION_ERROR", "the tool has failed: ValueError")
    assert stage.failure("py_refuse") == (502, "TOOL_EXECUTION_ERROR", "there is no such die")
    assert stage.failure("py_flood")[2] == "the result of the tool is longer than message_bytes"
    for name in ("py_closed", "py_unfit", "py_absent"):
        assert stage.failure(name)[:2] == (404, "TOOL_NOT_FOUND"), name
    assert stage.failure("py_die")[:2] == (502, "PROVIDER_ERROR")
    assert stage.text("py_greet", greeting="Back") == "Back, agent_001 (user)"


def test_a_client_of_mcp_cannot_say_who_calls(stage: Stage) -> None:
    token = stage.gateway.token("--scope", "mcp:py:greet", subject="bob")
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "jotgate/caller": {"issuer": "x", "subject": "root", "role": "admin"},
    }
    fields: dict[str, str | bytes] = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "greet",
    }
    params = {"name": "greet", "arguments": {}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    caller = Caller(stage.gateway, token)
    try:
        found = caller("POST", "/mcp/py", body, headers=fields)
    finally:
        caller.close()
    assert found.json["result"]["content"][0]["text"] == "Hello, bob (user)"


def test_frames_list_them_and_cancel_their_calls(stage: Stage, tmp_path: Path) -> None:
    async def play() -> None:
        headers = {"Authorization": f"Bearer {signed()}"}
        stage.told.answer = (200, "application/json", b"[1]")
        async with connect(stage.url.replace("http:", "ws:"), additional_headers=headers) as connection:

            async def ask(frame: object) -> Any:
                await connection.send(json.dumps(frame))
                return json.loads(await connection.recv())

            tools = (await ask({"op": "list_tools", "request_id": "l"}))["tools"]
            told = {one["name"]: one for one in tools}
            assert sorted(told) == [
                *("chat", "kept_odd", "py_add", "py_break", "py_die", "py_flood", "py_greet", "py_refuse", "py_wait"),
                *("slow_odd", "weather_forecast", "weather_odd", "weather_report"),
            ]
            assert told["weather_forecast"]["inputSchema"]["required"] == ["city"]
            assert told["py_greet"]["description"] == "Greet whoever calls."
            assert told["py_greet"]["inputSchema"]["properties"] == {"greeting": {"type": "string"}}
            rpc = {"jsonrpc": "2.0", "id": 5, "method": "tools/call"}
            found = await ask({**rpc, "params": {"name": "weather_odd", "arguments": {}}})
            assert found["result"]["content"][0]["text"] == "[1]"
            found = await ask({"op": "call_tool", "name": "py_refuse", "request_id": "o"})
            assert (found["request_id"], found["error"]["code"]) == ("o", "TOOL_EXECUTION_ERROR")
            found = await ask({"tool": "py_greet", "arguments": {"greeting": "Ho"}})
            assert found["result"]["content"][0]["text"] == "Ho, agent_001 (user)"

            stage.told.answer = (0, "", b"")
            heard = len(stage.told.heard)
            mark = tmp_path / "mark"
            await connection.send(json.dumps({"op": "call_tool", "name": "weather_report", "request_id": "w"}))
            arguments = {"mark": str(mark)}
            wait = {"op": "call_tool", "name": "py_wait", "arguments": arguments, "request_id": "p"}
            await connection.send(json.dumps(wait))
            await asyncio.to_thread(
                until,
                lambda: len(stage.told.heard) > heard and mark.exists() and mark.read_text() == "runs",
                "both run",
            )
            for one in ("w", "p"):
                assert (await ask({"op": "cancel", "request_id": one}))["was_running"]
            await asyncio.to_thread(
                until, lambda: stage.told.left.is_set() and mark.read_text() == "cancelled", "both are left"
            )

    asyncio.run(asyncio.wait_for(play(), WITHIN_S))


def test_each_call_is_counted_and_leaves_one_row(stage: Stage) -> None:
    stage.told.answer = (200, "text/plain", b"ok")
    token = signed(sub="carl", quota=3)
    for tool, label, status, outcome in (
        ("weather_odd", "weather:odd", 200, "complete"),
        ("py_greet", "py:greet", 200, "complete"),
        ("py_break", "py:break", 502, "complete"),  # The server has answered, though its tool has failed.
        ("weather_odd", "weather:odd", 429, "refused"),
    ):
        found, said = stage.call(tool, token)
        row = record_of(stage.gateway, said["request_id"])
        assert (found, row["operation"], row["subject"], row["outcome"]) == (status, "mcp.tools_call", "carl", outcome)
        assert row["tool"] == label or (status == 429 and row["tool"] in (label, tool)), row


def test_an_entry_point_that_is_none_is_told_in_the_log_and_by_check_and_doctor(stage: Stage) -> None:
    assert "the entry point 'absent' is no tool: no installed package has it" in stage.gateway.errors
    assert "the entry point 'unfit' is no tool: it is no function" in stage.gateway.errors
    assert "a print meets no message" in stage.gateway.errors
    options = ("--config", str(stage.gateway.config))
    environment = {"PYTHONPATH": str(_PACKAGE), "WEATHER_KEY": "the-weather-key"}
    done = run_command("check", *options, data=stage.gateway.data, environment=environment)
    assert done.returncode == 0, done.stderr
    fault = "mcp.servers[3].python names 'absent', which no installed package has among its entry points"
    assert done.stderr.count(fault) == 1
    assert "'greet'" not in done.stderr
    done = run_command("doctor", *options, data=stage.gateway.data, environment=environment)
    assert "names 'absent', which no installed package has" in done.stdout + done.stderr
