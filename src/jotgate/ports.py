"""Every seam between deciding and the outside, as a narrow Protocol.

The clock, chance, the caller's connection, an upstream and the audit trail are handed in; nothing inward of the
adapters reaches for them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar, runtime_checkable

from jotgate.core.audit import CallRecord, StepUse
from jotgate.core.calls import Outbound, Request, ResponseHead
from jotgate.core.durable import Issuance, KeyRecord
from jotgate.core.figures import Counts, Gauges
from jotgate.core.key_fetches import Failed, Get, Got, KeptSet, Unchanged
from jotgate.core.kong_admin import KongAnswer, KongAsk
from jotgate.core.kong_credentials import KongConsumer, KongCredential, PlacedConsumer
from jotgate.core.principals import Principal
from jotgate.core.token_exchange import Answered, KeptRefreshToken, Post, Unanswered
from jotgate.core.values import Secret
from jotgate.errors import UpstreamError
from jotgate.jose.keys import SigningKey, VerificationKey
from jotgate.store_ports import Store


class Clock(Protocol):
    """Both clocks: the civil one for claims and records, the monotonic one for spans."""

    def now_s(self) -> float:
        """Seconds since the epoch (RFC 7519 s2 NumericDate)."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""


class Entropy(Protocol):
    """Chance that nobody can foresee."""

    def random_bytes(self, count: int) -> bytes:
        """`count` bytes from a cryptographic source."""


class Caller(Protocol):
    """The connection that a request came in on, while this request is the one being answered.

    Header lines are complete (`Name: value CRLF`) and never hold framing or connection fields: the edge writes those.
    """

    def respond(self, status: int, lines: bytes, body: bytes) -> None:
        """Send a whole response."""

    def start(self, status: int, lines: bytes, length: int | None, piece: bytes) -> None:
        """Send the head and the first piece of a response of `length` bytes (None: not known beforehand)."""

    def write(self, piece: bytes) -> None:
        """Send a further piece."""

    def end(self, piece: bytes) -> None:
        """Send the last piece, which may be empty, and finish the response."""

    def abort(self) -> None:
        """Close the connection: the response was begun and cannot be finished."""


class Running(Protocol):
    """A request that is being answered; the edge tells it what becomes of the caller."""

    def caller_gone(self) -> None:
        """The caller closed the connection: nothing may be written to it any more."""

    def caller_paused(self) -> None:
        """The caller reads more slowly than the upstream writes."""

    def caller_resumed(self) -> None:
        """The caller has caught up."""


Answer = Callable[[Caller], Running | None]
"""Answers a request, now or later; what goes on after it returns is told of the caller's fate."""


class UpstreamEvents(Protocol):
    """What an upstream tells the one who asked it. After `complete` or `failed` nothing more comes."""

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Take the head (once, first), body bytes freed of their framing, and whether the answer is complete."""

    def failed(self, error: UpstreamError, written: bool) -> None:
        """The upstream could not be reached (`written` False: it never saw the request) or broke off."""


@runtime_checkable
class StepEvents(UpstreamEvents, Protocol):
    """Who asks a chain, and wants to know what each of its steps has used."""

    @property
    def caller_tenant(self) -> str:
        """Whose call it is, for bounds per tenant; empty: of no named tenant."""

    def stepped(self, use: StepUse) -> None:
        """A step has ended that an upstream has seen. Each is told once, before the end; on `abort`, while it runs."""


@runtime_checkable
class CallerEvents(UpstreamEvents, Protocol):
    """Who asks on behalf of a verified caller: what the upstream keeps, it keeps apart by whose it is."""

    @property
    def principal(self) -> Principal:
        """The caller."""

    @property
    def request(self) -> Request:
        """The request by which the caller asks."""


Stopping = Literal["over", "asked", "unasked"]
"""What comes of `UpstreamExchange.stop`: nothing is under way, and no event follows; or the upstream is told, and will
end; or it cannot be told but by `abort`."""


class UpstreamExchange(Protocol):
    """One request under way at an upstream."""

    @property
    def written(self) -> bool:
        """Whether the upstream may have seen the request."""

    def abort(self) -> None:
        """Give up: close the connection; no event follows."""

    def stop(self) -> Stopping:
        """Want no more of an answer, and go on telling what was sent of it already, until it ends or `abort`."""

    def pause(self) -> None:
        """Stop reading the answer until `resume`."""

    def resume(self) -> None:
        """Read on."""


class UpstreamPort(Protocol):
    """A place that answers AI calls."""

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> UpstreamExchange:
        """Send the request; what comes of it is told to `events`, never before this returns."""


class Trail(Protocol):
    """Takes audit records; a settled call is never refused a place.

    `full`: no further call may be admitted, since its record might find no place.
    """

    full: bool

    @property
    def crowded(self) -> bool:
        """Refusals of callers who proved nothing are no longer kept."""

    def append(self, record: CallRecord) -> None:
        """Keep one record for the next batch."""

    def next_row(self) -> int:
        """The number of the next record of this process instance, from 1."""


class Journal(Protocol):
    """Takes note of calls that went wrong, for the operator's log."""

    def note(self, record: CallRecord, debug: str) -> None:
        """Say what happened to a call, in terms of its audit record; `debug` never leaves the process otherwise."""


