"""Those that issue tokens: jotgate with its store on disk and in memory, and npm's oidc-provider, which has no other.

All get the same request: the grant client_credentials with client_secret_basic, for a token of RFC 9068 with ES256.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from bench.errors import BenchError
from bench.jotgate import launch_jotgate, run_jotgate
from bench.rounds import Requests, Target
from bench.server import Server, free_port, launch
from tests.peers.oidc_provider import FOLDER, INSTALLED, SERVICE, node

_CLIENT: Final = "bench"


def find_provider() -> None:
    """Look for oidc-provider. Raises BenchError: npm could not install it."""
    if not INSTALLED.exists():
        raise BenchError("the bench needs npm's oidc-provider; `make setup` installs it")


def start_provider(folder: Path, core: int) -> Target:
    """Start oidc-provider."""
    folder.mkdir()
    port = free_port()
    command: list[str | Path] = [node(), FOLDER / "server.mjs", str(port), folder / "keys.json", "unattended"]
    server = launch("oidc-provider", port, command, folder / "provider.log", core)
    server.wait_until(lambda: '"ready"' in server.said())
    form = {"grant_type": "client_credentials", "scope": "ai", "resource": "https://gateway.example"}
    return _target(server, folder, "/token", f"{SERVICE}:secret-of-{SERVICE}", form)


def start_issuing(folder: Path, configuration: Path, core: int, *, memory: bool) -> Target:
    """Start jotgate with a client that may act for itself; `memory`: its store outlives nothing."""
    folder.mkdir()
    data = folder / "data"
    if memory:
        port = free_port()
        command: list[str | Path] = [sys.executable, "-m", "jotgate.testing.memory_up"]
        command += ["--data", data, "--port", str(port), "--config", configuration]
        server = launch("jotgate", port, command, folder / "jotgate.log", core)
    else:
        server = launch_jotgate(data, configuration, core)
    server.wait_until(lambda: f"://127.0.0.1:{server.port}" in server.said())
    client = ["client", "create", _CLIENT, "--grant", "client_credentials", "--scope", "ai", "--json"]
    secret = str(json.loads(run_jotgate(*client, "--data", str(data)))["client_secret"])
    form = {"grant_type": "client_credentials", "scope": "ai"}
    return _target(server, folder, "/oauth/token", f"{_CLIENT}:{secret}", form)


def _target(server: Server, folder: Path, path: str, credentials: str, form: dict[str, str]) -> Target:
    file = folder / "token.http"
    file.write_bytes(_render(path, credentials, urlencode(form).encode()))
    return Target(server, server.port, server.port, Requests(file, file, file, file))


def _render(path: str, credentials: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}\r\n"
        "User-Agent: bench/1\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n"
        "\r\n"
    )
    return head.encode("ascii") + body
