"""Two machines that share a PostgreSQL and a Valkey, and sell tokens of upstreams that write down what they sold."""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from bench.compiler import compile_all
from bench.errors import BenchError
from bench.jotgate import audit_lines
from bench.mock import start_counting
from bench.server import Server, running
from jotgate.core.revocations import token_handle
from jotgate.testing.call_log import CallLine, read_calls
from jotgate.testing.running import Gateway, running_gateway, short_directory, until
from tests.databases import Postgres, postgres
from tests.valkeys import Valkey, valkey

MACHINES: Final = 2
WORKERS: Final = 2
PATIENCE_S: Final = 30.0
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_ISSUER: Final = "https://gate.example"
_SETTINGS: Final = """\
[server]
public_url = "{issuer}"
workers = {workers}
[store]
url = "{store}"
[hints]
url = "{hints}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
"""
_UPSTREAM: Final = """
[[upstreams]]
name = "{model}"
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
first_byte_timeout = "{silence}"
idle_timeout = "{silence}"
# What is told to fail does so again and again, and is asked all the same.
breaker_failures = 0

[[routes]]
alias = "{model}"
attempts = [{{ upstream = "{model}" }}]
output_ceiling = {ceiling}
"""


class Account(NamedTuple):
    """One account of the ledger: what it counts, and how it stands."""

    unit: str
    posted: int
    leased: int
    debt: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is started: an upstream for each model, machines of WORKERS each, and what else the settings say.

    `ceiling` is that of answers whose callers state none; an upstream that is silent for longer than `silence` is given
    up.
    """

    models: Sequence[str]
    settings: str
    ceiling: int
    machines: int = MACHINES
    silence: str = "1h"


class QuotaRig:
    """The machines and their surroundings."""

    def __init__(
        self,
        machines: Sequence[Gateway],
        database: Postgres,
        url: str,
        sellers: Mapping[str, tuple[Server, Path]],
        hints: Valkey,
    ) -> None:
        self.machines = machines
        self._database = database
        self._hints = hints
        self._url = url
        self._sellers = sellers

    @property
    def ports(self) -> list[int]:
        """Where the machines listen."""
        return [int(machine.url.rpartition(":")[2]) for machine in self.machines]

    def token(self, subject: str) -> str:
        """A token that every machine takes."""
        return self.machines[0].token(subject=subject)

    def accounts(self, subject: str = "") -> list[Account]:
        """The accounts of a subject, or all that there are, of all windows."""
        query = "SELECT unit, posted, leased, debt, lost, label FROM jotgate_ledger ORDER BY unit"
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(query).fetchall()
        handle = token_handle(_ISSUER, subject)
        return [Account(*found) for *found, label in rows if not subject or handle in json.loads(label)["holders"]]

    def charges(self) -> dict[str, int]:
        """By request id the tokens that each call was charged, as far as the audit logs have it; 0: it cost none."""
        found: dict[str, int] = {}
        for machine in self.machines:
            for line in audit_lines(machine.data / "audit"):
                record = json.loads(line.partition(b" ")[2])
                if record["kind"] == "call":
                    charge = record.get("charged", {})
                    found[record["request_id"]] = charge.get("tokens_in", 0) + charge.get("tokens_out", 0)
        return found

    def sold(self, model: str) -> list[CallLine]:
        """Stop the upstream of a model, and read what it has written down."""
        server, log = self._sellers[model]
        server.process.send_signal(signal.SIGTERM)
        if code := server.process.wait(PATIENCE_S):
            raise BenchError(f"an upstream ended with {code}: {server.last_words()}")
        return read_calls(log)

    # What is done to them

    def kill_worker(self, number: int) -> None:
        """SIGKILL to one worker; wait until another serves in its place."""
        machine = self.machines[number % len(self.machines)]
        self._kill(machine, f"worker {number // len(self.machines) % WORKERS}")

    def kill_control(self, number: int) -> None:
        """SIGKILL to one control process; wait until another speaks with the workers."""
        self._kill(self.machines[number % len(self.machines)], "control")

    def restart_database(self, number: int) -> None:  # noqa: ARG002 - there is one alone
        """The database ends as in a crash, and comes back."""
        with self._database.outage():
            pass

    def empty_hints(self, number: int) -> None:
        """Valkey loses all that it has; every other time it ends, too, as in a crash, and is started again."""
        with self._hints.client() as client:
            client.flushall()
        if number % 2:
            self._hints.kill()
            self._hints.start()

    @property
    def hinting(self) -> bool:
        """Whether every machine has told that it is in touch with the others."""
        return all("machines tell one another that units are wanted" in machine.errors for machine in self.machines)

    def _kill(self, machine: Gateway, name: str) -> None:
        until(lambda: name in machine.pids, f"{name} is there", PATIENCE_S)
        old = machine.pids[name]
        os.kill(old, signal.SIGKILL)
        until(lambda: machine.pids.get(name, old) != old and _whole(machine), f"another {name} serves", PATIENCE_S)


def _whole(machine: Gateway) -> bool:
    """Whether control speaks with all workers."""
    try:
        return int(machine.status()["workers"]) >= WORKERS
    except (OSError, ValueError):
        return False


@contextmanager
def running_sellers(shape: Shape) -> Iterator[QuotaRig]:
    """Start a database, a Valkey, upstreams (compiled where there is a compiler) and machines; end them all."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_directory())
        database = stack.enter_context(postgres())
        url = database.make_database().url
        sellers: dict[str, tuple[Server, Path]] = {}
        hints = stack.enter_context(valkey(folder))
        settings = _SETTINGS.format(issuer=_ISSUER, workers=WORKERS, store=url, hints=hints.url) + shape.settings
        for model in shape.models:
            log = folder / f"{model}.txt"
            server = stack.enter_context(running(start_counting(_program(), log)))
            sellers[model] = (server, log)
            settings += _UPSTREAM.format(model=model, port=server.port, silence=shape.silence, ceiling=shape.ceiling)
        machines = [stack.enter_context(running_gateway(settings, environment=_MASTER)) for _ in range(shape.machines)]
        yield QuotaRig(machines, database, url, sellers, hints)


def _program() -> Path | None:
    """The compiled upstream, which leaves more of the machine to what is tested; None: its twin in Python will do."""
    try:
        return compile_all().mock_upstream
    except (BenchError, OSError):
        return None
