"""The programs of MCP that tests run: servers of both eras, the inspector's command, the conformance suite.

`make setup` installs those of npm below `tests/peers/mcp/`; Node comes with a wheel.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, NamedTuple

from jotgate.testing.running import until
from tests.peers.oidc_provider import node

FOLDER: Final = Path(__file__).parent / "mcp"
_SCOPED: Final = FOLDER / "node_modules" / "@modelcontextprotocol"
INSTALLED: Final = _SCOPED / "server-everything"
LACKING: Final = "NOT COVERED, npm's programs of MCP: npm could not install them (make setup)"
EVERYTHING: Final = _SCOPED / "server-everything" / "dist" / "index.js"
"""A server of the older era alone."""
_INSPECTOR: Final = _SCOPED / "inspector" / "clients" / "launcher" / "build" / "index.js"
_CONFORMANCE: Final = _SCOPED / "conformance" / "dist" / "index.js"
_ROOT: Final = Path(__file__).parent.parent.parent
_START_S: Final = 20.0
# The suite ends each scenario's folder with the time, to the millisecond.
_WHEN: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$")


class Outcome(NamedTuple):
    """What the conformance suite says: of each check how often it passed, and why it failed, by scenario and check."""

    passed: Mapping[str, int]
    failed: Mapping[str, str]


@contextmanager
def running_peer() -> Iterator[str]:
    """The official SDK's server, which speaks both eras; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.peers.mcp_server", "http", str(port)]
    with _running(command, port, {}) as url:
        yield url


@contextmanager
def running_everything() -> Iterator[str]:
    """`server-everything`, of the older era alone; its URL."""
    port = free_port()
    with _running([node(), str(EVERYTHING), "streamableHttp"], port, {"PORT": str(port)}) as url:
        yield url


def inspect(url: str, token: str, *arguments: str) -> Mapping[str, Any]:
    """What the inspector's command prints of a server, which it asks with this token."""
    command = [node(), str(_INSPECTOR), "--cli", url, "--transport", "http"]
    command += ["--header", f"Authorization: Bearer {token}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_START_S, check=False)
    if done.returncode:
        raise AssertionError(f"the inspector ended with {done.returncode}: {done.stdout}{done.stderr}")
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def start_suite(url: str, revision: str, output: Path, timeout_ms: int = 5_000) -> "subprocess.Popen[bytes]":
    """Begin to run the conformance suite of a revision against a server."""
    command = [node(), str(_CONFORMANCE), "server", "--url", url, "--requirements", revision]
    command += ["--output-dir", str(output), "--timeout", str(timeout_ms)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read_outcome(output: Path) -> Outcome:
    """What a run of the suite has written."""
    passed: dict[str, int] = {}
    failed: dict[str, str] = {}
    for file in sorted(output.glob("*/checks.json")):
        scenario = _WHEN.sub("", file.parent.name)
        for check in json.loads(file.read_text()):
            name = f"{scenario}: {check['id']}"
            if check["status"] == "SUCCESS":
                passed[name] = passed.get(name, 0) + 1
            elif check["status"] == "FAILURE":
                failed[name] = str(check.get("errorMessage"))
    return Outcome(passed, failed)


@contextmanager
def _running(command: list[str], port: int, additions: Mapping[str, str]) -> Iterator[str]:
    environment = {"PATH": "/usr/bin:/bin", **additions}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), "the server listens", _START_S)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("OPTIONS", "/mcp")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(processes: "list[subprocess.Popen[bytes]]", patience_s: float) -> None:
    """Wait until all have ended; what has not by then is killed."""
    deadline_s = time.monotonic() + patience_s
    for process in processes:
        try:
            process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