class AuditLog(Protocol):
    """The audit log of this process instance, as `stores.segments` keeps it. All raise AuditUnavailable."""

    def append(self, lines: Iterable[bytes]) -> None:
        """Chain encoded records and keep them for the next flush: all of them or, on error, none."""

    def flush(self) -> None:
        """Hand what waits to the system: from here on it survives the end of this process."""

    def sync(self) -> None:
        """Flush, and wait until the disk has it."""

    def close(self) -> None:
        """End the log properly."""


class FigureSink(Protocol):
    """Takes the figures of workers, by the random name of each process instance."""

    def greeted(self, slot: int, instance: str) -> None:
        """A worker is there."""

    def took(self, instance: str, counts: Counts, gauges: Gauges) -> None:
        """A worker tells its figures."""

    def left(self, instance: str) -> None:
        """A worker is no longer connected."""


class HintLine(Protocol):
    """Tells other machines something at once, or not at all: nobody relies on what it carries."""

    def publish(self, message: bytes) -> None:
        """Send it to whoever listens, this machine too. It never waits and never fails: what cannot be sent is lost."""

    async def keep(self) -> None:
        """Listen and send, whatever happens, until cancelled."""


class KeyFetch(Protocol):
    """Reads documents of other issuers, over the network or from a file. What goes wrong is told, never raised."""

    async def get(self, get: Get) -> Got | Unchanged | Failed:
        """Do one conditional GET."""


class KeyNews(Protocol):
    """Tells the operator how fetching the keys of other issuers goes: when that changes, not each time."""

    def failing(self, issuer: str, reason: str, held: bool) -> None:
        """It fails, for this reason; `held`: keys of before go on being used."""

    def recovered(self, issuer: str) -> None:
        """It succeeds again."""

    def ended(self, issuer: str) -> None:
        """The keys of before are too old: the issuer has none any more."""

    def unkept(self, reason: str) -> None:
        """What was fetched cannot be kept for the next control process."""

    def broken(self, fault: BaseException) -> None:
        """The fault is of jotgate itself."""


class TokenEndpoint(Protocol):
    """Asks the token endpoints of upstreams. What goes wrong is told, never raised."""

    async def post(self, post: Post) -> Answered | Unanswered:
        """Do one request; no redirect is followed."""


class KongAdmin(Protocol):
    """Kong's Admin API, over a connection that is kept."""

    async def ask(self, ask: KongAsk) -> KongAnswer:
        """Send one request; whatever Kong answers is an answer. Raises KongUnavailable, KongTimeout."""


class KongGate(Protocol):
    """Kong, as one token is put there and taken away; each may be done again.

    All raise KongUnavailable, KongRefused.
    """

    async def put_consumer(self, consumer: KongConsumer) -> PlacedConsumer:
        """Have Kong know a consumer. Raises KongConflict: it knows one that is not ours, or is another user's."""

    async def put_credential(self, credential: KongCredential, secret: Secret | None) -> None:
        """Have Kong take what this has signed; `secret` as Kong has it. Raises KongConflict: another has its key."""

    async def delete_credential(self, credential_id: str) -> None:
        """Have Kong take it no more; it may be gone already."""


