"""Control's answers to what workers ask over the bus: of keys, personal tokens, forms, proofs, quotas, owned objects.

Each question of a worker is answered once at a time. One whose worker is gone is dropped; that one asks again. But what
it asks of the ledger is done all the same: it may be its last words, by which it gives back what it holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from jotgate.core.accounts import TokenUse
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.identity_tokens import Identity
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.mcp_pins import Told
from jotgate.core.mcp_tools import Tool
from jotgate.core.oauth_problems import render_oauth
from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.core.proof_times import Sight, Verdict
from jotgate.core.quotas import Meter
from jotgate.core.socket_tickets import Redemption, ShownTicket
from jotgate.core.status_references import StatusFound, StatusQuestion
from jotgate.core.upstream_tokens import HeldToken, TokenLacking
from jotgate.core.values import Secret
from jotgate.errors import InternalError
from jotgate.processes.messages import (
    EndlessSeen,
    IdentityAnswered,
    IdentityWanted,
    KeysAnswered,
    KeysWanted,
    LeasesAnswered,
    LeasesAsked,
    ObjectAnswered,
    ObjectAsked,
    PlanAnswered,
    PlanWanted,
    ProofJudged,
    ProofShown,
    StatusAnswered,
    StatusWanted,
    TicketRedeemed,
    TicketShown,
    TokenAnswered,
    TokensUsed,
    TokenWanted,
    ToolsKnown,
    ToolsSeen,
    UpstreamTokenAnswered,
    UpstreamTokenRefused,
    UpstreamTokenWanted,
    frame,
)
from jotgate.processes.worker_connection import WorkerConnection

_NO_FETCH_S: Final = 60.0
_NO_TOKEN: Final = TokenLacking("unconfigured", "nothing says how to get a token for this upstream")
IdentityDesk = Callable[[Secret], Awaitable[Identity | None]]
StatusDesk = Callable[[StatusQuestion], Awaitable[StatusFound | None]]
TicketDesk = Callable[[ShownTicket], Awaitable[Redemption]]
FormDesk = Callable[[FormAsked], Awaitable[FormAnswered]]
ToolDesk = Callable[[str, Sequence[Tool]], Awaitable[Told | None]]
ObjectDesk = Callable[[ObjectOrder], Awaitable[ObjectAnswer | None]]
Question = (
    KeysWanted
    | TokenWanted
    | TokensUsed
    | EndlessSeen
    | FormAsked
    | ProofShown
    | PlanWanted
    | LeasesAsked
    | ObjectAsked
    | IdentityWanted
    | StatusWanted
    | UpstreamTokenWanted
    | UpstreamTokenRefused
    | TicketShown
    | ToolsSeen
)


class RecordDesk(Protocol):
    """What workers ask of accounts, and are told of them."""

    async def since(self, version: int) -> AccountNews:
        """What has changed since; -1: nothing is held that could have."""

    async def find(self, digest: bytes) -> PersonalFinding | None:
        """What the store says of a personal token, as new as all that was told; None: it cannot be known now."""

    def used(self, uses: Sequence[TokenUse]) -> None:
        """Personal tokens were used."""


class SightDesk(Protocol):
    """What workers tell of tokens without an end."""

    def seen(self, tokens: Sequence[EndlessToken]) -> None:
        """These were taken."""


class UnitDesk(Protocol):
    """What workers ask of quotas."""

    @property
    def mark(self) -> str:
        """Names the limits that there are, as far as all were told of them."""

    async def plan(self, wanted: PlanWanted) -> tuple[Meter, ...] | None:
        """The meters of a call, as new as all that was told; None: they cannot be known now."""

    async def lease(self, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer] | None:
        """What becomes of these, in their order; durable. None: the store does not answer."""


class TokenDesk(Protocol):
    """What workers ask of upstreams' tokens, and tell of them."""

    async def find(self, upstream: str, session: str, refused: bytes) -> HeldToken | TokenLacking:
        """The token of a session, or why there is none; `refused` is the digest of one that is not the answer."""

    def refuse(self, upstream: str, session: str, refused: bytes) -> None:
        """The upstream refused a token, and nobody asks for another now."""


