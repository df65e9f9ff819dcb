"""What worker and control tell one another over the bus, a Unix stream socket in DATA.

A frame is a four-byte big-endian length and one MessagePack map with its kind under `type`. The worker speaks first
(`Hello`); control answers with all that was `Revoked`, then with `World` and again with each new snapshot, and with a
`Beat` each second; what is revoked later, and that limits have changed, is told at once. A worker keeps
an `AuditBatch` until `AuditWritten` names it, and sends it again to the next control process: a row is never lost with
control, and one that stands twice is known by its (worker, row).
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from jotgate.core.accounts import TokenUse
from jotgate.core.endless_tokens import EndlessToken
from jotgate.core.figures import Counts, Gauges
from jotgate.core.forms import FormAnswered, FormAsked
from jotgate.core.identity_tokens import Identity
from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.mcp_pins import KnownTool
from jotgate.core.mcp_tools import Tool
from jotgate.core.owned_objects import ObjectAnswer, ObjectOrder
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.core.proof_times import Sight, Verdict
from jotgate.core.quotas import Meter, Spender
from jotgate.core.revocations import Entry
from jotgate.core.snapshot import Snapshot
from jotgate.core.socket_tickets import Redemption, ShownTicket
from jotgate.core.status_references import StatusFound, StatusQuestion
from jotgate.core.upstream_tokens import HeldToken, TokenLacking
from jotgate.core.values import Secret

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
BEAT_INTERVAL_S: Final = 1.0


class Hello(Struct, frozen=True, tag="hello"):
    """A worker's first words: its slot and the random name of this process instance.

    `accounts` is the version of the accounts of which it was told every change; -1: it holds nothing of them. `limits`
    is the mark of the last `LimitsChanged`.
    """

    slot: int
    instance: str
    accounts: int = -1
    limits: str = ""


class AuditBatch(Struct, frozen=True, tag="audit"):
    """Encoded audit records, one JSON object a line, joined by line feeds; `number` counts up from 1 per instance."""

    number: int
    text: bytes


class Settled(Struct, frozen=True, tag="settled"):
    """The worker's new calls see the snapshot of this version.

    `block_s` is the longest time for which taking it held up the event loop at one go, in CPU seconds of its thread.
    """

    version: int
    block_s: float


class Figures(Struct, frozen=True, tag="figures"):
    """What the worker has counted since its start, and what stands where now: told with each beat."""

    counts: Counts
    gauges: Gauges


class World(Struct, frozen=True, tag="world"):
    """The snapshot to swap to."""

    snapshot: Snapshot


class Revoked(Struct, frozen=True, tag="revoked"):
    """What no longer counts, some of it: at most `services.revocation.PAGE` entries. The worker may know them."""

    entries: list[Entry]


class AuditWritten(Struct, frozen=True, tag="audit_written"):
    """All batches up to this number are in the segment file (written, not yet fsynced)."""

    number: int


class Beat(Struct, frozen=True, tag="beat"):
    """Control lives. `age_s` is the age in seconds of its picture of the store, of which snapshots are made."""

    age_s: float = 0.0


class KeysWanted(Struct, frozen=True, tag="keys_wanted"):
    """A token names a key that is not held of this issuer. A worker asks once for each issuer at a time."""

    issuer: str


class KeysAnswered(Struct, frozen=True, tag="keys_answered"):
    """What became of it. A snapshot with the keys that were fetched has gone before.

    `reached` and `useless_s` are those of `core.key_fetches.KeysOutcome`.
    """

    issuer: str
    reached: bool
    useless_s: float


class TokenWanted(Struct, frozen=True, tag="token_wanted"):
    """A worker wants to know of the personal token with this SHA-256 digest. It asks once for each at a time."""

    digest: bytes


class TokenAnswered(Struct, frozen=True, tag="token_answered"):
    """What the store says of it; None: it cannot be known now. It is as new as all `AccountsChanged` before it."""

    digest: bytes
    finding: PersonalFinding | None


class IdentityWanted(Struct, frozen=True, tag="identity_wanted"):
    """A worker wants what tells an upstream who shows this token, of this SHA-256. It asks once for each at a time."""

    digest: bytes
    shown: Secret


class IdentityAnswered(Struct, frozen=True, tag="identity_answered"):
    """What became of it; None: the token is not good, or nobody can sign now."""

    digest: bytes
    identity: Identity | None


class StatusWanted(Struct, frozen=True, tag="status_wanted"):
    """A worker wants to know what stands in a status list of another issuer. It asks once for each place at a time."""

    question: StatusQuestion


class StatusAnswered(Struct, frozen=True, tag="status_answered"):
    """What stands there; None: it cannot be known now."""

    question: StatusQuestion
    found: StatusFound | None


class TokensUsed(Struct, frozen=True, tag="tokens_used"):
    """The last uses of personal tokens since the message before; a use may be lost, and is told once."""

    uses: list[TokenUse]


class EndlessSeen(Struct, frozen=True, tag="endless_seen"):
    """Tokens without an end that the worker has taken since the message before, or takes on. It is told once."""

    tokens: list[EndlessToken]


class ProofShown(Struct, frozen=True, tag="proof_shown"):
    """A worker was shown a DPoP proof that is good in itself. `number` counts up per worker; the answer names it."""

    number: int
    sight: Sight


class ProofJudged(Struct, frozen=True, tag="proof_judged"):
    """What becomes of that proof; one that is "fresh" is used by now, for all workers and all machines."""

    number: int
    verdict: Verdict


class TicketShown(Struct, frozen=True, tag="ticket_shown"):
    """A worker was shown a ticket for a WebSocket. `number` counts up per worker; the answer names it."""

    number: int
    shown: ShownTicket


class TicketRedeemed(Struct, frozen=True, tag="ticket_redeemed"):
    """What becomes of it; one that is good is used by now, for all workers and all machines."""

    number: int
    found: Redemption


class AccountsChanged(Struct, frozen=True, tag="accounts_changed"):
    """What the worker holds of these is out of date. It comes first, and then as soon as control knows."""

    news: AccountNews


class PlanWanted(Struct, frozen=True, tag="plan_wanted"):
    """A worker wants to know which meters a call of this spender meets. `number` counts up per worker.

    `model` is the alias of the route, `operation` the name of a row of the table of operations.
    """

    number: int
    spender: Spender
    model: str
    operation: str


class PlanAnswered(Struct, frozen=True, tag="plan_answered"):
    """The meters of that call, none if nothing limits it; None: they cannot be known now.

    They are as new as all `LimitsChanged` before it.
    """

    number: int
    meters: tuple[Meter, ...] | None


class LeasesAsked(Struct, frozen=True, tag="leases_asked"):
    """What a worker asks of the ledger, in this order. What was not answered it asks the next control process again."""

    number: int
    asks: list[LeaseAsk]


class LeasesAnswered(Struct, frozen=True, tag="leases_answered"):
    """What became of those asks, in their order and durable; None: the store does not answer, perhaps none was done."""

    number: int
    answers: list[LeaseAnswer] | None


class LimitsChanged(Struct, frozen=True, tag="limits_changed"):
    """All plans that the worker holds are out of date. It comes first too, to whoever greets with another mark.

    `mark` names the limits that there are now, those of the settings and those of the store.
    """

    mark: str = ""


class ObjectAsked(Struct, frozen=True, tag="object_asked"):
    """A worker's order about owned objects. `number` counts up per worker. One without an answer it gives again."""

    number: int
    order: ObjectOrder


