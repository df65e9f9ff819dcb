"""What the store keeps, as values: signing keys, issuers, what was issued, what was revoked.

Times are whole seconds since the epoch (NumericDate, RFC 7519 s2). Texts are what a database can hold: `check_texts`.
"""

from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.quotas import TokenLimit
from jotgate.errors import CommandError

_BYTES_MAX: Final = 2048
_encode: Final = msgspec.json.Encoder().encode

PAIRED_BYTES_MAX: Final = 1024
"""For texts of which two stand in one row of an index: PostgreSQL's rows of an index have 2704 bytes at most."""


class KeyState(StrEnum):
    """Where a signing key is in its life."""

    PENDING = "pending"
    """Published, and not signing yet."""
    ACTIVE = "active"
    """The one that signs."""
    RETIRED = "retired"
    """Verifies what it signed."""
    GONE = "gone"
    """Verifies nothing any more; its private part is erased."""
    COMPROMISED = "compromised"
    """Refused at once, whatever it signed."""


class KeyRecord(Struct, frozen=True):
    """One signing key. `sealed` is its private part, encrypted by whoever keeps it; None: erased, or elsewhere.

    `signs_from_s`: not active earlier. `verifies_until_s`: gone then. The other times say when it came into a state;
    `ended_at_s` is for `gone` and `compromised`.
    """

    kid: str
    algorithm: str
    public_jwk: bytes
    sealed: bytes | None
    state: KeyState
    created_at_s: int
    signs_from_s: int | None = None
    activated_at_s: int | None = None
    retired_at_s: int | None = None
    verifies_until_s: int | None = None
    ended_at_s: int | None = None

    def __post_init__(self) -> None:
        check_texts(self)


class DamagedKey(Struct, frozen=True):
    """A key whose record cannot be read, and the text that stands for its state."""

    kid: str
    state: str


class KeyRing(Struct, frozen=True):
    """All keys, oldest first, and the version of the whole; each change of any key makes it larger.

    `damaged` are those that count for nothing, as what is kept of them is no record of a key.
    """

    version: int
    keys: tuple[KeyRecord, ...]
    damaged: tuple[DamagedKey, ...] = ()


class IssuerRecord(Struct, frozen=True):
    """One issuer that is kept in the store. `content` is its settings as JSON, which the store does not look into.

    `version` is 0 before it is kept, and grows with each change.
    """

    name: str
    content: bytes
    enabled: bool = True
    version: int = 0
    created_at_s: int = 0
    updated_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self)


class Issuance(Struct, frozen=True, gc=False):
    """That a token was issued. `parent` is the token that it was narrowed from, `family` its refresh family.

    `actor` is who acts by it (RFC 8693 s4.1); None: whom it speaks for. `tenant` None: it is not known. `limits` are
    those that it brings, `origins` as in `Principal`: what it comes of beside its parents.
    """

    token_id: str
    subject: str
    client_id: str
    kid: str
    issued_at_s: int
    expires_at_s: int
    parent: str | None = None
    family: str | None = None
    actor: str | None = None
    tenant: str | None = None
    limits: tuple[TokenLimit, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_texts(self)


class IssuanceQuery(Struct, frozen=True, kw_only=True):
    """Which issued tokens are meant: those that fit all that is given and have not ended at `live_at_s`."""

    live_at_s: int
    subject: str | None = None
    client_id: str | None = None
    kid: str | None = None
    parent: str | None = None
    family: str | None = None

    def __post_init__(self) -> None:
        check_texts(self)

    def criteria(self) -> dict[str, str]:
        """What is given beside the time, by the name of the member of Issuance that it must equal."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "live_at_s"}
        return {name: value for name, value in given.items() if value is not None}


CLOCKS_APART_S: Final = 2
"""What the clocks of machines that share a store may differ by: what another has just done bears such a time."""


class RevocationKind(StrEnum):
    """What a revocation speaks of."""

    TOKEN = "token"
    FAMILY = "family"
    CLIENT = "client"
    SUBJECT = "subject"
    TENANT = "tenant"
    KEY = "key"
    SESSION = "session"


class Revocation(Struct, frozen=True):
    """That something no longer counts. `handle` names it among those of its kind.

    `before_s` None: altogether; else a watermark: what was issued then or earlier. After `expires_at_s` the row means
    nothing, as everything that it speaks of has ended; None: never. `revoked_at_s` may be a time to come: until then it
    means nothing yet. `number` is 0 before it is kept; then the order of numbers is the order in which revocations were
    committed, without gaps.
    """

    kind: RevocationKind
    handle: str
    revoked_at_s: int
    expires_at_s: int | None = None
    before_s: int | None = None
    reason: str = ""
    actor: str = ""
    number: int = 0

    def __post_init__(self) -> None:
        check_texts(self)

    def covers(self, other: "Revocation") -> bool:
        """Whether this one already says what another of the same kind and handle says, and says it as soon."""
        soon = self.revoked_at_s <= other.revoked_at_s + CLOCKS_APART_S
        reaches = self.before_s is None or (other.before_s is not None and other.before_s <= self.before_s)
        lasts = self.expires_at_s is None or (
            other.expires_at_s is not None and other.expires_at_s <= self.expires_at_s
        )
        return soon and reaches and lasts


class Versions(Struct, frozen=True):
    """How often each part has changed: who remembers that knows what to read again. `revocations`: the last number.

    `accounts` is the highest version of any tenant, principal, client or personal token.
    """

    keys: int
    issuers: int
    revocations: int
    accounts: int = 0
    policies: int = 0
    limits: int = 0
    mcp_tools: int = 0


class Mark(Struct, frozen=True):
    """Something that counts once until `expires_at_s`, and what came of it, if that is wanted again.

    `kind` says what it is, such as an assertion's `jti`; `handle` names it among those of its kind.
    """

    kind: str
    handle: str
    expires_at_s: int
    content: bytes = b""

    def __post_init__(self) -> None:
        check_texts(self)


def check_texts(record: Struct, bytes_max: int = _BYTES_MAX) -> None:
    """Refuse texts that some database would not take: with NUL or lone surrogates, or too long for an index."""
    if not _is_plain(record, bytes_max) and not _are_storable(msgspec.structs.astuple(record), bytes_max):
        raise CommandError(
            f"a name is longer than {bytes_max} bytes, or holds signs that no text has, and cannot be stored",
            hint="Give it a plain name",
        )


def _is_plain(record: Struct, bytes_max: int) -> bool:
    """Whether the whole of a record is shorter than one text may be, and has no NUL, as it mostly is."""
    try:
        written = _encode(record)
    except UnicodeEncodeError:
        return False
    return len(written) <= bytes_max and b"\\u0000" not in written


def _are_storable(values: tuple[object, ...], bytes_max: int) -> bool:
    for value in values:
        if isinstance(value, str):
            if not _is_storable(value, bytes_max):
                return False
        elif isinstance(value, tuple | Struct):
            inner = value if isinstance(value, tuple) else msgspec.structs.astuple(value)
            if not _are_storable(inner, bytes_max):
                return False
    return True


def _is_storable(text: str, bytes_max: int) -> bool:
    try:
        return len(text.encode()) <= bytes_max and "\0" not in text
    except UnicodeEncodeError:
        return False
