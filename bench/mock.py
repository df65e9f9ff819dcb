"""The mock upstream as a process: what stands behind every candidate, and the yardstick when asked straight."""

from pathlib import Path

from bench.server import Server, free_port, launch


def start_mock(program: Path, folder: Path, core: int) -> Server:
    """Start it and wait until it listens."""
    port = free_port()
    server = launch("mock upstream", port, [program, str(port)], folder / "mock.log", core)
    server.wait_until(server.accepts)
    return server
