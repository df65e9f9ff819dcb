"""A thousand revocations at one machine, and how long after each no worker of it and of another takes the token."""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from bench.soak.outcomes import Wrong
from bench.soak.raw import ANSWER_WITHIN_S, Door, Line, connect, read_body
from jotgate.cli.operator import ask_control
from jotgate.core.account_orders import AccountAnswer, AccountOrder
from jotgate.core.account_values import ClientValues
from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.core.holder_orders import HolderAnswer, HolderOrder
from jotgate.core.issuers import OURS
from jotgate.core.token_orders import TokenAnswer, TokenOrder
from jotgate.jose import jwt
from jotgate.jose.keys import SigningKey, signing_key_from_pem
from jotgate.stores.directory import DataDirectory
from jotgate.testing.running import Gateway, run_command, running_gateway
from tests.databases import postgres

REVOCATIONS_FULL: Final = 1_000
REVOCATIONS_SMALL: Final = 12
REFUSED_WITHIN_S: Final = 1.0
PAGE: Final = """\
# {trials:,} revocations at one machine: refused by both workers of another within {other_p999:,.0f} ms at p99.9

Run of {when}, {seconds:.0f} s; `make soak` repeats it. Two machines of `jotgate up --workers 2` share a PostgreSQL. In
turn a token, all tokens of a client and all of a subject are revoked at the first machine, which is told so over its
control socket. Each worker of both machines has taken the token just before, over a connection of its own, and is asked
again until it refuses it. Times run from when the order is sent until the last of both workers has refused.

| refused by both workers of | p50 | p99 | p99.9 | longest |
|---|---|---|---|---|
| the machine that was told | {here} |
| the other machine | {there} |

The order was answered within {answered:,.0f} ms at p99.9. Tokens that were taken after a worker had refused them, and
good ones that were refused: {faults}.
"""
_TRACKS: Final = 2
"""So many revocations are under way at once."""
_WORKERS: Final = 2
_MACHINES: Final = 2
_CONNECTIONS_MAX: Final = 64
_PAUSE_S: Final = 0.01
_GIVEN_UP_S: Final = 10.0
_AGE_S: Final = 60
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_NAME: Final = "https://gate.example"
_SETTINGS: Final = """\
[server]
public_url = "{name}"
workers = {workers}
[store]
url = "{url}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
"""


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines; orders go to the first. `key` signs their tokens."""

    machines: Sequence[Gateway]
    key: SigningKey


@dataclass(slots=True)
class RevocationFindings:
    """What came of it. Mutable while it runs. Times are seconds, one for each trial."""

    answered: list[float] = field(default_factory=list)
    here: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@contextmanager
def running_machines() -> Iterator[Machines]:
    """Start a database and two machines on it."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres()).make_database().url
        settings = _SETTINGS.format(name=_NAME, workers=_WORKERS, url=url)
        machines = [stack.enter_context(running_gateway(settings, environment=_MASTER)) for _ in range(_MACHINES)]
        yield Machines(machines, _read_key(machines[0], Path(stack.enter_context(tempfile.TemporaryDirectory()))))


def _read_key(machine: Gateway, folder: Path) -> SigningKey:
    """The private part of the key that signs: a thousand tokens are made by hand, and not by a thousand commands."""
    listed = run_command("key", "list", "--json", data=machine.data, environment=_MASTER).stdout
    (kid,) = [one["kid"] for one in json.loads(listed)["keys"] if one["state"] == "active"]
    file = folder / "signing.pem"
    command = ("key", "export", "--private", "--out", str(file), "--", kid)
    done = run_command(*command, data=machine.data, environment=_MASTER)
    if done.returncode:
        raise Wrong(done.stderr)
    return signing_key_from_pem(file.read_bytes(), "ES256", kid)


class _Worker:
    """A kept connection to one worker of one machine."""

    def __init__(self, line: Line, name: str) -> None:
        self._line = line
        self.name = name

    async def takes(self, token: str) -> bool:
        """Whether it takes this token."""
        status, _ = await _ask(self._line, token)
        return status == b"200"

    async def close(self) -> None:
        await self._line.close()


async def _ask(line: Line, token: str) -> tuple[bytes, str]:
    """The status of a list of models, and which worker has answered."""
    fields = b"Host: gate.example\r\nAuthorization: Bearer %b\r\n\r\n" % token.encode()
    line.writer.write(b"GET /v1/models HTTP/1.1\r\n" + fields)
    async with asyncio.timeout(ANSWER_WITHIN_S):
        head = await line.reader.readuntil(b"\r\n\r\n")
        body = await read_body(line.reader, head)
    status = head.split(b" ", 2)[1]
    if status != b"200" and b"token_revoked" not in body:
        raise Wrong(f"{head[:60]!r} {body[:300]!r}")
    named = head.lower().partition(b"\r\nx-request-id: ")[2].partition(b"\r\n")[0].decode()
    return status, named.split("-")[1]


