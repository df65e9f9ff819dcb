"""Streams of a token, its child and its grandchild on two machines, cut by `jotgate token revoke`, again and again."""

import asyncio
import base64
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlencode, urlsplit

from bench.soak.outcomes import Wrong
from bench.soak.raw import Door, Line, connect, render
from jotgate.jose.jwt import peek_unverified
from jotgate.testing.running import Gateway, run_command, running_gateway
from jotgate.testing.upstream import Gate, chunked, upstream_in_thread
from tests.databases import postgres

TRIALS_FULL: Final = 60
TRIALS_SMALL: Final = 3
BOUND_S: Final = 1.5
MACHINES: Final = 2
LINES: Final = 4
"""Streams of each token on each machine: enough that both of its workers have some."""
BYSTANDERS: Final = 4
GENERATIONS: Final = ("root", "child", "grandchild")
PAGE: Final = """\
# {cuts:,} streams of revoked tokens: the last one cut after {longest_ms:,.0f} ms

Run of {when}; `make soak` repeats it. Two machines of two workers each share a PostgreSQL. In each of {trials} trials a
client gets a token, narrows it, and narrows that again; {lines} streams of each of the three run on each machine when
`jotgate token revoke` of the first is called on one of them. A stream is cut when its caller has the error event.

| | |
|---|---|
| streams cut | {cuts:,} |
| after the command said that it was done: median, 99th of a hundred, 999th of a thousand, last | {after} |
| the same since the command was called, which starts Python and opens the bus | {since} |
| the bound, after the command | {bound_ms:,.0f} ms |
| streams of another token that ran all the while | {bystanders}, none of them cut |
| streams that ended otherwise, calls of revoked tokens that were taken afterwards | {faults} |
"""
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_SETTINGS: Final = """\
[server]
public_url = "https://gate.example"
workers = 2
[store]
url = "{store}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
[[upstreams]]
name = "endless"
kind = "openai"
base_url = "{upstream}"
models = ["said"]
idle_timeout = "1h"
total_timeout = "1h"
"""
_EVENT: Final = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
_PATIENCE_S: Final = 10.0
_CLIENT: Final = "agent"
_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True, slots=True)
class Pair:
    """The machines, and the proof of the client that gets tokens."""

    machines: Sequence[Gateway]
    proof: str


@dataclass(slots=True)
class CutFindings:
    """What came of it. Mutable while it runs. Times in seconds; `faults` are what must not be."""

    trials: int = 0
    after_s: list[float] = field(default_factory=list)
    since_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@contextmanager
def running_pair() -> Iterator[Pair]:
    """Start a database, an upstream whose streams do not end, and machines."""
    with ExitStack() as stack:
        address = stack.enter_context(postgres()).make_database()
        upstream = stack.enter_context(upstream_in_thread())
        upstream.default = chunked(_EVENT, Gate())
        settings = _SETTINGS.format(store=address.url, upstream=upstream.base_url)
        machines = [stack.enter_context(running_gateway(settings, environment=_MASTER)) for _ in range(MACHINES)]
        yield Pair(machines, _make_client(machines[0]))


def _make_client(gateway: Gateway) -> str:
    words = ("--grant", "client_credentials", "--grant", "token_exchange", "--scope", "ai")
    done = run_command("client", "create", _CLIENT, *words, "--json", data=gateway.data)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    secret = json.loads(done.stdout)["client_secret"]
    return base64.b64encode(f"{_CLIENT}:{secret}".encode()).decode()


async def run_cuts(pair: Pair, trials: int) -> CutFindings:
    """Revoke so many roots, one after the other."""
    found = CutFindings()
    bystander = await asyncio.to_thread(get_token, pair, {"grant_type": "client_credentials"})
    beside = [await open_stream(machine, bystander) for machine in pair.machines for _ in range(BYSTANDERS)]
    try:
        for _ in range(trials):
            await _try_once(pair, found)
        found.faults += ["a stream of another token has ended" for line in beside if line.reader.at_eof()]
    finally:
        for line in beside:
            await line.close()
    return found


