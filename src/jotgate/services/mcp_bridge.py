"""Speaks with an MCP server that is a child process, for all callers at once: one line a message, both ways.

Callers' messages get ids of the bridge's own, and what the child says finds its way back by them: answers, progress,
the news of a subscription. The bridge itself begins with the child, in whichever era that is of; nobody else's words
can change what the child takes its client for. A child that ends is started again when it is next asked, later and
later if it ends soon after each start.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, Literal, Protocol

import msgspec
from msgspec import Raw

from jotgate import __version__
from jotgate.core.mcp_children import ChildSpec
from jotgate.core.mcp_eras import DISCOVER, INITIALIZE, INITIALIZED, LEGACY, STATELESS
from jotgate.core.mcp_messages import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    SUBSCRIPTION_KEY,
    VERSION_KEY,
    Message,
    encode,
    write_message,
)
from jotgate.core.mcp_reader import Members, find_identity, find_members, find_number, read_message_of_server
from jotgate.errors import JotgateError, UpstreamTorn, UpstreamUnavailable
from jotgate.ports import Clock

Ended = Literal["asked", "fault"]

_HANDSHAKE_S: Final = 20.0
_PROBE_S: Final = 5.0
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MAX_S: Final = 30.0
_STEADY_S: Final = 30.0
_WAITING_MAX: Final = 1_024
"""So many messages of the child may wait for one caller; who reads more slowly is given up."""
_NEWS: Final = frozenset(
    {
        b'"notifications/tools/list_changed"',
        b'"notifications/prompts/list_changed"',
        b'"notifications/resources/list_changed"',
    }
)
_EMPTY: Final = Raw(b"{}")
_UNASKED: Final = {"code": -32601, "message": "the callers of this gateway are not asked"}
_encode: Final = msgspec.json.Encoder().encode


class ChildGone(UpstreamUnavailable):
    """The child has ended, or cannot be started now."""


class Pipe(Protocol):
    """The pipes of a running child."""

    def write(self, line: bytes) -> Awaitable[None]:
        """Say one message, which has no line break in it. Raises ChildGone."""

    def close(self) -> Awaitable[None]:
        """End the child: by the end of its input, then by signals."""


class Hearing(Protocol):
    """Who is told what a child does."""

    def heard(self, line: bytes) -> None:
        """It has said a line."""

    def ended(self, how: str) -> None:
        """It has ended by itself, in these words."""


Launch = Callable[[ChildSpec, Hearing], Awaitable[Pipe]]
"""Starts a child. Raises ChildGone."""
Note = Callable[[str, str, bool], None]
"""Is told a server's name, what has happened to its child, and whether that is a fault."""


class _Waiting:
    """A caller who waits for what the child says to it. Mutable: what has come, and how it is to be rewritten."""

    __slots__ = ("identity", "queue", "token", "torn")

    def __init__(self, identity: Raw | None, token: Raw | None) -> None:
        self.identity = identity
        self.token = token
        self.torn = False
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING_MAX)