async def _meet_workers(machine: Gateway, token: str) -> list[_Worker]:
    """One connection to each worker of a machine: new ones are opened until each has answered on one."""
    door = Door(int(machine.url.rpartition(":")[2]), "", None)
    found: dict[str, _Worker] = {}
    for _ in range(_CONNECTIONS_MAX):
        line = await connect(door)
        _, name = await _ask(line, token)
        if name in found:
            await line.close()
        else:
            found[name] = _Worker(line, name)
        if len(found) == _WORKERS:
            return list(found.values())
    raise Wrong(f"only {len(found)} workers answered on {_CONNECTIONS_MAX} connections")


class _Track:
    """Revokes one token after the other, and watches all workers."""

    def __init__(self, machines: Machines, found: RevocationFindings, numbers: Iterator[int], trials: int) -> None:
        self._where = machines
        self._found = found
        self._numbers = numbers
        self._trials = trials
        self._others = self._mint(-1)
        self._workers: list[list[_Worker]] = []

    async def run(self) -> None:
        """Make trials until there were enough."""
        self._workers = [await _meet_workers(one, self._others) for one in self._where.machines]
        try:
            while (number := next(self._numbers)) < self._trials:
                await self._try(number)
        finally:
            for worker in [one for machine in self._workers for one in machine]:
                await worker.close()

    def _mint(self, number: int) -> str:
        now_s = int(time.time())
        claims: dict[str, object] = {
            "iss": _NAME,
            "sub": f"subject-{number}",
            "client_id": f"client-{number}",
            "jti": f"token-{number}",
            "aud": _NAME,
            "iat": now_s - _AGE_S,
            "exp": now_s + 3_600,
            "scope": "ai",
        }
        return jwt.sign(claims, ACCESS_TOKEN_TYPE, self._where.key).decode()

    async def _try(self, number: int) -> None:
        token = self._mint(number)
        await asyncio.to_thread(self._name, number)
        for worker in [one for machine in self._workers for one in machine]:
            if not await worker.takes(token):
                self._found.faults.append(f"trial {number}: a good token was refused")
        began_s = time.monotonic()
        answered, *times = await asyncio.gather(
            asyncio.to_thread(self._revoke, number),
            *(self._watch(token, worker, began_s) for machine in self._workers for worker in machine),
        )
        self._found.answered.append(answered - began_s)
        self._found.here.append(max(times[:_WORKERS]))
        self._found.there.append(max(times[_WORKERS:]))
        for worker in [one for machine in self._workers for one in machine]:
            if await worker.takes(token) or not await worker.takes(self._others):
                self._found.faults.append(f"trial {number}: a revoked token was taken again, or another refused")

    def _name(self, number: int) -> None:
        """Make client and subject known: nobody revokes what a name has that nobody bears."""
        values = ClientValues(grants=("client_credentials",), scopes=("ai",))
        directory = DataDirectory(self._where.machines[0].data)
        for name in (f"client-{number}", f"subject-{number}"):
            order = AccountOrder(noun="client", action="create", name=name, client=values)
            ask_control(directory, "/accounts", order, AccountAnswer)

    def _revoke(self, number: int) -> float:
        directory = DataDirectory(self._where.machines[0].data)
        orders: Sequence[Callable[[], object]] = (
            lambda: ask_control(
                directory,
                "/tokens/revoke",
                TokenOrder(token_ids=(f"token-{number}",), issuer=OURS, confirmed=True),
                TokenAnswer,
            ),
            lambda: ask_control(
                directory,
                "/tokens/revoke-of",
                HolderOrder(kind="client", name=f"client-{number}", confirmed=True),
                HolderAnswer,
            ),
            lambda: ask_control(
                directory,
                "/tokens/revoke-of",
                HolderOrder(kind="subject", name=f"subject-{number}", confirmed=True),
                HolderAnswer,
            ),
        )
        orders[number % len(orders)]()
        return time.monotonic()

    async def _watch(self, token: str, worker: _Worker, began_s: float) -> float:
        """The time until a worker refuses."""
        while await worker.takes(token):
            if time.monotonic() - began_s > _GIVEN_UP_S:
                raise Wrong(f"a worker takes a token {_GIVEN_UP_S:.0f} s after it was revoked")
            await asyncio.sleep(_PAUSE_S)
        return time.monotonic() - began_s


async def run_revocations(machines: Machines, trials: int) -> RevocationFindings:
    """Revoke so many, some at once.

    Raises:
        Wrong: a worker answered otherwise, or did not refuse within ten seconds.
    """
    found, numbers, began_s = RevocationFindings(), count(), time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(_TRACKS):
            tasks.create_task(_Track(machines, found, numbers, trials).run())
    found.seconds = time.monotonic() - began_s
    return found


def quantile(times: Sequence[float], share: float) -> float:
    """The time within which this share of all were."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def render_revocations(found: RevocationFindings, when: str) -> str:
    """What was found, as a page."""

    def row(times: Sequence[float]) -> str:
        shown = [quantile(times, share) for share in (0.5, 0.99, 0.999)]
        return " | ".join(f"{one * 1e3:,.0f} ms" for one in (*shown, max(times)))

    return PAGE.format(
        when=when,
        trials=len(found.there),
        seconds=found.seconds,
        other_p999=quantile(found.there, 0.999) * 1e3,
        here=row(found.here),
        there=row(found.there),
        answered=quantile(found.answered, 0.999) * 1e3,
        faults=len(found.faults),
    )
