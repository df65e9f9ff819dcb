"""A gateway that decides, a scripted upstream, and real proxies that run what `jotgate plane` wrote for them."""

import contextlib
import http.client
import io
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from bench.envoy import find_envoy
from bench.nginx import find_nginx
from bench.server import free_port, launch
from jotgate.cli import main
from jotgate.testing.running import Gateway, running_gateway, short_directory
from jotgate.testing.upstream import UpstreamServer, unary, upstream_in_thread
from tests.integration.exchanges import PATIENCE_S, Answer

CONFIGURATION: Final = """\
[server]
issuer_wait = "1s"
[decisions]
proxies = ["127.0.0.1"]
[[decisions.paths]]
name = "all"
[[decisions.paths]]
name = "reports"
path = "/reports"
methods = ["GET"]
scopes = ["embeddings"]
[[issuers]]
name = "silent"
issuer = "https://silent.example"
jwks_url = "http://127.0.0.1:1/jwks"
audiences = ["any"]
"""
_ALONE: Final = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {file};
}}
"""
_WITHOUT_ADMIN: Final = "{{\n\tadmin off\n\tpersist_config off\n}}\nimport {file}\n"


def command(*arguments: str, code: int = 0) -> str:
    """What a command of jotgate prints, run in this process. It must end with this exit code."""
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        found = main(arguments)
    assert found == code, said.getvalue() + told.getvalue()
    return said.getvalue()


class Plane:
    """One proxy that runs what was printed for it."""

    def __init__(self, name: str, port: int, file: Path) -> None:
        self.name = name
        self.port = port
        self.file = file

    def has_begun(self, least: int) -> bool:
        """Whether it refuses who has no token; Traefik listens before it has read what it is to do."""
        status = self().status
        return status == 401 or status >= least

    def __call__(
        self,
        token: str = "",
        path: str = "/v1/things?a=b",
        method: str = "GET",
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for something through it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, headers={**bearer, **(fields or {})})
            response = connection.getresponse()
            found = [(name.lower(), value) for name, value in response.getheaders()]
            return Answer(response.status, found, response.read())
        finally:
            connection.close()


class PlaneStage:
    """The gateway, the upstream, and where proxies are started."""

    def __init__(self, gateway: Gateway, upstream: UpstreamServer, folder: Path, stack: ExitStack) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self._folder = folder
        self._stack = stack
        upstream.default = unary(b'{"here":true}')

    def token(self, *arguments: str, subject: str = "ann", scope: str = "decide") -> str:
        """A token of the gateway."""
        words = ("token", "create", "--subject", subject, "--scope", scope, *arguments)
        return command(*words, "--data", str(self.gateway.data)).strip()

    def revoke(self, *arguments: str) -> None:
        """Have tokens revoked."""
        command("token", "revoke", *arguments, "--yes", "--data", str(self.gateway.data))

    def write(self, name: str, *options: str, gate: str = "") -> tuple[int, Path]:
        """Have a configuration printed: the port at which it listens, and its main file."""
        port = free_port()
        arguments = self.options(self._folder / f"{name}-{port}" / "main")
        arguments += ("--gate", gate) if gate else ()
        where = ("--data", str(self.gateway.data), "--config", str(self.gateway.config))
        written = command("plane", name, "print", *arguments, *options, *where).splitlines()
        return port, Path(written[0])

    def options(self, file: Path) -> tuple[str, ...]:
        """The options by which the configuration with this main file was printed."""
        address = f"127.0.0.1:{file.parent.name.rpartition('-')[2]}"
        return ("--upstream", self.upstream.origin, "--listen", address, "--out", str(file.parent))

    def start(self, name: str, *options: str, gate: str = "", asks: int = 600) -> Plane:
        """Have a configuration printed, and start the real program with it.

        It has begun once it answers nobody with 401, or with a status from `asks` on.
        """
        port, file = self.write(name, *options, gate=gate)
        server = launch(name, port, start_of(name, file, port), file.with_suffix(".out"), None)
        self._stack.callback(server.stop)
        plane = Plane(name, port, file)
        server.wait_until(lambda: server.accepts() and plane.has_begun(asks))
        return plane


def start_of(name: str, file: Path, port: int) -> list[str | Path]:
    """The command that starts a program with its configuration, and with nothing else that others would notice."""
    match name:
        case "envoy":
            return [find_envoy(), "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        case "nginx":
            whole = file.with_name("nginx.conf")
            whole.write_text(_ALONE.format(folder=file.parent, file=file))
            return [find_nginx(), "-p", file.parent, "-c", whole]
        case "caddy":
            whole = file.with_name("whole.Caddyfile")
            whole.write_text(_WITHOUT_ADMIN.format(file=file))
            return [_program("caddy"), "run", "--config", whole, "--adapter", "caddyfile"]
        case "traefik":
            options = [f"--entryPoints.jotgate.address=127.0.0.1:{port}", f"--providers.file.filename={file}"]
            return [_program("traefik"), *options, "--log.level=ERROR", "--global.sendAnonymousUsage=false"]
        case _:
            program = shutil.which("haproxy")
            if program is None:
                pytest.skip("NOT COVERED, the configuration for HAProxy: there is none (apt-get install haproxy)")
            return [program, "-f", file, "-db"]


def _program(name: str) -> Path:
    """A program that a wheel brought into the environment."""
    return Path(sys.executable).parent / name


@contextmanager
def plane_stage(configuration: str = CONFIGURATION, *options: str) -> Iterator[PlaneStage]:
    """Everything started but the proxies, the gateway with these options; all ends with it."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_directory())
        upstream = stack.enter_context(upstream_in_thread())
        gateway = stack.enter_context(running_gateway(configuration, *options))
        yield PlaneStage(gateway, upstream, folder, stack)
