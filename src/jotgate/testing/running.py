"""A real `jotgate up` for tests and measurements: started on a free port, watched through /proc, stopped at the end."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

_START_S: Final = 20.0
_STOP_S: Final = 15.0
_POLL_S: Final = 0.01
_ROLE_ARGUMENT: Final = b"jotgate.assembly"


class NeverCameTrue(AssertionError):
    """A condition did not come true before its deadline."""


def until(condition: Callable[[], bool], what: str, patience_s: float = 10.0) -> None:
    """Wait for a condition, looking every 10 ms. Raises NeverCameTrue."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() >= deadline_s:
            raise NeverCameTrue(f"{what}: not within {patience_s:g} s")
        time.sleep(_POLL_S)


class Gateway:
    """A running `jotgate up`. `data` is its directory; what it says on stderr is in `errors`.

    It works in `cwd`, by default where this process does.
    """

    def __init__(
        self,
        data: Path,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.data = data
        self._cwd = cwd
        self.url = ""
        self.first_lines = ""
        self._arguments = ("--data", str(data), "--port", "0", "--log-format", "text", *arguments)
        self._environment = dict(environment or {})
        self._errors = data.with_name(data.name + ".stderr")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it serves. Raises NeverCameTrue with what it said instead."""
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                _command("up", *self._arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_environment(self._environment),
                cwd=self._cwd,
            )
        try:
            self.first_lines = self._read_first_lines(self._process)
        except NeverCameTrue:
            self.kill()
            raise
        self.url = self.first_lines.split()[2]
        return self

    def _read_first_lines(self, process: "subprocess.Popen[bytes]") -> str:
        assert process.stdout is not None
        text = b""
        deadline_s = time.monotonic() + _START_S
        while b"OPENAI_API_KEY" not in text or not text.endswith(b"\n"):
            left_s = deadline_s - time.monotonic()
            ready = left_s > 0 and select.select([process.stdout], [], [], left_s)[0]
            piece = os.read(process.stdout.fileno(), 65_536) if ready else b""
            if not piece:
                raise NeverCameTrue(f"jotgate up did not serve; it said: {text.decode()}{self.errors}")
            text += piece
        return text.decode()

    def read_line_with(self, text: str) -> str:
        """A line with this text that it prints on stdout, perhaps after its first ones. Raises NeverCameTrue."""
        stdout = self.process.stdout
        assert stdout is not None
        said = self.first_lines.encode()
        deadline_s = time.monotonic() + _START_S
        while not any(text in line for line in said.decode().split("\n")[:-1]):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([stdout], [], [], left_s)[0]:
                raise NeverCameTrue(f"a line with {text!r}; it said: {said.decode()}")
            said += os.read(stdout.fileno(), 65_536)
        self.first_lines = said.decode()
        return next(line for line in said.decode().split("\n") if text in line)

    @property
    def errors(self) -> str:
        """All that it has said on stderr so far."""
        return self._errors.read_text()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The supervisor."""
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def pids(self) -> dict[str, int]:
        """The running processes by name: `supervisor`, `control`, `worker 0` and so on."""
        supervisor = self.process.pid
        found = {"supervisor": supervisor}
        for text in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
            name = _role(int(text))
            if name:
                found[name] = int(text)
        return found

    def token(self, *arguments: str, subject: str = "tester") -> str:
        """A token that `jotgate token create` made."""
        return run_command("token", "create", "--subject", subject, *arguments, data=self.data).stdout.strip()

    @property
    def config(self) -> Path:
        """Where `running_gateway` put the configuration."""
        return self.data.with_name("jotgate.toml")

    def status(self) -> dict[str, Any]:
        """What control says of itself (`control.operator.Status`)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_STOP_S)
            connection.connect(str(self.data / "control.sock"))
            connection.sendall(b"GET /status HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    def reload(self) -> int:
        """Have the configuration read again, and wait until every worker has it. Returns the snapshot's number."""
        before = self.status()["snapshot"]
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.settled_on(before + 1), f"snapshot {before + 1} is in effect")
        return before + 1  # type: ignore[no-any-return]

    def settled_on(self, snapshot: int) -> bool:
        """Whether this snapshot, or a later one, is in effect in every worker."""
        status = self.status()
        settled = [worker["snapshot"] for worker in status["settled"]]
        return (
            status["snapshot"] >= snapshot and len(settled) == status["workers"] and min(settled, default=0) >= snapshot
        )

    def stop(self) -> int:
        """Stop it as Ctrl-C or a service manager would. Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, patience_s: float = _STOP_S) -> int:
        """Wait for its end. Returns its exit code."""
        code = self.process.wait(patience_s)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def kill(self) -> None:
        """End all of its processes at once, if any is left."""
        if self._process is None:
            return
        if self._process.poll() is None:
            for pid in self.pids.values():
                _kill(pid)
        self.wait()


def run_command(
    *arguments: str, data: Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a `jotgate` command on a DATA directory, with `stdin` as its input, to its end."""
    return subprocess.run(
        _command(*arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_START_S,
        check=False,
        env=clean_environment({"JOTGATE_DATA": str(data), **(environment or {})}),
    )


@contextmanager
def short_directory() -> Iterator[Path]:
    """A new private directory whose path is short enough for Unix sockets, gone at the end."""
    path = Path(tempfile.mkdtemp(prefix="jg-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def running_gateway(
    config: str = "", *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """A gateway in a directory of its own, with this text as `jotgate.toml`; ended with all its processes."""
    with short_directory() as directory:
        file = directory / "jotgate.toml"
        file.write_text(config)
        gateway = Gateway(directory / "data", ("--config", str(file), *arguments), environment)
        try:
            yield gateway.start()
        finally:
            gateway.kill()


def clean_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would steer jotgate, and with the additions."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOTGATE_")}
    return {**kept, **additions}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "jotgate", *arguments]


def _role(pid: int) -> str:
    """What a child is, from its command line; empty when it is ending, or has not yet become what it will be."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if _ROLE_ARGUMENT not in words:
        return ""
    role, slot = words[words.index(_ROLE_ARGUMENT) + 1 :][:2]
    return role.decode() if role == b"control" else f"{role.decode()} {slot.decode()}"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # It was quicker.
