"""The mock upstream as a process: what stands behind every candidate, and the yardstick when asked straight."""

import sys
from pathlib import Path

from bench.server import Server, free_port, launch


def start_mock(program: Path, folder: Path, core: int) -> Server:
    """Start it and wait until it listens."""
    port = free_port()
    server = launch("mock upstream", port, [program, str(port)], folder / "mock.log", core)
    server.wait_until(server.accepts)
    return server


def start_counting(program: Path | None, log: Path, tokens_per_s: int = 0) -> Server:
    """Start one that counts tokens and writes each call down in `log` (`jotgate.testing.call_log`).

    It is the program, or without one its twin in Python. `tokens_per_s` paces each call that does not say it itself; 0:
    none is paced. `stop` it before what it wrote is read.
    """
    port = free_port()
    command: list[str | Path] = [program] if program else [sys.executable, "-P", "-m", "jotgate.testing.token_upstream"]
    command += [str(port), "--log", log]
    if tokens_per_s:
        command += ["--pace", str(tokens_per_s)]
    server = launch("token upstream", port, command, log.with_suffix(".out"), None)
    server.wait_until(server.accepts)
    return server