async def fetch_nothing(issuer: str) -> KeysOutcome:  # noqa: ARG001 - whoever it is
    """What becomes of a question for keys where none are fetched."""
    return KeysOutcome(reached=True, useless_s=_NO_FETCH_S)


async def _know_nothing(sight: Sight) -> Verdict:  # noqa: ARG001 - whatever it is
    return Verdict("unknown")


class Answers:
    """Answers the questions of workers. Mutable: the desks that know, and what is done for whoever may be gone."""

    def __init__(self, wanted: Callable[[str], Awaitable[KeysOutcome]]) -> None:
        self._wanted = wanted
        self._forms: FormDesk | None = None
        self._judge_proof: Callable[[Sight], Awaitable[Verdict]] = _know_nothing
        self.records: RecordDesk | None = None
        self.units: UnitDesk | None = None
        self._sights: SightDesk | None = None
        self._objects: ObjectDesk | None = None
        self._leasing: set[asyncio.Task[None]] = set()
        self._tokens: TokenDesk | None = None
        self._identities: IdentityDesk | None = None
        self._statuses: StatusDesk | None = None
        self._tickets: TicketDesk | None = None
        self._tools: ToolDesk | None = None

    def serve_forms(self, answer: FormDesk) -> None:
        """Let workers hand forms to the token service."""
        self._forms = answer

    def serve_proofs(self, judge: Callable[[Sight], Awaitable[Verdict]]) -> None:
        """Let workers ask what becomes of DPoP proofs."""
        self._judge_proof = judge

    def serve_records(self, desk: RecordDesk) -> None:
        """Let workers ask this desk of personal tokens."""
        self.records = desk

    def serve_sights(self, desk: SightDesk) -> None:
        """Let workers tell this desk of tokens without an end."""
        self._sights = desk

    def serve_units(self, desk: UnitDesk) -> None:
        """Let workers ask this desk of quotas."""
        self.units = desk

    def serve_objects(self, carry_out: ObjectDesk) -> None:
        """Let workers give orders about owned objects."""
        self._objects = carry_out

    def serve_upstream_tokens(self, desk: TokenDesk) -> None:
        """Let workers ask for the tokens that upstreams want."""
        self._tokens = desk

    def serve_tools(self, seen: ToolDesk) -> None:
        """Let workers tell of tools of MCP servers."""
        self._tools = seen

    def serve_tickets(self, redeem: TicketDesk) -> None:
        """Let workers ask what becomes of tickets for WebSockets."""
        self._tickets = redeem

    def serve_identities(self, write: IdentityDesk) -> None:
        """Let workers ask for what tells upstreams who calls."""
        self._identities = write

    def serve_statuses(self, look: StatusDesk) -> None:
        """Let workers ask what stands in status lists."""
        self._statuses = look

    def take(self, connection: WorkerConnection, question: Question) -> None:
        """Begin to answer, or take in what wants no answer."""
        match question:
            case FormAsked():
                self._answer_form(connection, question)
            case LeasesAsked(number, asks):
                leasing = asyncio.get_running_loop().create_task(self._answer_leases(connection, number, asks))
                self._leasing.add(leasing)
                leasing.add_done_callback(self._leasing.discard)
            case ObjectAsked(number, order):
                connection.ask(("object", number), self._answer_object(connection, number, order))
            case ToolsSeen(number):
                connection.ask(("tools", number), self._answer_tools(connection, question))
            case PlanWanted(number):
                connection.ask(("plan", number), self._answer_plan(connection, question))
            case ProofShown(number, sight):
                connection.ask(("proof", number), self._answer_proof(connection, number, sight))
            case TicketShown(number, shown):
                connection.ask(("ticket", number), self._answer_ticket(connection, number, shown))
            case KeysWanted(issuer):
                connection.ask(("keys", issuer), self._answer_keys(connection, issuer))
            case TokenWanted(digest):
                connection.ask(("token", digest), self._answer_token(connection, digest))
            case StatusWanted(asked):
                key = f"{asked.index} {asked.uri} {asked.issuer}"
                connection.ask(("status", key), self._answer_status(connection, asked))
            case IdentityWanted(digest, shown):
                connection.ask(("identity", digest), self._answer_identity(connection, digest, shown))
            case UpstreamTokenWanted(upstream, session, refused):
                # One that tells of a refusal is another question.
                key = f"{upstream} {session} {refused.hex()}"
                connection.ask(("upstream token", key), self._answer_upstream_token(connection, question))
            case UpstreamTokenRefused(upstream, session, refused) if self._tokens is not None:
                self._tokens.refuse(upstream, session, refused)
            case TokensUsed(uses) if self.records is not None:
                self.records.used(uses)
            case EndlessSeen(tokens) if self._sights is not None:
                self._sights.seen(tokens)

    async def _answer_keys(self, connection: WorkerConnection, issuer: str) -> None:
        outcome = await self._wanted(issuer)
        connection.send(frame(KeysAnswered(issuer, outcome.reached, outcome.useless_s)))

    async def _answer_token(self, connection: WorkerConnection, digest: bytes) -> None:
        finding = None if self.records is None else await self.records.find(digest)
        connection.send(frame(TokenAnswered(digest, finding)))

    async def _answer_identity(self, connection: WorkerConnection, digest: bytes, shown: Secret) -> None:
        identity = None if self._identities is None else await self._identities(shown)
        connection.send(frame(IdentityAnswered(digest, identity)))

    async def _answer_status(self, connection: WorkerConnection, asked: StatusQuestion) -> None:
        found = None if self._statuses is None else await self._statuses(asked)
        connection.send(frame(StatusAnswered(asked, found)))

    async def _answer_upstream_token(self, connection: WorkerConnection, wanted: UpstreamTokenWanted) -> None:
        found: HeldToken | TokenLacking = _NO_TOKEN
        if self._tokens is not None:
            found = await self._tokens.find(wanted.upstream, wanted.session, wanted.refused)
        held, lacking = (found, None) if isinstance(found, HeldToken) else (None, found)
        connection.send(frame(UpstreamTokenAnswered(wanted.upstream, wanted.session, held, lacking)))

    async def _answer_proof(self, connection: WorkerConnection, number: int, sight: Sight) -> None:
        connection.send(frame(ProofJudged(number, await self._judge_proof(sight))))

    async def _answer_ticket(self, connection: WorkerConnection, number: int, shown: ShownTicket) -> None:
        found = Redemption("unknown") if self._tickets is None else await self._tickets(shown)
        connection.send(frame(TicketRedeemed(number, found)))

    async def _answer_plan(self, connection: WorkerConnection, wanted: PlanWanted) -> None:
        meters = None if self.units is None else await self.units.plan(wanted)
        connection.send(frame(PlanAnswered(wanted.number, meters)))

    async def _answer_leases(self, connection: WorkerConnection, number: int, asks: Sequence[LeaseAsk]) -> None:
        answers = None if self.units is None else await self.units.lease(asks)
        connection.send(frame(LeasesAnswered(number, answers)))

    async def _answer_object(self, connection: WorkerConnection, number: int, order: ObjectOrder) -> None:
        answer = None if self._objects is None else await self._objects(order)
        connection.send(frame(ObjectAnswered(number, answer)))

    async def _answer_tools(self, connection: WorkerConnection, seen: ToolsSeen) -> None:
        told = None if self._tools is None else await self._tools(seen.server, seen.tools)
        known = ToolsKnown(seen.number) if told is None else ToolsKnown(seen.number, told.version, dict(told.known))
        connection.send(frame(known))

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
