"""Control's end of the bus: tells workers what was revoked and their world, takes audit rows, beats once a second.

A batch is confirmed only when its rows are in the segment file. When a batch cannot be taken the connection is
closed: the worker keeps its rows, comes back, and sends them again.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.personal_tokens import AccountNews
from jotgate.core.revocations import Entry
from jotgate.core.snapshot import Snapshot
from jotgate.errors import AuditUnavailable
from jotgate.ports import AuditLog, FigureSink
from jotgate.processes.answers import Answers, Question, fetch_nothing
from jotgate.processes.console import say
from jotgate.processes.messages import (
    BEAT_INTERVAL_S,
    AccountsChanged,
    AuditBatch,
    AuditWritten,
    Beat,
    Figures,
    Hello,
    LimitsChanged,
    Revoked,
    Settled,
    UnitsWanted,
    UpstreamTokenCleared,
    World,
    frame,
    read_from_worker,
)
from jotgate.processes.worker_connection import WorkerConnection
from jotgate.services.revocation import PAGE, RevokedSet

_FLUSH_INTERVAL_S: Final = 0.2
_FLUSHES_PER_SYNC: Final = 5
_Further = AuditBatch | Settled | Figures | Question
_GREETING: Final = ("greeting", "")


def _fresh() -> float:
    return 0.0


class BusServer:
    """Serves workers. It drives the log: flushed each 200 ms, synced each second.

    `expected` is how many workers there are when all live. `age_s` says how old control's picture of the store is.
    `wanted` has the keys of an issuer fetched, as far as they may be now; it has ended when a snapshot holds them.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        log: AuditLog,
        figures: FigureSink,
        *,
        expected: int = 1,
        age_s: Callable[[], float] = _fresh,
        wanted: Callable[[str], Awaitable[KeysOutcome]] = fetch_nothing,
    ) -> None:
        self._world = frame(World(snapshot))
        self._log = log
        self._figures = figures
        self._expected = expected
        self._age_s = age_s
        self._revoked = RevokedSet()
        self._said = asyncio.Event()
        self._connections: set[WorkerConnection] = set()
        self._server: asyncio.Server | None = None
        self._fault = ""
        self.answers: Final = Answers(wanted)

    @property
    def workers(self) -> int:
        """How many workers are connected."""
        return len(self.settled())

    def settled(self) -> dict[int, Settled | None]:
        """What each connected worker last said of its snapshot, by slot."""
        return {one.hello.slot: one.settled for one in self._connections if one.hello is not None}

    def swap(self, snapshot: Snapshot) -> None:
        """Give every worker this snapshot, and those that come later."""
        self._world = frame(World(snapshot))
        for connection in self._connections:
            if connection.greeted:
                connection.send(self._world)

    def follow(self, revoked: RevokedSet) -> None:
        """Tell workers of all that is in this set before they get their first world."""
        self._revoked = revoked

    def revoke(self, entries: list[Entry]) -> None:
        """Tell every worker of what has come into the set: at most `PAGE` entries."""
        self._tell(Revoked(entries))

    def tell_accounts(self, news: AccountNews) -> None:
        """Tell every worker what has changed."""
        self._tell(AccountsChanged(news))

    def tell_limits(self, mark: str) -> None:
        """Tell every worker that the limits have changed, and what names them now."""
        self._tell(LimitsChanged(mark))

    def tell_wanted(self, accounts: list[str]) -> None:
        """Tell every worker that somebody waits for units of these accounts."""
        self._tell(UnitsWanted(accounts))

    def tell_token_cleared(self, upstream: str, session: str | None) -> None:
        """Tell every worker to use what it holds for a session at an upstream no more; None: for all sessions."""
        self._tell(UpstreamTokenCleared(upstream, session))

    def _tell(self, news: Revoked | AccountsChanged | LimitsChanged | UnitsWanted | UpstreamTokenCleared) -> None:
        told = frame(news)
        for connection in self._connections:
            if connection.hello is not None:
                connection.send(told)

    async def acknowledged(self, version: int, patience_s: float) -> bool:
        """Wait until every worker sees this snapshot or a later one; False when that was not so within `patience_s`.

        A worker that is not connected has not said so: it may still serve with what it holds.
        """
        try:
            async with asyncio.timeout(patience_s):
                while not self._have_all(version):
                    await self._said.wait()
        except TimeoutError:
            return False
        return True

    def _have_all(self, version: int) -> bool:
        there = [one for one in self._connections if one.hello is not None]
        slots = {one.hello.slot for one in there if one.hello is not None}
        return len(slots) >= self._expected and all(
            one.settled is not None and one.settled.version >= version for one in there
        )

    def _tell_waiting(self) -> None:
        self._said.set()
        self._said = asyncio.Event()

    async def start(self, listener: socket.socket) -> None:
        """Accept workers on a listening Unix socket."""

        def connect() -> WorkerConnection:
            connection = WorkerConnection(self._read, self._leave)
            self._connections.add(connection)
            return connection

        self._server = await asyncio.get_running_loop().create_unix_server(connect, sock=listener)

    async def keep_time(self) -> None:
        """Beat, flush and sync until cancelled.

        Raises:
            AuditUnavailable: the disk refused to sync. Nobody then knows what of the file is left: let this
                process end, so that the next one begins a file of its own.
        """
        ticks = 0
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL_S)
            ticks += 1
            if self._flush() and ticks % _FLUSHES_PER_SYNC == 0:
                self._log.sync()
            if ticks % round(BEAT_INTERVAL_S / _FLUSH_INTERVAL_S) == 0:
                self._beat()

    def stop(self) -> None:
        """Take no more, and confirm what is on file."""
        if self._server is not None:
            self._server.close()
        self._flush()
        for connection in self._connections:
            connection.close()

    def _beat(self) -> None:
        beat = frame(Beat(self._age_s()))
        for connection in self._connections:
            if connection.greeted:
                connection.send(beat)

    def _flush(self) -> bool:
        try:
            self._log.flush()
        except AuditUnavailable as error:
            self._complain(error.message)
            return False
        self._complain("")
        for connection in self._connections:
            if connection.taken > connection.confirmed:
                connection.confirmed = connection.taken
                connection.send(frame(AuditWritten(connection.taken)))
        return True

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            say(fault or "the audit log is written again")
        self._fault = fault

    def _read(self, connection: WorkerConnection, payload: bytes | bytearray) -> None:
        message = read_from_worker(payload)
        if isinstance(message, Hello):
            self._greet(connection, message)
        elif connection.hello is None:
            raise ValueError("the first message is not 'hello'")
        else:
            try:
                self._take(connection, connection.hello, message)
            except AuditUnavailable as error:
                self._complain(error.message)
                raise

    def _leave(self, connection: WorkerConnection) -> None:
        self._connections.discard(connection)
        for question in connection.questions.values():
            question.cancel()
        if connection.hello is not None:
            self._figures.left(connection.hello.instance)
            self._tell_waiting()

    def _greet(self, connection: WorkerConnection, hello: Hello) -> None:
        connection.hello = hello
        self._figures.greeted(hello.slot, hello.instance)
        connection.ask(_GREETING, self._tell_all(connection, hello))

    async def _tell_all(self, connection: WorkerConnection, hello: Hello) -> None:
        """Tell a worker all that it must know before it serves. What is revoked meanwhile is told to it too."""
        entries = self._revoked.entries()
        for place in range(0, len(entries), PAGE):
            connection.send(frame(Revoked(entries[place : place + PAGE])))
            await connection.drained()
            await asyncio.sleep(0)
        if (records := self.answers.records) is not None:
            connection.send(frame(AccountsChanged(await records.since(hello.accounts))))
        if (units := self.answers.units) is not None and units.mark != hello.limits:
            connection.send(frame(LimitsChanged(units.mark)))
        connection.greeted = True
        connection.send(self._world)
        if self._age_s() > BEAT_INTERVAL_S:  # Else the world is as fresh as a worker takes it for.
            connection.send(frame(Beat(self._age_s())))

    def _take(self, connection: WorkerConnection, hello: Hello, message: _Further) -> None:
        match message:
            case AuditBatch(number, text):
                self._log.append(text.split(b"\n"))
                connection.taken = number
            case Settled():
                connection.settled = message
                self._tell_waiting()
            case Figures(counts, gauges):
                self._figures.took(hello.instance, counts, gauges)
            case _:
                self.answers.take(connection, message)
