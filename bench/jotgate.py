"""The candidate that matters: `jotgate up` with one worker, asked with a token that `jotgate token create` made."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.load import MODEL
from bench.server import Server, environment, free_port, launch
from jotgate.jose.jwt import peek_unverified
from jotgate.jose.keys import public_jwk, signing_key_from_pem

CONFIGURATION: Final = """\
[[upstreams]]
name = "mock"
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["{model}"]
"""
COMMAND_WITHIN_S: Final = 120


def find_jotgate() -> Path:
    """The console script beside this interpreter.

    Raises:
        BenchError: jotgate is not installed in this environment.
    """
    script = Path(sys.executable).parent / "jotgate"
    if not script.is_file():
        raise BenchError(f"{script} is missing; `make setup` installs jotgate into the environment")
    return script


def write_configuration(folder: Path, upstream_port: int) -> Path:
    """A jotgate.toml that serves the bench's model from the mock upstream."""
    path = folder / "jotgate.toml"
    path.write_text(CONFIGURATION.format(port=upstream_port, model=MODEL))
    return path


@dataclass(frozen=True, slots=True)
class Shape:
    """How jotgate is started: further options, and what is added to its environment."""

    workers: int = 1
    options: tuple[str | Path, ...] = ()
    environment: Mapping[str, str] | None = None


PLAIN: Final = Shape()


def launch_jotgate(installation: Path, configuration: Path, core: int | None, shape: Shape = PLAIN) -> Server:
    """Start `jotgate up` on a directory and do not wait for it."""
    port = free_port()
    command: list[str | Path] = [find_jotgate(), "up", "--data", installation, "--port", str(port)]
    command += ["--workers", str(shape.workers), "--config", configuration, *shape.options]
    return launch("jotgate", port, command, installation.with_suffix(".log"), core, additions=shape.environment)


def start_jotgate(installation: Path, configuration: Path, core: int | None, shape: Shape = PLAIN) -> Server:
    """Start `jotgate up` and wait until it has printed its URL, which it does when it is ready."""
    server = launch_jotgate(installation, configuration, core, shape)
    server.wait_until(lambda: f"://127.0.0.1:{server.port}" in server.said())
    return server


def create_token(installation: Path) -> str:
    """An access token for all operations that lives for an hour."""
    return run_jotgate("token", "create", "--subject", "bench", "--data", str(installation)).strip()


@dataclass(frozen=True, slots=True)
class IssuerFacts:
    """What another verifier must know to take jotgate's tokens: the issuer, the audience, the JWK Set as JSON."""

    name: str
    audience: str
    key_set: str


def issuer_facts(installation: Path, token: str) -> IssuerFacts:
    """The facts about an installation that issued a token, read from the token and from its key file."""
    _, claims = peek_unverified(token.encode())
    keys = []
    for file in sorted((installation / "keys").glob("*.pem")):
        key = signing_key_from_pem(file.read_bytes(), file.name.partition(".")[0])
        keys.append(public_jwk(key.verification_key))
    return IssuerFacts(str(claims["iss"]), str(claims["aud"]), json.dumps({"keys": keys}))


def read_status(installation: Path) -> dict[str, object]:
    """What the running control says of itself on its socket."""
    connection = _UnixConnection(installation / "control.sock")
    try:
        connection.request("GET", "/status")
        found = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, json.JSONDecodeError) as error:
        raise BenchError(f"jotgate's control does not say how it is: {error}") from error
    finally:
        connection.close()
    if not isinstance(found, dict):
        raise BenchError(f"jotgate's control says '{found}'")
    return found


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def run_jotgate(*arguments: str) -> str:
    """Run one command of jotgate's and return its stdout.

    Raises:
        BenchError: it did not exit with 0.
    """
    done = subprocess.run(
        [find_jotgate(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_WITHIN_S,
        env=environment(os.environ),
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise BenchError(f"`jotgate {' '.join(arguments)}` ended with {done.returncode}: {said}")
    return done.stdout


def audit_fault(installation: Path, requests: int) -> str | None:
    """Why the audit log does not account for the requests, or None: it verifies, and has one row for each."""
    try:
        run_jotgate("audit", "verify", "--data", str(installation))
    except BenchError as error:
        return str(error)
    counts = count_calls(audit_lines(installation / "audit"))
    good, other = counts["good"], counts.total() - counts["good"]
    if good == requests and not other:
        return None
    return f"the audit log has {good} rows of complete calls and {other} others for {requests} requests"


def audit_lines(folder: Path) -> Iterator[bytes]:
    """All lines of all segments."""
    for segment in sorted(folder.iterdir()):
        with segment.open("rb") as lines:
            yield from lines


def count_calls(lines: Iterable[bytes]) -> Counter[str]:
    """Count the call rows: `good` ones were answered whole with 200, a `repeated` one is there already."""
    counts: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for line in lines:
        record = json.loads(line.partition(b" ")[2])
        if record["kind"] != "call":
            continue
        row = (record["worker"], record["row"])
        good = record["status"] == 200 and record["outcome"] == "complete"
        counts["repeated" if row in seen else "good" if good else "bad"] += 1
        seen.add(row)
    return counts
