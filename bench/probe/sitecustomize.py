"""What Python runs first in the processes of a probed jotgate: measures how long a worker's event loop is held up.

With this folder on PYTHONPATH and BENCH_PROBE naming a folder, each worker has the probe. A first SIGUSR1 begins a
measurement, a second ends it and writes `PID.json`: the longest turn of the loop in the thread's own CPU time, and the
longest in wall time, both in milliseconds. While it measures, a callback stands ready in every turn, so that the loop
never sleeps and a turn holds all callbacks that ran between two readings: no single one can be longer than is found.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import uvloop


class Probe:
    """Measures the turns of one loop between two signals."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self._loop = loop
        self._file = folder / f"{os.getpid()}.json"
        self._on = False
        self._cpu_s = self._wall_s = 0.0
        self._longest_cpu_s = self._longest_wall_s = 0.0
        self._turns = 0

    def signalled(self) -> None:
        """Begin, or end and write down."""
        self._on = not self._on
        if self._on:
            self._longest_cpu_s = self._longest_wall_s = 0.0
            self._turns = 0
            self._cpu_s, self._wall_s = time.thread_time(), time.perf_counter()
            self._loop.call_soon(self._turn)
            self._file.with_suffix(".on").touch()
            return
        found = {
            "cpu_ms": self._longest_cpu_s * 1e3,
            "wall_ms": self._longest_wall_s * 1e3,
            "turns": self._turns,
        }
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(found))
        new.replace(self._file)

    def _turn(self) -> None:
        if not self._on:
            return
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        self._longest_cpu_s = max(self._longest_cpu_s, cpu_s - self._cpu_s)
        self._longest_wall_s = max(self._longest_wall_s, wall_s - self._wall_s)
        self._cpu_s, self._wall_s = cpu_s, wall_s
        self._turns += 1
        self._loop.call_soon(self._turn)


def install(folder: Path) -> None:
    """Put the probe into the loop that the worker is about to run."""
    run = uvloop.run

    def probed_run(main: Coroutine[Any, Any, None]) -> None:
        async def probed() -> None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, Probe(loop, folder).signalled)
            await main

        run(probed())

    uvloop.run = cast("Any", probed_run)


if "BENCH_PROBE" in os.environ and {"jotgate.assembly", "worker"} <= set(sys.orig_argv):
    install(Path(os.environ["BENCH_PROBE"]))