class ObjectAnswered(Struct, frozen=True, tag="object_answered"):
    """What came of that order, durable; None: the store does not answer, and perhaps it was carried out."""

    number: int
    answer: ObjectAnswer | None


class UnitsWanted(Struct, frozen=True, tag="units_wanted"):
    """Somebody waits for units of these accounts (`Meter.key`): what is held of them and not used is to go back now.

    It is a hint: nothing is wrong if it is lost, or was made up.
    """

    accounts: list[str]


class UpstreamTokenWanted(Struct, frozen=True, tag="upstream_token_wanted"):
    """A worker wants the token of a session at an upstream. It asks once for each such pair at a time.

    `refused` is the SHA-256 of a token that the upstream refused; control gets another only if that is the one it
    holds.
    """

    upstream: str
    session: str
    refused: bytes = b""


class UpstreamTokenRefused(Struct, frozen=True, tag="upstream_token_refused"):
    """An upstream refused the token of a session that has this SHA-256, and nobody asks for another now."""

    upstream: str
    session: str
    refused: bytes


class UpstreamTokenAnswered(Struct, frozen=True, tag="upstream_token_answered"):
    """What became of it: a token, or why there is none."""

    upstream: str
    session: str
    found: HeldToken | None
    lacking: TokenLacking | None = None


class UpstreamTokenCleared(Struct, frozen=True, tag="upstream_token_cleared"):
    """What the worker holds for this session at an upstream is used no more; None: for all of its sessions."""

    upstream: str
    session: str | None = None


class ToolsSeen(Struct, frozen=True, tag="tools_seen"):
    """Tools of an MCP server that are new, or are not what was approved. `number` counts up per worker."""

    number: int
    server: str
    tools: list[Tool]


class ToolsKnown(Struct, frozen=True, tag="tools_known"):
    """What is known of that server's tools by then, of this version of the whole; None: nobody can say now."""

    number: int
    version: int = 0
    known: dict[str, KnownTool] | None = None


FromWorker = (
    Hello
    | AuditBatch
    | Settled
    | Figures
    | KeysWanted
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
FromControl = (
    World
    | Revoked
    | AuditWritten
    | Beat
    | KeysAnswered
    | TokenAnswered
    | AccountsChanged
    | FormAnswered
    | ProofJudged
    | PlanAnswered
    | LeasesAnswered
    | LimitsChanged
    | UnitsWanted
    | ObjectAnswered
    | IdentityAnswered
    | StatusAnswered
    | UpstreamTokenAnswered
    | UpstreamTokenCleared
    | TicketRedeemed
    | ToolsKnown
)


def _reveal(value: object) -> str:
    # The bus is the one place where a secret may be written out: the socket is 0600 and its ends are ours.
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))


def _conceal(kind: type, value: Any) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_reveal)
_from_worker: Final = msgspec.msgpack.Decoder(FromWorker, dec_hook=_conceal)
_from_control: Final = msgspec.msgpack.Decoder(FromControl, dec_hook=_conceal)


def frame(message: FromWorker | FromControl) -> bytes:
    """The message as one frame."""
    payload = _encoder.encode(message)
    return len(payload).to_bytes(4, "big") + payload


def read_from_worker(payload: bytes | bytearray) -> FromWorker:
    """Decode the payload of one frame sent by a worker. Raises msgspec.DecodeError."""
    message: FromWorker = _from_worker.decode(payload)
    return message


def read_from_control(payload: bytes | bytearray) -> FromControl:
    """Decode the payload of one frame sent by control. Raises msgspec.DecodeError."""
    message: FromControl = _from_control.decode(payload)
    return message
