"""`[mcp]` in the settings: what is taken, and what is told of each fault."""

from typing import Any

import pytest

from jotgate.core.config_reader import find_literal_secrets, parse
from jotgate.core.mcp_children import child_path, compile_children
from jotgate.core.mcp_compiler import compile_mcp, mcp_upstream
from jotgate.errors import ConfigurationError

_REMOTE = {"name": "far", "url": "https://far.example/mcp"}
_CHILD = {"name": "near", "command": "server", "args": ["--quiet"], "env": ["PATH", "TOKEN"], "directory": "x"}


def _faults(*servers: dict[str, Any], **table: Any) -> dict[str, str]:
    try:
        parse({"mcp": {**table, "servers": list(servers)}})
    except ConfigurationError as error:
        return dict(error.faults)
    return {}


def test_both_kinds_of_servers_are_taken() -> None:
    config = parse({"mcp": {"keep_alive": "5s", "servers": [_REMOTE, _CHILD]}})
    rules = compile_mcp(config.mcp, None)
    assert [(one.name, one.upstream, one.local) for one in rules.servers] == [
        ("far", "mcp:far", False),
        ("near", "mcp:near", True),
    ]
    assert rules.keep_alive_s == 5
    (child,) = compile_children(config.mcp)
    assert (child.command, child.args, child.env) == ("server", ("--quiet",), ("PATH", "TOKEN"))
    assert child_path("mcp:near") == "/internal/mcp/near"
    upstream = mcp_upstream(config.mcp.servers[0], {}, {}, {})
    assert (upstream.kind, upstream.base_url) == ("mcp", "https://far.example/mcp")


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ({"name": "a"}, "mcp.servers[0].url"),
        ({**_REMOTE, "command": "x"}, "mcp.servers[0].url"),
        ({**_REMOTE, "url": "ftp://far.example"}, "mcp.servers[0].url"),
        ({**_REMOTE, "url": "https://user:pw@far.example"}, "mcp.servers[0].url"),
        ({**_REMOTE, "url": "https://far.example#f"}, "mcp.servers[0].url"),
        ({**_REMOTE, "name": "Far"}, "mcp.servers[0].name"),
        ({**_REMOTE, "name": "a_b"}, "mcp.servers[0].name"),
        ({**_REMOTE, "name": "-a"}, "mcp.servers[0].name"),
        ({**_REMOTE, "args": ["x"]}, "mcp.servers[0].args"),
        ({**_REMOTE, "era": "2024-11-05"}, "mcp.servers[0].era"),
        ({**_REMOTE, "total_timeout": "2d"}, "mcp.servers[0].total_timeout"),
        ({**_REMOTE, "credential_env": "A", "credential_file": "b"}, "mcp.servers[0].credential_file"),
        ({**_REMOTE, "unknown": 1}, "mcp.servers[0].unknown"),
        ({**_CHILD, "env": ["A=B"]}, "mcp.servers[0].env"),
        ({**_CHILD, "credential_env": "A"}, "mcp.servers[0].credential_env"),
        ({**_CHILD, "proxy": "http://p:1"}, "mcp.servers[0].proxy"),
        ({**_CHILD, "args": ["a\0b"]}, "mcp.servers[0].command"),
        ({**_CHILD, "open_files": 1}, "mcp.servers[0].open_files"),
    ],
)
def test_a_fault_names_its_setting(server: dict[str, Any], path: str) -> None:
    assert path in _faults(server)


def test_names_stand_once() -> None:
    assert "mcp.servers[1].name" in _faults(_REMOTE, _REMOTE)


def test_what_is_no_table_is_told() -> None:
    assert "mcp" in dict(_raises({"mcp": 5}))
    assert "mcp.servers" in dict(_raises({"mcp": {"servers": 5}}))
    assert "mcp.keep_alive" in _faults(keep_alive="soon")


def test_a_secret_in_the_file_is_refused_and_not_shown() -> None:
    document = {"mcp": {"servers": [{**_REMOTE, "credential": "s3cret-of-mine"}]}}
    faults = find_literal_secrets(document)
    assert [path for path, _ in faults] == ["mcp.servers[0].credential"]
    assert "s3cret" not in str(faults)


def _raises(document: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigurationError) as refused:
        parse(document)
    return refused.value.faults
