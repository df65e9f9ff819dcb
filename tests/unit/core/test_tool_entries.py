"""Tools that stand in the settings: what is taken, what is told of each fault, what MCP hears of them."""

import json
from typing import Any

import pytest

from jotgate.core.config_reader import find_literal_secrets, parse
from jotgate.core.mcp_children import compile_children
from jotgate.core.mcp_compiler import compile_mcp, mcp_upstream
from jotgate.errors import ConfigurationError

_TOOL = {"name": "forecast", "path": "/forecast", "method": "GET", "read_only": True, "description": "Tell."}
_SERVER = {"name": "weather", "url": "https://weather.example/v1", "tools": [_TOOL]}
_PYTHON = {"name": "games", "python": ["dice"], "env": ["PATH"]}


def _faults(*servers: dict[str, Any]) -> dict[str, str]:
    try:
        parse({"mcp": {"servers": list(servers)}})
    except ConfigurationError as error:
        return dict(error.faults)
    return {}


def test_both_kinds_are_taken() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{**_TOOL, "input_schema": schema}, {"name": "report", "input_schema": json.dumps(schema)}, {"name": "odd"}]
    config = parse({"mcp": {"servers": [{**_SERVER, "tools": tools}, {**_PYTHON, "pins": "approve"}]}})
    weather, games = compile_mcp(config.mcp, None).servers
    assert (weather.era, weather.local, weather.pins) == ("2026-07-28", False, "off")
    assert (games.era, games.local, games.pins) == ("2026-07-28", True, "approve")
    (child,) = compile_children(config.mcp)
    assert (child.name, child.command, child.python) == ("games", "", ("dice",))
    assert [one.place for one in config.mcp.servers] == ["https://weather.example/v1", "python: dice"]
    upstream = mcp_upstream(config.mcp.servers[0], {}, {}, {})
    assert [(one.name, one.method, one.path) for one in upstream.endpoints] == [
        *(("forecast", "GET", "/forecast"), ("report", "POST", ""), ("odd", "POST", ""))
    ]
    first, second, third = (json.loads(one.definition) for one in upstream.endpoints)
    hints = {"readOnlyHint": True}
    assert first == {"name": "forecast", "description": "Tell.", "inputSchema": schema, "annotations": hints}
    assert second["inputSchema"] == schema
    assert third == {"name": "odd", "description": "", "inputSchema": {"type": "object"}}
    assert (upstream.tells_callers, mcp_upstream(config.mcp.servers[1], {}, {}, {}).tells_callers) == (False, True)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"name": "a b"}, ".name"),
        ({"name": ""}, ".name"),
        ({"method": "PUT"}, ".method"),
        ({"path": "forecast"}, ".path"),
        ({"path": "/a#b"}, ".path"),
        ({"path": "/a b"}, ".path"),
        ({"path": "/a\r\nHost: b"}, ".path"),
        ({"path": "/é"}, ".path"),
        ({"input_schema": "{"}, ".input_schema"),
        ({"input_schema": "[]"}, ".input_schema"),
        ({"input_schema": {"type": "string"}}, ".input_schema"),
        ({"input_schema": {}}, ".input_schema"),
        ({"input_schema": {"type": "object", "x": "y" * 40_000}}, ".input_schema"),
        ({"input_schema": '{"type":"object","x":' + "[" * 40 + "]" * 40 + "}"}, ".input_schema"),
        ({"input_schema": 1}, ".input_schema"),
        ({"url": "https://other.example"}, ".url"),
        ({"description": "x" * 5_000}, ".description"),
    ],
)
def test_a_faulty_endpoint_is_told_with_its_place(changes: dict[str, Any], setting: str) -> None:
    server = {**_SERVER, "tools": [{"name": "first"}, {**_TOOL, **changes}]}
    assert list(_faults(server)) == [f"mcp.servers[0].tools[1]{setting}"]


@pytest.mark.parametrize(
    ("server", "setting"),
    [
        ({**_SERVER, "tools": {}}, "tools"),
        ({**_SERVER, "tools": [_TOOL, _TOOL]}, "tools[1].name"),
        ({**_SERVER, "tools": [{"name": f"t{number}"} for number in range(201)]}, "tools"),
        ({**_SERVER, "url": "https://weather.example/v1?key=1"}, "url"),
        ({**_SERVER, "pins": "approve"}, "pins"),
        ({**_SERVER, "era": "initialize"}, "era"),
        ({**_SERVER, "url": "file:///etc/passwd"}, "url"),
        ({**_PYTHON, "tools": [_TOOL]}, "tools"),
        ({**_PYTHON, "url": "https://weather.example/v1"}, "url"),
        ({**_PYTHON, "command": "x"}, "command"),
        ({**_PYTHON, "args": ["x"]}, "args"),
        ({**_PYTHON, "credential_env": "X"}, "credential_env"),
        ({**_PYTHON, "era": "2026-07-28"}, "era"),
        ({**_PYTHON, "python": ["dice", "dice"]}, "python"),
        ({**_PYTHON, "python": ["--help"]}, "python"),
        ({**_PYTHON, "python": [f"t{number}" for number in range(201)]}, "python"),
    ],
)
def test_a_server_that_has_them_beside_what_does_not_fit_is_told(server: dict[str, Any], setting: str) -> None:
    assert f"mcp.servers[0].{setting}" in _faults(server)


def test_a_secret_in_a_tool_is_refused_and_not_shown() -> None:
    document = {"mcp": {"servers": [{**_SERVER, "tools": [{**_TOOL, "token": "hunter2"}]}]}}
    ((path, fault),) = find_literal_secrets(document)
    assert (path, "hunter2" in fault) == ("mcp.servers[0].tools[0].token", False)
