"""Clients that ask for tokens until they are told, again and again, that there are none left."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

CLIENTS: Final = 64
SPENT_S: Final = 4.0
"""A client has enough when it was refused for so long, without an answer in between."""
ANSWER_WITHIN_S: Final = 120.0
PAUSED: Final = frozenset({"closed", "quota_unavailable", "control_unavailable"})
"""What is to be expected while something is out of reach; the next call waits a moment."""
KNOWN: Final = frozenset(
    {"answered", "left", "quota_exceeded", "cut: quota_exceeded", "cut: quota_unavailable", *PAUSED}
)
"""What may come of a call whose upstream does not fail."""
_REFUSED_PAUSE_S: Final = 0.5
_PAUSE_S: Final = 0.1
_LEAVES_AFTER_S: Final = 0.02
_FAULTS_MAX: Final = 100
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CODE: Final = re.compile(rb'"code": *"([a-z_]+)"')
_USAGE: Final = re.compile(rb'"total_tokens": *(\d+)')
_TOKEN: Final = b"tok "


class _Left(Exception):
    """The caller has gone away, as it wished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One call: `body` is what is sent; `leaves`: the caller goes away before it has the whole answer."""

    body: bytes
    stream: bool
    leaves: bool = False


def make_wish(model: str, words: str, *, stream: bool, leaves: bool = False, **members: object) -> Wish:
    """A call whose prompt holds these words for the upstream (bench/mock_upstream.c)."""
    whole = {"model": model, "messages": [{"role": "user", "content": words}], "stream": stream, **members}
    return Wish(body=json.dumps(whole, separators=(",", ":")).encode(), stream=stream, leaves=leaves)


Wishes = Callable[[], Wish]
"""What a client asks for next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appetite:
    """How much calls want: from `least` to `most` tokens, `pause_us` before each, `piece` of them in an event."""

    least: int
    most: int
    pause_us: int
    piece: int = 1

    def words(self, chance: random.Random) -> str:
        """A prompt that says it."""
        return f"n={chance.randint(self.least, self.most)},i={self.pause_us} k={self.piece}"


def mixed(model: str, appetite: Appetite, seed: int) -> Wishes:
    """Streams and whole answers, with ceilings and without, with usage and without; some callers leave."""
    chance = random.Random(seed)  # noqa: S311 - the same in every run

    def one() -> Wish:
        stream = chance.random() < 0.6
        members: dict[str, object] = {}
        if chance.random() < 0.5:
            name = chance.choice(("max_tokens", "max_completion_tokens"))
            members[name] = chance.randint(appetite.least, appetite.most)
        if stream and chance.random() < 0.5:
            members["stream_options"] = {"include_usage": True}
        return make_wish(model, appetite.words(chance), stream=stream, leaves=chance.random() < 0.02, **members)

    return one


@dataclass(slots=True)
class Answer:
    """What comes of a call. Mutable while it is read: `words`, the tokens that came. `tokens` is what usage said."""

    status: int = 0
    words: int = 0
    tokens: int | None = None
    code: str = ""
    whole: bool = False
    left: bool = False

    @property
    def kind(self) -> str:
        """Its name among the counts."""
        if self.left:
            return "left"
        if self.code:
            return f"cut: {self.code}" if self.status == 200 else self.code
        return "answered" if self.whole else "closed"


@dataclass(slots=True)
class Crowd:
    """What all clients have seen. Mutable.

    `known` is what may come of a call. `spent` are the tokens of calls that are over, `coming` those that came of
    others; `first` is how many had come to all when somebody was told for the first time that the quota is spent.
    """

    known: frozenset[str] = KNOWN
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    spent: int = 0
    coming: int = 0
    first: int | None = None

    def over(self, answer: Answer) -> None:
        """Count a call that is over."""
        self.counts[answer.kind] += 1
        self.coming -= answer.words
        self.spent += answer.words if answer.tokens is None else answer.tokens
        if answer.code == "quota_exceeded" and self.first is None:
            self.first = self.spent + self.coming
        if answer.kind not in self.known:
            self.fault(f"a call ended as '{answer.kind}': {answer}")

    def fault(self, what: str) -> None:
        """Keep what must not be."""
        if len(self.faults) < _FAULTS_MAX:
            self.faults.append(what)


class Client:
    """One of them. It asks one machine, over a connection that it keeps. Mutable: the connection."""

    def __init__(self, crowd: Crowd, port: int, token: str, wishes: Wishes) -> None:
        self._crowd = crowd
        self._port = port
        self._token = token.encode()
        self._wishes = wishes
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_until_spent(self) -> None:
        """Ask until it was refused for SPENT_S."""
        refused_s: float | None = None
        while refused_s is None or time.monotonic() - refused_s < SPENT_S:
            answer = await self.ask_once()
            if answer.kind == "quota_exceeded":
                refused_s = refused_s or time.monotonic()
                await asyncio.sleep(_REFUSED_PAUSE_S)
            elif answer.kind == "answered":
                refused_s = None
        self.close()

    async def ask_once(self) -> Answer:
        """Make one call; returns what came of it."""
        answer = Answer()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._ask(self._wishes(), answer)
        except (OSError, asyncio.IncompleteReadError, _Left) as error:
            answer.left = isinstance(error, _Left)
            self.close()
        except TimeoutError:
            self._crowd.fault(f"no end of an answer after {ANSWER_WITHIN_S:g} s: {answer}")
            self.close()
        self._crowd.over(answer)
        if answer.kind in PAUSED:
            await asyncio.sleep(_PAUSE_S)
        return answer

    async def _ask(self, wish: Wish, answer: Answer) -> None:
        if self._line is None or self._line[0].at_eof():
            self.close()
            self._line = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._line
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
        )
        writer.write(head % (self._token, len(wish.body)) + wish.body)
        if wish.leaves and not wish.stream:
            await asyncio.sleep(_LEAVES_AFTER_S)
            raise _Left
        got = await reader.readuntil(b"\r\n\r\n")
        answer.status = int(got.split(b" ", 2)[1])
        length = _LENGTH.search(got)
        if length is not None:
            self._take(answer, await reader.readexactly(int(length[1])))
        else:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                self._take(answer, (await reader.readexactly(size + 2))[:-2])
                if wish.leaves:
                    raise _Left
            await reader.readexactly(2)
        answer.whole = answer.status == 200
        if b"\r\nconnection: close\r\n" in got.lower():
            self.close()

    def _take(self, answer: Answer, piece: bytes) -> None:
        came = piece.count(_TOKEN)
        answer.words += came
        self._crowd.coming += came
        said = _USAGE.search(piece)
        if said is not None:
            answer.tokens = int(said[1])
        if b'"error"' in piece:
            code = _CODE.search(piece)
            answer.code = code[1].decode() if code else f"status {answer.status}"

    def close(self) -> None:
        """Close the connection."""
        if self._line is not None:
            self._line[1].transport.abort()
            self._line = None


async def ask_all(crowd: Crowd, ports: Sequence[int], token: str, wishes: Callable[[int], Wishes]) -> None:
    """Have CLIENTS ask, as many of each machine, until all were refused for long enough."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            client = Client(crowd, ports[number % len(ports)], token, wishes(number))
            tasks.create_task(client.ask_until_spent())