class KeptRefreshTokens(Protocol):
    """The refresh tokens of upstreams, by the upstream's name, kept from one control process to the next.

    `holder` is the caller whose it is; empty: it is that of all. All raise DirectoryRefused or StoreUnavailable.
    """

    async def read(self, upstream: str, holder: str = "") -> KeptRefreshToken | None:
        """The newest that was kept; a secret that is kept in place of one."""

    async def keep(self, upstream: str, kept: KeptRefreshToken, holder: str = "") -> None:
        """Keep this in place of the one before, durably: that one is dead by now, or will be."""

    async def fail(self, upstream: str, holder: str, fault: str) -> None:
        """Keep that it is of no use any more, and why: somebody has to connect anew."""

    async def forget(self, upstream: str, holder: str = "") -> None:
        """Erase it; it may be gone already."""


class KeptSets(Protocol):
    """The JWK Sets of other issuers, by name, kept from one control process to the next. Both raise DirectoryRefused.

    They may be called on any thread.
    """

    def read(self) -> Mapping[str, KeptSet]:
        """What was kept."""

    def keep(self, sets: Mapping[str, KeptSet]) -> None:
        """Keep these in place of all before."""


class Files(Protocol):
    """Small private files in one directory, each written whole or not at all. All raise DirectoryRefused."""

    def names(self) -> list[str]:
        """The names, sorted."""

    def read(self, name: str) -> bytes | None:
        """The content, or None when there is no such file."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a file, in place of whatever had its name."""

    def remove(self, name: str) -> None:
        """Erase a file; it may be gone already."""


class Signer(Protocol):
    """The private part of one signing key, wherever it is: in this process, or with somebody who signs when asked."""

    @property
    def key(self) -> VerificationKey:
        """The public part, with `kid` and algorithm."""

    @property
    def local(self) -> bool:
        """Whether the private part is in this process; what others signed is verified before it is handed out."""

    async def sign(self, signing_input: bytes) -> bytes:
        """The signature over the signing input, in the form that JWS carries (RFC 7515 s5.1). Raises Unavailable."""


class Signers(Protocol):
    """Chooses who signs, and keeps what is signed."""

    async def signer(self, expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
        """Whoever signs now, for a token that ends then: the key verifies until it does. `row` is what is kept of it.

        It is made with the key's `kid`, and durable when this returns. A row may stand there whose token nobody got,
        but no token without a row.

        Raises:
            KeyRefused, DirectoryRefused: no key may sign now, or its private part is not here.
            StoreUnavailable: it cannot be known or kept.
        """


class Seals(Protocol):
    """Seals secret texts, so that the store may have them. Both raise DirectoryRefused."""

    def seal(self, text: Secret, context: Sequence[str]) -> bytes:
        """The text, sealed for a context: it cannot be opened in another one."""

    def open(self, sealed: bytes, context: Sequence[str]) -> Secret:
        """The text. It raises too when that was sealed under another key or for another context, or is damaged."""


class PrivateParts(Protocol):
    """Where the private parts of signing keys are kept. All raise DirectoryRefused and KeyRefused."""

    @property
    def seals(self) -> bool:
        """Whether private parts go into the records, so that all machines that share the store have them."""

    def keep(self, key: SigningKey) -> bytes | None:
        """Keep the private part of a key, durably; what of it belongs into the key's record."""

    def find(self, record: KeyRecord) -> SigningKey | None:
        """The key with its private part; None when that is not here."""

    def strays(self) -> Sequence[SigningKey]:
        """Keys that are kept beside the records, which may know nothing of them."""

    def named(self) -> str | None:
        """The `kid` of that of `strays` which signs, where an installation without records says so."""

    def adopted(self) -> None:
        """Erase what `named` reads: the records say now which key signs."""

    def forget(self, record: KeyRecord) -> None:
        """Erase what is kept of a key beside its record."""


_Result = TypeVar("_Result")


class StoreAccess(Protocol):
    """The way to the store from an event loop."""

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        """Do `work` where it may wait for the database; it must not touch the loop or what belongs to it.

        Raises:
            StoreUnavailable: and whatever else `work` raises.
        """
