"""Policies as values: what each of them speaks of, and what it says; plain data, which crosses the bus."""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.durable import check_texts
from jotgate.core.routes import EndedTokens

Binding = Literal["", "none", "dpop", "mtls", "any"]
"""What the bearer of a token must prove; empty: it does not matter."""

Origin = Literal["shipped", "file", "store"]
ANYTHING: Final = "*"
"""What a pattern ends in that stands for all that begins like it; alone: for all that there is."""
DAY_MINUTES: Final = 24 * 60
UTC_NAME: Final = "UTC"
"""The one zone that needs no rules."""


class Window(Struct, frozen=True):
    """A part of some days of the week (0: Monday) by the clock of `zone`, from minute `begin` to before minute `end`.

    One that ends no later than it begins goes on into the next day, and belongs to the day on which it began.
    """

    days: tuple[int, ...]
    begin: int
    end: int
    zone: str


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One policy. It speaks of a call that fits all that it names; an empty member fits every call.

    Texts are patterns: what they say, or all that begins with what stands before a `*` at their end. `older_s` and
    `younger_s` bound the age of the token in seconds. `reason` is for the caller. `ended_tokens` None: the route's.
    `stale`: whether it allows while what was revoked is not known. `payloads`: whether what is said in a call of a tool
    is written down.
    """

    name: str
    effect: Literal["allow", "deny"]
    origin: Origin = "file"
    reason: str = ""
    subjects: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    binding: Binding = ""
    addresses: tuple[str, ...] = ()
    times: tuple[Window, ...] = ()
    older_s: int | None = None
    younger_s: int | None = None
    ended_tokens: EndedTokens | None = None
    stale: bool = False
    payloads: bool = False

    @property
    def depends(self) -> bool:
        """Whether the address, the time or the age of the token matters, which are others at each call."""
        return bool(self.addresses or self.times) or self.older_s is not None or self.younger_s is not None


class PolicySet(Struct, frozen=True):
    """All policies in their order, and the rules of the time zones that they name (RFC 9636), by name.

    Without any the shipped one stands.
    """

    policies: tuple[Policy, ...] = ()
    zones: Mapping[str, bytes] = {}


SHIPPED: Final = Policy(name="as-the-token-says", effect="allow", origin="shipped")
"""What stands while nobody has written a policy: what a token's scopes and `models` name is allowed."""


class PolicyRecord(Struct, frozen=True):
    """One policy that the store keeps. `content` is its settings as JSON, which the store does not look into.

    `version` is that of the set with which it came.
    """

    name: str
    content: bytes
    version: int = 0
    created_at_s: int = 0

    def __post_init__(self) -> None:
        check_texts(self)


class KeptPolicies(Struct, frozen=True):
    """The policies of the store in their order. `version` grows with each change of any; 0: there never was one."""

    version: int
    records: tuple[PolicyRecord, ...]
