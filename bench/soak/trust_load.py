"""Eight connections that bring tokens without pause, and the account of what became of each."""

import asyncio
import json
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from bench.soak.outcomes import Closed
from bench.soak.raw import ANSWER_WITHIN_S, Door, Line, connect, read_body
from bench.soak.tokens import FAULTS, Token, Verdict, Wallet, Whose, judge

CONNECTIONS: Final = 8
_PAUSE_S: Final = 0.005
_BODY: Final = b'{"model":"echo","messages":[{"role":"user","content":"hello"}]}'
_REQUEST: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
)


class Reply(NamedTuple):
    """An answer's status, the code of its error, and whether the connection goes on."""

    status: int
    code: str
    goes_on: bool


class Fault(NamedTuple):
    """A token that met what it must not, at a moment counted from the start."""

    verdict: Verdict
    token: Token
    status: int
    code: str
    at_s: float
    took_s: float

    def __str__(self) -> str:
        what = f"{self.token.whose} '{self.token.name}'"
        return f"{self.verdict}: {what} got {self.status} {self.code} at {self.at_s:.3f} s, in {self.took_s:.3f} s"


@dataclass
class Account:
    """What became of all tokens, from all threads. Mutable."""

    began_s: float = field(default_factory=time.monotonic)
    verdicts: Counter[tuple[Whose, Verdict]] = field(default_factory=Counter)
    names: set[tuple[Whose, str, bool]] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    refusals: Counter[tuple[int, str]] = field(default_factory=Counter)
    early: Counter[tuple[int, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, token: Token, reply: Reply, began_s: float) -> Verdict:
        """Count one answer to a token that was sent at `began_s`."""
        verdict = judge(token, reply.status, began_s)
        with self._lock:
            self.verdicts[token.whose, verdict] += 1
            self.names.add((token.whose, token.name, token.wrong))
            if token.wrong:
                self.refusals[reply.status, reply.code] += 1
            if verdict == "too new to be owed, refused":
                self.early[reply.status, reply.code] += 1
            if verdict in FAULTS:
                took_s = time.monotonic() - began_s
                self.faults.append(Fault(verdict, token, reply.status, reply.code, began_s - self.began_s, took_s))
        return verdict

    def count(self, verdict: Verdict) -> int:
        """How many of both."""
        return sum(count for (_, found), count in self.verdicts.items() if found == verdict)

    def kinds(self, *, wrong: bool) -> int:
        """How many different keys good tokens had that were sent, or how many kinds wrong ones were."""
        return sum(is_wrong is wrong for _, _, is_wrong in self.names)


async def ask(line: Line, token: bytes) -> Reply:
    """One chat completion with this token.

    Raises:
        Closed: the connection ended before the answer did.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line.writer.write(_REQUEST % (token, len(_BODY), _BODY))
            head = await line.reader.readuntil(b"\r\n\r\n")
            body = await read_body(line.reader, head)
    except (asyncio.IncompleteReadError, OSError, TimeoutError) as error:
        raise Closed(repr(error)) from error
    status = int(head[9:12])
    code = "" if status == 200 else str(json.loads(body)["error"]["code"])
    return Reply(status, code, b"\r\nconnection: close\r\n" not in head.lower())


class Kept:
    """A connection that is opened anew when the gateway has closed it. Mutable."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._line: Line | None = None

    async def ask(self, token: bytes) -> Reply:
        """Bring a token; status 0 and the reason when no answer came."""
        if self._line is not None and self._line.gone:
            await self.close()
        try:
            self._line = self._line or await connect(self._door)
            reply = await ask(self._line, token)
        except Closed as error:
            await self.close()
            return Reply(0, str(error), goes_on=False)
        if not reply.goes_on:
            await self.close()
        return reply

    async def close(self) -> None:
        """Close it."""
        if self._line is not None:
            await self._line.close()
            self._line = None


class Bearers:
    """Connections that ask as long as the context lasts, on a loop and a thread of their own. Mutable."""

    def __init__(self, port: int, wallet: Wallet, account: Account) -> None:
        self._door = Door(port, "", None)
        self._wallet = wallet
        self._account = account
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "bearers")
        self._ended: Future[None] | None = None

    def __enter__(self) -> Self:
        self._ended = self._thread.submit(self._loop.run_until_complete, self._ask_all())
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.shutdown()
        self._loop.close()
        if self._ended is not None:
            self._ended.result()

    def bring(self, token: Token) -> Verdict:
        """Bring one token at once, over a connection of its own."""
        return asyncio.run_coroutine_threadsafe(self._bring(token), self._loop).result()

    async def _bring(self, token: Token) -> Verdict:
        kept = Kept(self._door)
        began_s = time.monotonic()
        reply = await kept.ask(token.text)
        await kept.close()
        return self._account.enter(token, reply, began_s)

    async def _ask_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(self._keep_asking())

    async def _keep_asking(self) -> None:
        kept = Kept(self._door)
        while not self._stop.is_set():
            token = self._wallet.draw()
            began_s = time.monotonic()
            self._account.enter(token, await kept.ask(token.text), began_s)
            await asyncio.sleep(_PAUSE_S)
        await kept.close()
