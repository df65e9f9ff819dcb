"""Control's end of the bus: tells workers what was revoked and their world, takes audit rows, beats once a second.

A batch is confirmed only when its rows are in the segment file. When a batch cannot be taken the connection is
closed: the worker keeps its rows, comes back, and sends them again.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Final, Protocol

from jotgate.core.accounts import TokenUse
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.oauth_problems import render_oauth
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.core.proof_times import Sight, Verdict
from jotgate.core.revocations import Entry
from jotgate.core.snapshot import Snapshot
from jotgate.errors import AuditUnavailable, InternalError
from jotgate.ports import AuditLog, FigureSink
from jotgate.processes.console import say
from jotgate.processes.messages import (
    BEAT_INTERVAL_S,
    AccountsChanged,
    AuditBatch,
    AuditWritten,
    Beat,
    Figures,
    Hello,
    KeysAnswered,
    KeysWanted,
    ProofJudged,
    ProofShown,
    Revoked,
    Settled,
    TokenAnswered,
    TokensUsed,
    TokenWanted,
    World,
    frame,
    read_from_worker,
)
from jotgate.processes.worker_connection import WorkerConnection
from jotgate.services.revocation import PAGE, RevokedSet

_FLUSH_INTERVAL_S: Final = 0.2
_FLUSHES_PER_SYNC: Final = 5
_NO_FETCH_S: Final = 60.0
_GREETING: Final = -1
FormDesk = Callable[[FormAsked], Awaitable[FormAnswered]]
_Further = AuditBatch | Settled | Figures | KeysWanted | TokenWanted | TokensUsed | FormAsked | ProofShown


def _fresh() -> float:
    return 0.0


class RecordDesk(Protocol):
    """What workers ask of accounts, and are told of them."""

    async def since(self, version: int) -> AccountNews:
        """What has changed since; -1: nothing is held that could have."""

    async def find(self, digest: bytes) -> PersonalFinding | None:
        """What the store says of a personal token, as new as all that was told; None: it cannot be known now."""

    def used(self, uses: Sequence[TokenUse]) -> None:
        """Personal tokens were used."""


async def _fetch_nothing(issuer: str) -> KeysOutcome:  # noqa: ARG001 - whoever it is
    return KeysOutcome(reached=True, useless_s=_NO_FETCH_S)


async def _know_nothing(sight: Sight) -> Verdict:  # noqa: ARG001 - whatever it is
    return Verdict("unknown")


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
        wanted: Callable[[str], Awaitable[KeysOutcome]] = _fetch_nothing,
    ) -> None:
        self._world = frame(World(snapshot))
        self._log = log
        self._figures = figures
        self._expected = expected
        self._age_s = age_s
        self._wanted = wanted
        self._revoked = RevokedSet()
        self._records: RecordDesk | None = None
        self._forms: FormDesk | None = None
        self._judge_proof: Callable[[Sight], Awaitable[Verdict]] = _know_nothing
        self._said = asyncio.Event()
        self._connections: set[WorkerConnection] = set()
        self._server: asyncio.Server | None = None
        self._fault = ""

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
        told = frame(Revoked(entries))
        for connection in self._connections:
            if connection.hello is not None:
                connection.send(told)

    def serve_forms(self, answer: FormDesk) -> None:
        """Let workers hand forms to the token service."""
        self._forms = answer

    def serve_proofs(self, judge: Callable[[Sight], Awaitable[Verdict]]) -> None:
        """Let workers ask what becomes of DPoP proofs."""
        self._judge_proof = judge

    def serve_records(self, desk: RecordDesk) -> None:
        """Let workers ask this desk."""
        self._records = desk

    def tell_accounts(self, news: AccountNews) -> None:
        """Tell every worker what has changed."""
        told = frame(AccountsChanged(news))
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
        self._ask(connection, _GREETING, self._tell_all(connection, hello))

    async def _tell_all(self, connection: WorkerConnection, hello: Hello) -> None:
        """Tell a worker all that it must know before it serves. What is revoked meanwhile is told to it too."""
        entries = self._revoked.entries()
        for place in range(0, len(entries), PAGE):
            connection.send(frame(Revoked(entries[place : place + PAGE])))
            await connection.drained()
            await asyncio.sleep(0)
        if self._records is not None:
            connection.send(frame(AccountsChanged(await self._records.since(hello.accounts))))
        connection.greeted = True
        connection.send(self._world)
        if self._age_s() > BEAT_INTERVAL_S:  # Else the world is as fresh as a worker takes it for.
            connection.send(frame(Beat(self._age_s())))

    def _take(self, connection: WorkerConnection, hello: Hello, message: _Further) -> None:
        match message:
            case AuditBatch(number, text):
                self._log.append(text.split(b"\n"))
                connection.taken = number
            case FormAsked():
                self._answer_form(connection, message)
            case ProofShown(number, sight):
                self._ask(connection, number, self._answer_proof(connection, number, sight))
            case Settled():
                connection.settled = message
                self._tell_waiting()
            case KeysWanted(issuer):
                self._ask(connection, issuer, self._answer(connection, issuer))
            case TokenWanted(digest):
                self._ask(connection, digest, self._answer_token(connection, digest))
            case TokensUsed(uses) if self._records is not None:
                self._records.used(uses)
            case Figures(counts, gauges):
                self._figures.took(hello.instance, counts, gauges)

    def _ask(self, connection: WorkerConnection, key: str | bytes | int, answer: Coroutine[None, None, None]) -> None:
        if key in connection.questions:
            answer.close()
            return
        question = asyncio.get_running_loop().create_task(answer)
        connection.questions[key] = question
        question.add_done_callback(lambda _: connection.questions.pop(key, None))

    async def _answer(self, connection: WorkerConnection, issuer: str) -> None:
        outcome = await self._wanted(issuer)
        connection.send(frame(KeysAnswered(issuer, outcome.reached, outcome.useless_s)))

    async def _answer_token(self, connection: WorkerConnection, digest: bytes) -> None:
        finding = None if self._records is None else await self._records.find(digest)
        connection.send(frame(TokenAnswered(digest, finding)))

    async def _answer_proof(self, connection: WorkerConnection, number: int, sight: Sight) -> None:
        connection.send(frame(ProofJudged(number, await self._judge_proof(sight))))

    def _answer_form(self, connection: WorkerConnection, asked: FormAsked) -> None:
        if self._forms is None:
            return  # The worker waits no longer than its deadline.
        connection.forms.append(asked)
        if len(connection.forms) == 1:
            self._begin_answering(connection, self._forms)

    def _begin_answering(self, connection: WorkerConnection, answer: FormDesk) -> None:
        if connection.forms:
            answering = asyncio.get_running_loop().create_task(self._answer_forms(connection, answer))
            connection.answering.add(answering)
            answering.add_done_callback(connection.answering.discard)

    async def _answer_forms(self, connection: WorkerConnection, answer: FormDesk) -> None:
        """Answer forms in their order. As soon as one has to wait, another task goes on with those behind it."""
        asyncio.get_running_loop().call_soon(self._begin_answering, connection, answer)
        while connection.forms:
            asked = connection.forms.popleft()
            answered: FormAnswered | None = None
            try:
                answered = await answer(asked)
            finally:  # What nobody foresaw still gets an answer; the loop tells of it.
                connection.send(frame(_fault(asked) if answered is None else answered))


def _fault(asked: FormAsked) -> FormAnswered:
    problem = render_oauth(InternalError("jotgate failed to answer this request"))
    return FormAnswered(asked.number, problem.status, problem.lines, problem.body)
