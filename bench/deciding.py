"""The decision service: asked straight, by a real nginx and a real Envoy that carry the bytes, and over gRPC.

The proxies run what `jotgate plane` prints. What a decision costs in jotgate itself is taken without them: over HTTP
the load generator asks, and over gRPC an Envoy on the load's core does, whose cost is the load's. Beside that stands a
handler of grpcio that decides nothing.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.envoy import find_envoy
from bench.jotgate import create_token, run_jotgate, start_jotgate
from bench.load import render_request
from bench.nginx import find_nginx
from bench.rounds import Requests, Target
from bench.server import Server, free_port, launch

CONFIGURATION: Final = """\
[limits]
connections_per_address = 4096
[decisions]
proxies = ["127.0.0.1"]
grpc = "127.0.0.1:{grpc}"
[[decisions.paths]]
name = "all"
scopes = ["ai"]
"""
_NGINX: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {file};
}}
"""


@dataclass(frozen=True, slots=True)
class Deciding:
    """A running jotgate that decides: its DATA, its settings, and a token that it lets pass."""

    server: Server
    installation: Path
    configuration: Path
    token: str


def start_deciding(folder: Path, core: int) -> Deciding:
    """Start one in a folder of its own, which is made."""
    folder.mkdir()
    configuration = folder / "jotgate.toml"
    configuration.write_text(CONFIGURATION.format(grpc=free_port()))
    installation = folder / "data"
    server = start_jotgate(installation, configuration, core)
    return Deciding(server, installation, configuration, create_token(installation))


def asked_straight(deciding: Deciding) -> Target:
    """Asked by the load generator, as Caddy and Traefik would."""
    file = deciding.configuration.with_name("decision.http")
    file.write_bytes(_render_question(deciding.token))
    return Target(deciding.server, deciding.server.port, deciding.server.port, Requests(file, file, file, file))


def behind_nginx(deciding: Deciding, upstream_port: int, core: int) -> Target:
    """A whole path: nginx asks with `auth_request` and carries the bytes; the cost is that of both."""
    port, file = _print(deciding, "nginx", upstream_port)
    whole = file.with_name("whole.conf")
    whole.write_text(_NGINX.format(folder=file.parent, file=file))
    command: list[str | Path] = [find_nginx(), "-e", "stderr", "-p", file.parent, "-c", whole]
    return _path(deciding, _launch("nginx", port, command, whole.with_suffix(".log"), core))


def behind_envoy(deciding: Deciding, upstream_port: int, core: int) -> Target:
    """The same with an Envoy, whose filter ext_authz asks over HTTP."""
    port, file = _print(deciding, "envoy", upstream_port)
    return _path(deciding, _launch_envoy(port, file, core))


def asked_over_grpc(deciding: Deciding, upstream_port: int, load_core: int) -> tuple[Target, Server]:
    """A jotgate alone, asked over gRPC by an Envoy that is the load's; with that Envoy."""
    port, file = _print(deciding, "envoy", upstream_port, "--grpc")
    envoy = _launch_envoy(port, file, load_core)
    return replace(_path(deciding, envoy), server=deciding.server, beside=()), envoy


def start_empty(deciding: Deciding, upstream_port: int, core: int, load_core: int) -> tuple[Target, Server]:
    """A handler that decides nothing, asked in the same way; with the Envoy that asks it."""
    port = free_port()
    command: list[str | Path] = [sys.executable, "-P", Path(__file__).with_name("empty_grpc.py"), str(port)]
    server = launch("empty gRPC handler", port, command, deciding.configuration.with_name("empty.log"), core)
    server.wait_until(server.accepts)
    configuration = deciding.configuration.with_name("empty.toml")
    configuration.write_text(CONFIGURATION.format(grpc=port))
    elsewhere = replace(deciding, configuration=configuration)
    asking, file = _print(elsewhere, "envoy", upstream_port, "--grpc")
    envoy = _launch_envoy(asking, file, load_core)
    return replace(_path(deciding, envoy), server=server, beside=()), envoy


def _print(deciding: Deciding, name: str, upstream_port: int, *options: str) -> tuple[int, Path]:
    """Have a configuration printed: where it listens, and its main file."""
    port = free_port()
    folder = deciding.configuration.with_name(f"{name}-{port}")
    where = ("--data", str(deciding.installation), "--config", str(deciding.configuration), "--out", str(folder))
    what = ("--upstream", f"http://127.0.0.1:{upstream_port}", "--listen", f"127.0.0.1:{port}")
    return port, Path(run_jotgate("plane", name, "print", *what, *where, *options).splitlines()[0])


def _path(deciding: Deciding, proxy: Server) -> Target:
    file = deciding.configuration.with_name(f"path-{proxy.port}.http")
    file.write_bytes(render_request(deciding.token))
    return Target(proxy, proxy.port, proxy.port, Requests(file, file, file, file), (deciding.server,))


def _launch_envoy(port: int, file: Path, core: int) -> Server:
    command: list[str | Path] = [find_envoy(), "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return _launch("envoy", port, command, file.with_suffix(".log"), core)


def _launch(name: str, port: int, command: list[str | Path], output: Path, core: int) -> Server:
    server = launch(name, port, command, output, core)
    server.wait_until(server.accepts)
    return server


def _render_question(token: str) -> bytes:
    head = (
        "GET /forward-auth HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n"
        "User-Agent: bench/1\r\n"
        "Accept: application/json\r\n"
        "X-Forwarded-Method: POST\r\n"
        "X-Forwarded-Uri: /v1/chat/completions\r\n"
        "X-Forwarded-Host: api.example\r\n"
        "X-Forwarded-Proto: https\r\n"
        "X-Forwarded-For: 192.0.2.7\r\n"
        "\r\n"
    )
    return head.encode("ascii")