class Bridge:
    """One child. Mutable: its pipes, who waits for what, what it says of itself, when it may be started again."""

    def __init__(self, spec: ChildSpec, launch: Launch, clock: Clock, note: Note) -> None:
        self.spec: Final = spec
        self.generation = 0
        self.greeting: Members | None = None
        """The result of `initialize`, of a child of the older era; None of a stateless one."""
        self._launch = launch
        self._clock = clock
        self._note = note
        self._pipe: Pipe | None = None
        self._number = 0
        self._waiting: dict[int, _Waiting] = {}
        self._listeners: set[_Waiting] = set()
        self._saying: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._started_s = self._again_s = 0.0
        self._short_lives = 0

    @property
    def session(self) -> str:
        """What a session with this child is called: that of another start is over."""
        return f"child-{self.generation}"

    async def ready(self) -> None:
        """Have the child run and have been begun with. Raises ChildGone."""
        async with self._turn:
            if self._pipe is not None:
                return
            if self._clock.monotonic_s() < self._again_s:
                raise ChildGone("the server's process has ended several times, and is left alone for a while")
            self._started_s = self._clock.monotonic_s()
            self.generation += 1
            try:
                self._pipe = await self._launch(self.spec, self)
                async with asyncio.timeout(_HANDSHAKE_S):
                    await self._begin()
            except (TimeoutError, ChildGone) as fault:
                await self._give_up()
                reason = fault.message if isinstance(fault, JotgateError) else "it did not answer in time"
                self._note(self.spec.name, f"its process could not be begun with: {reason}", True)
                raise ChildGone("the server's process does not start", debug=reason) from None
            self._note(self.spec.name, "its process runs", False)

    async def say(self, message: Message) -> None:
        """Tell the child something of which no answer is expected. Raises ChildGone."""
        if self._pipe is not None:
            await self._pipe.write(write_message(message))

    async def ask(self, message: Message) -> AsyncGenerator[bytes, None]:
        """What the child says to a request, its answer last. Raises ChildGone; leaving it early cancels the request."""
        pipe = self._pipe
        if pipe is None:
            raise ChildGone("the server's process has ended")
        number = self._next()
        waiting = self._waiting[number] = _Waiting(message.id, message.progress_token)
        answered = False
        try:
            await pipe.write(_renumbered(message, number))
            while True:
                line = await waiting.queue.get()
                if line is None and waiting.torn:
                    answered = True
                    raise UpstreamTorn("the server's process has answered with what is no message")
                if line is None:
                    raise ChildGone("the server's process ended before it answered")
                answered = number not in self._waiting
                yield line
                if answered and waiting.queue.empty():
                    return
        finally:
            self._waiting.pop(number, None)
            if not answered and self._pipe is pipe:
                with suppress(ChildGone):
                    await pipe.write(_cancel(number))

    async def news(self) -> AsyncGenerator[bytes, None]:
        """What a child of the older era says to nobody in particular: that what it offers has changed."""
        waiting = _Waiting(None, None)
        self._listeners.add(waiting)
        try:
            while (line := await waiting.queue.get()) is not None:
                yield line
        finally:
            self._listeners.discard(waiting)

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            pipe, self._pipe = self._pipe, None
            self._leave_all()
            if pipe is not None:
                await pipe.close()

    # What the child does (Hearing)

    def heard(self, line: bytes) -> None:
        """Take a line to whom it is for."""
        members = read_message_of_server(line)
        if members is None:
            self._note(self.spec.name, "its process has written what is no message to its output", True)
            self._tear(line)
            return
        if "method" not in members:
            self._answered(members)
        elif "id" in members:
            self._decline(members)
        else:
            self._told(members)

    def ended(self, how: str) -> None:
        """Leave everybody who waited."""
        if self._pipe is None:
            return
        self._pipe = None
        self.greeting = None
        steady = self._clock.monotonic_s() - self._started_s >= _STEADY_S
        self._short_lives = 0 if steady else self._short_lives + 1
        self._rest()
        self._leave_all()
        self._note(self.spec.name, f"its process {how}", True)

    def _rest(self) -> None:
        if self._short_lives > 1:
            span_s = min(_BACKOFF_FIRST_S * 2.0 ** min(self._short_lives - 2, 10), _BACKOFF_MAX_S)
            self._again_s = self._clock.monotonic_s() + span_s

    def _answered(self, members: Members) -> None:
        number = find_number(members.get("id"))
        waiting = None if number is None else self._waiting.pop(number, None)
        if waiting is None:
            return  # Whoever asked has gone away.
        identity = Raw(b"null") if waiting.identity is None else waiting.identity
        _put(waiting, _encode({**members, "id": identity}))

    def _tear(self, line: bytes) -> None:
        """Leave the caller whose answer this seems to have been: nothing better comes."""
        number = find_identity(line)
        waiting = None if number is None else self._waiting.pop(number, None)
        if waiting is not None:
            waiting.torn = True
            _put(waiting, None)

    def _told(self, members: Members) -> None:
        method = bytes(members["method"])
        params = _members_of(members.get("params"))
        if method == b'"notifications/progress"':
            waiting = self._waiting.get(find_number(params.get("progressToken")) or -1)
            if waiting is not None and waiting.token is not None:
                _put(waiting, _encode({**members, "params": {**params, "progressToken": waiting.token}}))
            return
        meta = _members_of(params.get("_meta"))
        subscription = find_number(meta.get(SUBSCRIPTION_KEY))
        waiting = None if subscription is None else self._waiting.get(subscription)
        if waiting is not None and waiting.identity is not None:
            params["_meta"] = encode({**meta, SUBSCRIPTION_KEY: waiting.identity})
            _put(waiting, _encode({**members, "params": params}))
        elif method in _NEWS:
            for listener in tuple(self._listeners):
                _put(listener, _encode(members))
        # What is said to nobody in particular could be about anybody's call, and is passed on to nobody.

    def _decline(self, members: Members) -> None:
        pipe = self._pipe
        if pipe is not None and len(self._saying) < _WAITING_MAX:
            identity = members["id"]
            pong = bytes(members["method"]) == b'"ping"'
            said = {"result": {}} if pong else {"error": _UNASKED}
            task = asyncio.create_task(_say(pipe, _encode({"jsonrpc": "2.0", "id": identity, **said})))
            self._saying.add(task)
            task.add_done_callback(self._saying.discard)

    # How it is begun with

    async def _begin(self) -> None:
        meta = {VERSION_KEY: STATELESS[0], CLIENT_KEY: _client(), CAPABILITIES_KEY: _EMPTY}
        self.greeting = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_PROBE_S):
                found = await self._own(DISCOVER, {"_meta": meta})
                if "result" in found:
                    return
        params = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": _client()}
        found = await self._own(INITIALIZE, params)
        if "result" not in found:
            raise ChildGone("it answers neither server/discover nor initialize")
        self.greeting = _members_of(found["result"])
        assert self._pipe is not None
        await self._pipe.write(_encode({"jsonrpc": "2.0", "method": INITIALIZED}))

    async def _own(self, method: str, params: Mapping[str, object]) -> Members:
        assert self._pipe is not None
        number = self._next()
        waiting = self._waiting[number] = _Waiting(None, None)
        try:
            line = _encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            await self._pipe.write(line)
            found = await waiting.queue.get()
        finally:
            self._waiting.pop(number, None)
        if found is None and not waiting.torn:
            raise ChildGone("it ended")
        return {} if found is None else _members_of(Raw(found))

    async def _give_up(self) -> None:
        pipe, self._pipe = self._pipe, None
        self._short_lives += 1
        self._rest()
        self._leave_all()
        if pipe is not None:
            await pipe.close()

    def _leave_all(self) -> None:
        for waiting in (*self._waiting.values(), *self._listeners):
            _put(waiting, None)
        self._waiting.clear()

    def _next(self) -> int:
        self._number += 1
        return self._number


def _client() -> object:
    return {"name": "jotgate", "version": __version__}


def _renumbered(message: Message, number: int) -> bytes:
    """A request under the bridge's id; who wants to know of its progress is told by that too."""
    meta: Members = dict(message.meta)
    if "progressToken" in meta:
        meta["progressToken"] = encode(number)
    params = {**message.params, **({"_meta": encode(meta)} if meta else {})}
    return _encode({**message.members, "id": number, "params": params})


def _cancel(number: int) -> bytes:
    return _encode({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})


async def _say(pipe: Pipe, line: bytes) -> None:
    with suppress(ChildGone):
        await pipe.write(line)


def _put(waiting: _Waiting, line: bytes | None) -> None:
    try:
        waiting.queue.put_nowait(line)
    except asyncio.QueueFull:
        while not waiting.queue.empty():
            waiting.queue.get_nowait()
        waiting.queue.put_nowait(None)


def _members_of(raw: Raw | None) -> Members:
    return find_members(raw) or {}
