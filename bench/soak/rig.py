"""A running jotgate with two workers and two upstreams, and everything that is done to it while it serves."""

import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.server import free_port, launch, running
from bench.soak.raw import MODEL, Door
from bench.soak.sockets import accepted_ports
from bench.tls import renew
from jotgate.testing.certificates import Authority, serial
from jotgate.testing.running import Gateway, running_gateway, short_directory, until

WORKERS: Final = 2
CONFIGURATION: Final = """\
[[upstreams]]
name = "flaky"
kind = "openai"
base_url = "http://127.0.0.1:{flaky}/v1"
models = ["{model}"]
first_byte_timeout = "{seconds}s"

[[upstreams]]
name = "steady"
kind = "openai"
base_url = "http://127.0.0.1:{steady}/v1"
models = ["{model}"]
first_byte_timeout = "{seconds}s"
"""
_PATIENCE_S: Final = 30.0
_STOPPED: Final = b"T"


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker's end by SIGKILL: when, and the client ports of the connections that it had accepted."""

    at_s: float
    ports: frozenset[int]


class Rig:
    """The gateway and its surroundings. Mutable: how often the configuration was written."""

    def __init__(self, gateway: Gateway, render: Callable[[int], str], authority: Authority | None) -> None:
        self.gateway = gateway
        self._render = render
        self._authority = authority
        self._edition = 0
        context = ssl.create_default_context(cafile=authority.root) if authority else None
        self.door = Door(int(gateway.url.rpartition(":")[2]), gateway.token(), context)

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self._authority.root if self._authority else Path(os.devnull)

    def reload(self) -> None:
        """Change every upstream's settings and have them read again; wait until all workers have them."""
        self._edition += 1
        write(self.gateway.config, self._render(self._edition))
        self.gateway.reload()

    def swap_certificate(self) -> None:
        """Put a new certificate in the place of the old, have it read, and wait until new connections get it."""
        if self._authority is None:
            return
        wanted = serial(renew(self._authority).cert)
        self.gateway.reload()
        # As many connections as make it unlikely that all reach one worker.
        until(lambda: {self._served_serial() for _ in range(8)} == {wanted}, "the new certificate is served")

    def _served_serial(self) -> int:
        assert self.door.tls is not None
        with (
            socket.create_connection(("127.0.0.1", self.door.port), _PATIENCE_S) as plain,
            self.door.tls.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            found = secured.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)

    def stop_worker(self, number: int) -> None:
        """SIGTERM to one worker; wait until another serves in its place."""
        pid = self._worker(number)
        os.kill(pid, signal.SIGTERM)
        self._await_another(number, pid)

    def kill_worker(self, number: int, meanwhile: Callable[[], None]) -> Kill:
        """SIGKILL to one worker, which stands still while `meanwhile` runs and while its connections are listed."""
        pid = self._worker(number)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: _state(pid) == _STOPPED, f"worker {number} stands still")
        meanwhile()
        kill = Kill(time.monotonic(), frozenset(accepted_ports(pid, self.door.port)))
        os.kill(pid, signal.SIGKILL)
        self._await_another(number, pid)
        return kill

    def _worker(self, number: int) -> int:
        name = f"worker {number % WORKERS}"
        until(lambda: name in self.gateway.pids, f"{name} is there", _PATIENCE_S)
        return self.gateway.pids[name]

    def _await_another(self, number: int, old: int) -> None:
        name = f"worker {number % WORKERS}"

        def replaced() -> bool:
            pids = self.gateway.pids
            return old not in pids.values() and name in pids and self.gateway.status()["workers"] >= WORKERS

        until(replaced, f"another {name} serves", _PATIENCE_S)


def write(file: Path, text: str) -> None:
    """Replace a file at once."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def _state(pid: int) -> bytes:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]


@contextmanager
def running_rig(*, tls: bool = True) -> Iterator[Rig]:
    """Start the two upstreams and jotgate; end them all."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_directory())
        ports = {mode: free_port() for mode in ("steady", "flaky")}
        for mode, port in ports.items():
            command = [sys.executable, "-m", "bench.soak.upstream", str(port), mode]
            server = stack.enter_context(running(launch(mode, port, command, folder / f"{mode}.log", None)))
            server.wait_until(server.accepts)

        def render(edition: int) -> str:
            return CONFIGURATION.format(**ports, model=MODEL, seconds=60 + edition)

        authority = Authority(folder) if tls else None
        options = ["--workers", str(WORKERS)]
        if authority is not None:
            pair = renew(authority)
            options += ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
        yield Rig(stack.enter_context(running_gateway(render(0), *options)), render, authority)
