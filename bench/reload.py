"""How long a reload of the configuration holds up a worker's event loop, under load and with a large configuration."""

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cpu import processes
from bench.errors import BenchError
from bench.jotgate import Shape, audit_fault, create_token, read_status, start_jotgate, write_configuration
from bench.load import Load
from bench.plan import Plan
from bench.rounds import write_requests
from bench.server import running
from bench.summary import Summary, summarise
from bench.tls import renew, start_entry
from jotgate.testing.certificates import Authority, Pair

PROBE: Final = Path(__file__).parent / "probe"
UPSTREAMS: Final = 100
MODELS_EACH: Final = 10
_WITHIN_S: Final = 20.0
_LOOK_S: Final = 0.005
_RPS: Final = 500
_CONNECTIONS: Final = 16
_RELOAD_S: Final = 0.5  # what one reload takes at most when the length of the load is planned

UPSTREAM: Final = """
[[upstreams]]
name = "other-{number}"
kind = "openai"
base_url = "https://other-{number}.invalid/v1"
models = [{models}]
first_byte_timeout = "{seconds}s"
"""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Milliseconds, one for each reload: the longest turn of the worker's loop, and the same without any reload.

    `cpu_ms` is the thread's own CPU time, `wall_ms` what passed on the clock, with whatever else the machine did.
    """

    reload_cpu_ms: list[float]
    reload_wall_ms: list[float]
    calm_cpu_ms: list[float]
    calm_wall_ms: list[float]

    def summaries(self) -> dict[str, Summary | None]:
        """The figure that a gate stands on."""
        return {"reload_block_ms": summarise(self.reload_cpu_ms)}


def render_others(edition: int) -> str:
    """The text of many upstreams that nobody asks; each edition changes every one of them."""
    return "".join(
        UPSTREAM.format(
            number=number,
            models=", ".join(f'"model-{number}-{model}"' for model in range(MODELS_EACH)),
            seconds=60 + edition,
        )
        for number in range(UPSTREAMS)
    )


def measure_reloads(folder: Path, upstream_port: int, load: Load, plan: Plan) -> tuple[Blocks, str | None]:
    """Reload under load, over TLS; with why the figures do not count, or None.

    It is not kept to one core: control compiles beside the worker, as it does in use.
    """
    folder.mkdir()
    installation, probes = folder / "data", folder / "probes"
    probes.mkdir()
    requests = write_requests(folder / "requests", create_token(installation), plan)
    file = write_configuration(folder, upstream_port)
    authority = Authority(folder)
    edition = Edition(file, authority)
    issued = edition.write()
    paths = os.pathsep.join(filter(None, (str(PROBE), os.environ.get("PYTHONPATH"))))
    shape = Shape(
        options=("--tls-cert", issued.cert, "--tls-key", issued.key),
        environment={"PYTHONPATH": paths, "BENCH_PROBE": str(probes)},
    )
    with ExitStack() as stack:
        server = stack.enter_context(running(start_jotgate(installation, file, None, shape)))
        entry = start_entry(folder / "entry", server, authority, load.core).server
        stack.enter_context(running(entry))
        loading = stack.enter_context(ThreadPoolExecutor(1)).submit(
            load.rate, entry.port, requests.unary, _RPS, 2 + round(plan.reloads * 2 * _RELOAD_S), _CONNECTIONS
        )
        meter = Meter(probes, _worker(server.pid))
        blocks = Blocks([], [], [], [])
        for _ in range(plan.reloads):
            calm = meter.measure(lambda: time.sleep(_RELOAD_S / 2))
            blocks.calm_cpu_ms.append(calm["cpu_ms"])
            blocks.calm_wall_ms.append(calm["wall_ms"])
            edition.write()
            found = meter.measure(lambda: _reload(server.pid, installation))
            blocks.reload_cpu_ms.append(found["cpu_ms"])
            blocks.reload_wall_ms.append(found["wall_ms"])
        fault = loading.result().fault()
        server.stop()
    return blocks, fault or audit_fault(installation, load.sent_to(entry.port))


class Edition:
    """The files of a configuration, each time others. Mutable: how often they were written."""

    def __init__(self, file: Path, authority: Authority) -> None:
        self._file = file
        self._own = file.read_text()
        self._authority = authority
        self._number = 0

    def write(self) -> Pair:
        """Change every other upstream and the certificate; each file is replaced at once."""
        self._number += 1
        new = self._file.with_suffix(".new")
        new.write_text(self._own + render_others(self._number))
        new.replace(self._file)
        return renew(self._authority)


class Meter:
    """Begins and ends the measurements of one worker's probe."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._file = folder / f"{worker}.json"
        self._on = folder / f"{worker}.on"
        self._worker = worker

    def measure(self, act: Callable[[], None]) -> dict[str, float]:
        """Measure while `act` runs. Raises BenchError when the probe does not answer."""
        self._file.unlink(missing_ok=True)
        self._on.unlink(missing_ok=True)
        os.kill(self._worker, signal.SIGUSR1)
        _await(self._on.exists, "the probe did not begin")
        act()
        os.kill(self._worker, signal.SIGUSR1)
        _await(self._file.exists, "the probe wrote nothing down")
        found: dict[str, float] = json.loads(self._file.read_text())
        return found


def _reload(supervisor: int, installation: Path) -> None:
    before = newest_everywhere(installation)
    os.kill(supervisor, signal.SIGHUP)
    _await(lambda: newest_everywhere(installation) > before, "the configuration was not read again")


def newest_everywhere(installation: Path) -> int:
    """The number of the snapshot that new calls see in every worker, at least."""
    settled = read_status(installation)["settled"]
    assert isinstance(settled, list)
    return min((int(one["snapshot"]) for one in settled), default=0)


def _worker(root: int) -> int:
    for pid in processes(root):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"jotgate.assembly" in words and b"worker" in words:
            return pid
    raise BenchError("jotgate has no worker to measure")


def _await(condition: Callable[[], bool], otherwise: str) -> None:
    deadline_s = time.monotonic() + _WITHIN_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchError(f"{otherwise} within {_WITHIN_S:.0f} s")
        time.sleep(_LOOK_S)
