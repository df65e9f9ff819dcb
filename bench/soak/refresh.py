"""One refresh token that fifty clients present at once, again and again, at two machines with one PostgreSQL."""

import asyncio
import base64
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from bench.soak.outcomes import Wrong
from bench.soak.raw import ANSWER_WITHIN_S, Door, Line, connect, read_body
from jotgate.core import refresh
from jotgate.core.accounts import ClientRecord, PrincipalRecord, SecretDigest
from jotgate.core.families import Family
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque, opaque_digest
from jotgate.store_ports import Store
from jotgate.stores.opening import open_store
from jotgate.testing.running import Gateway, running_gateway
from tests.databases import postgres

AT_ONCE: Final = 50
ROUNDS_FULL: Final = 200
ROUNDS_SMALL: Final = 20
MACHINES: Final = 2
NAME: Final = "https://gate.example"
CLIENT: Final = "app"
PAGE: Final = """\
# {rounds} refresh tokens, each presented {at_once} times at once: one successor for each, and no session lost

Run of {when}; `make soak` repeats it. Two machines of one `jotgate up` each share a PostgreSQL; half of the clients ask
the one and half the other, over kept connections. When all have their answer they present what they were given.

| | |
|---|---|
| rounds | {rounds} |
| good answers | {answers:,} |
| rotations that the store has | {rotated} |
| answers that were refused or failed, tokens that counted beside another | {faults} |
| answers a second, both machines | {rate:,.0f} |
| the slowest round | {slowest_ms:,.0f} ms |
"""
_DAY_S: Final = 86_400
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_SETTINGS: Final = """\
[server]
public_url = "{name}"
[store]
url = "{url}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines, and their store. `secret` is the client's."""

    machines: Sequence[Gateway]
    store: Store
    secret: str


@dataclass(slots=True)
class RefreshFindings:
    """What came of it. Mutable while it runs. `faults` are answers that nobody should get, and tokens too many."""

    rounds: int = 0
    answers: int = 0
    rotated: int = 0
    slowest_s: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@contextmanager
def running_fleet() -> Iterator[Fleet]:
    """Start a database and machines on it, with the client `app`, which speaks for `alice`."""
    with ExitStack() as stack:
        address = stack.enter_context(postgres()).make_database()
        settings = _SETTINGS.format(name=NAME, url=address.url)
        machines = [stack.enter_context(running_gateway(settings, environment=_MASTER)) for _ in range(MACHINES)]
        store = open_store(address)
        stack.callback(store.close)
        yield Fleet(machines, store, seed(store))


def seed(store: Store) -> str:
    """Keep the client and whom it speaks for. Returns the client's secret."""
    secret = make_opaque(Mark.CLIENT_SECRET, os.urandom(OPAQUE_BYTES)).reveal()
    client = ClientRecord(
        name=CLIENT, grants=("refresh_token",), scopes=("ai",), secrets=(SecretDigest(opaque_digest(secret), 0),)
    )
    for record in (client, PrincipalRecord(name="alice", scopes=("ai",))):
        if store.put_account(record) is None:
            raise AssertionError("the store is not empty")
    return secret


def begin(store: Store, issuer: str = NAME) -> str:
    """The first refresh token of a new family."""
    now_s = int(time.time())
    family = Family(
        family_id=os.urandom(16).hex(),
        client_id=CLIENT,
        subject="alice",
        scopes=("ai",),
        audiences=(issuer,),
        idle_s=_DAY_S,
        created_at_s=now_s,
        ends_at_s=now_s + _DAY_S,
    )
    text = make_opaque(Mark.REFRESH, os.urandom(OPAQUE_BYTES))
    store.add_family(family, refresh.first(family, text))
    return text.reveal()


def rotations(store: Store, text: str) -> int | None:
    """How often a family was rotated that lives, and of which this is the one token that counts; None: it is not.

    Each rotation of a family makes one token, whose generation is how many there were: so none counts beside the last.
    """
    found = store.find_family(opaque_digest(text))
    if found is None or found.family.ended_at_s is not None or found.token.used_at_s is not None:
        return None
    return found.token.generation if found.token.generation == found.family.version else None


def render(token: str, secret: str) -> bytes:
    """The request that presents a refresh token."""
    body = urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
    proof = base64.b64encode(f"{CLIENT}:{secret}".encode())
    head = (
        b"POST /oauth/token HTTP/1.1\r\nHost: gate.example\r\nAuthorization: Basic %b\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    )
    return head % (proof, len(body)) + body


async def present(line: Line, token: str, secret: str) -> str:
    """The refresh token that a machine gives for one.

    Raises:
        Wrong: it gives none.
        OSError, asyncio.IncompleteReadError: the connection ended before the answer did.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line.writer.write(render(token, secret))
            head = await line.reader.readuntil(b"\r\n\r\n")
            body = await read_body(line.reader, head)
    except TimeoutError:
        raise Wrong(f"no answer within {ANSWER_WITHIN_S:.0f} s") from None
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Wrong(f"{head[:40]!r} {body[:200]!r}")
    return str(json.loads(body)["refresh_token"])


async def run_refresh(fleet: Fleet, rounds: int) -> RefreshFindings:
    """Present one token so many times at once, at all machines; then its successor, and so on."""
    doors = [Door(int(one.url.rpartition(":")[2]), "", None) for one in fleet.machines]
    lines = [await connect(doors[index % MACHINES]) for index in range(AT_ONCE)]
    try:
        return await _run_rounds(fleet, lines, rounds)
    finally:
        for line in lines:
            await line.close()


async def _run_rounds(fleet: Fleet, lines: Sequence[Line], rounds: int) -> RefreshFindings:
    found = RefreshFindings()
    token = begin(fleet.store)
    began_s = time.monotonic()
    for _ in range(rounds):
        given = await _present_at_once(fleet, lines, token, found)
        if len(given) != 1 or token in given:
            found.faults.append(f"round {found.rounds}: {len(given)} successors, or the token itself")
            break
        (token,) = given
        found.rotated = rotations(fleet.store, token) or 0
        if found.rotated != found.rounds:
            found.faults.append(f"round {found.rounds}: what was given is not the one token that counts")
    found.seconds = time.monotonic() - began_s
    return found


async def _present_at_once(fleet: Fleet, lines: Sequence[Line], token: str, found: RefreshFindings) -> set[str]:
    began_s = time.monotonic()
    answers = await asyncio.gather(*(present(line, token, fleet.secret) for line in lines), return_exceptions=True)
    found.rounds += 1
    found.slowest_s = max(found.slowest_s, time.monotonic() - began_s)
    given = Counter(answer for answer in answers if isinstance(answer, str))
    found.answers += given.total()
    found.faults += [f"round {found.rounds}: {answer!r}" for answer in answers if not isinstance(answer, str)]
    return set(given)


def render_refresh(found: RefreshFindings, when: str) -> str:
    """What was found, as a page."""
    return PAGE.format(
        when=when,
        at_once=AT_ONCE,
        rounds=found.rounds,
        answers=found.answers,
        rotated=found.rotated,
        faults=len(found.faults),
        rate=found.answers / found.seconds,
        slowest_ms=found.slowest_s * 1e3,
    )