async def _try_once(pair: Pair, found: CutFindings) -> None:
    tokens = await asyncio.to_thread(make_tokens, pair)
    lines = [await open_stream(machine, token) for token in tokens for machine in pair.machines for _ in range(LINES)]
    cuts = [asyncio.create_task(until_cut(line)) for line in lines]
    jti = str(peek_unverified(tokens[0].encode())[1]["jti"])
    began_s = time.monotonic()
    done = await asyncio.to_thread(run_command, "token", "revoke", "--yes", "--", jti, data=pair.machines[0].data)
    ended_s = time.monotonic()
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    for outcome in await asyncio.gather(*cuts, return_exceptions=True):
        if isinstance(outcome, float):
            found.after_s.append(max(0.0, outcome - ended_s))
            found.since_s.append(outcome - began_s)
        else:
            found.faults.append(f"trial {found.trials}: {outcome!r}")
    for line in lines:
        await line.close()
    for generation, token in zip(GENERATIONS, tokens, strict=True):
        for machine in pair.machines:
            answer = await asyncio.to_thread(_chat, machine, token)
            if answer != 401:
                found.faults.append(f"trial {found.trials}: a call of the {generation} is answered {answer}")
    found.trials += 1


def make_tokens(pair: Pair) -> list[str]:
    """A token, one that was narrowed from it, and one that was narrowed from that."""
    tokens = [get_token(pair, {"grant_type": "client_credentials"})]
    for _ in GENERATIONS[1:]:
        form = {"grant_type": _EXCHANGE, "subject_token": tokens[-1], "subject_token_type": _ACCESS_TOKEN}
        tokens.append(get_token(pair, form))
    return tokens


def get_token(pair: Pair, form: Mapping[str, str]) -> str:
    """What the token endpoint of the first machine gives the client. Raises Wrong when it gives nothing."""
    fields = {"Authorization": f"Basic {pair.proof}", "Content-Type": "application/x-www-form-urlencoded"}
    status, body = _post(pair.machines[0], "/oauth/token", urlencode(form), fields)
    if status != 200:
        raise Wrong(f"the token endpoint answers {status} {body[:300]!r}")
    return str(json.loads(body)["access_token"])


def _chat(gateway: Gateway, token: str) -> int:
    body = '{"model":"echo","messages":[{"role":"user","content":"hi"}]}'
    return _post(gateway, "/v1/chat/completions", body, {"Authorization": f"Bearer {token}"})[0]


def _post(gateway: Gateway, path: str, body: str, fields: Mapping[str, str]) -> tuple[int, bytes]:
    address = urlsplit(gateway.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE_S)
    try:
        connection.request("POST", path, body, dict(fields))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def open_stream(gateway: Gateway, token: str) -> Line:
    """A stream whose first event has come."""
    door = Door(urlsplit(gateway.url).port or 0, token, None)
    line = await connect(door)
    line.writer.write(render(door, "hi", stream=True))
    async with asyncio.timeout(_PATIENCE_S):
        head = await line.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Wrong(f"{head[:60]!r}")
        await line.reader.readuntil(_EVENT + b"\r\n")
    return line


async def until_cut(line: Line) -> float:
    """When the error event came (monotonic seconds), once the stream has ended behind it.

    Raises:
        Wrong: it ended otherwise, or not at all.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S + BOUND_S):
            said = await line.reader.readuntil(b'"code":"token_revoked"')
            cut_s = time.monotonic()
            said += await line.reader.read()
    except TimeoutError:
        raise Wrong("a stream was not cut") from None
    except asyncio.IncompleteReadError as error:
        raise Wrong(f"a stream ended with {error.partial[-100:]!r}") from None
    if b"\r\n0\r\n" in said:
        raise Wrong("a stream that was cut looks whole")
    return cut_s


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def render_cuts(found: CutFindings, when: str) -> str:
    """What was found, as a page."""
    return PAGE.format(
        when=when,
        trials=found.trials,
        lines=LINES,
        cuts=len(found.after_s),
        longest_ms=max(found.after_s) * 1e3,
        after=_spread(found.after_s),
        since=_spread(found.since_s),
        bound_ms=BOUND_S * 1e3,
        bystanders=BYSTANDERS * MACHINES,
        faults=len(found.faults),
    )


def _spread(values: Sequence[float]) -> str:
    return ", ".join(f"{percentile(values, share) * 1e3:,.0f} ms" for share in (0.5, 0.99, 0.999, 1.0))
