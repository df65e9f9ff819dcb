"""`[[policies]]` as values: what may stand in an entry of the configuration, or of a file that a command reads.

The patterns are such as JSON Schema has too; what ends them keeps a line feed from standing behind.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.routes import EndedTokens

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_Clock = Annotated[
    str,
    Meta(
        description='a time of day in quotes from "00:00" to "24:00"', pattern=r"^([01][0-9]|2[0-4]):[0-5][0-9](?!\n)$"
    ),
]
_Span = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}[smhdw](?!\n)$")]
_Patterns = Annotated[
    tuple[str, ...],
    Meta(description='a list of 1 to 1000 texts, such as ["alice", "ci/*"]', min_length=1, max_length=1_000),
]


class WindowEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One of a policy's `times`: a part of some days of the week, by the clock of a zone."""

    days: Annotated[tuple[Day, ...], Meta(description='a list of days, such as ["mon", "tue"]', min_length=1)] = DAYS
    begin: _Clock = "00:00"
    end: _Clock = "24:00"
    zone: Annotated[
        str,
        Meta(
            description='a time zone in quotes, such as "UTC" or "Europe/Berlin"',
            pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}(?!\n)$",
            max_length=64,
        ),
    ] = "UTC"


class AgeEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A policy's `token_age`: how long ago a token was issued."""

    over: Annotated[_Span | None, Meta(description='a duration in quotes, such as "1h"')] = None
    under: Annotated[_Span | None, Meta(description='a duration in quotes, such as "15m"')] = None


class PolicyEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """`[[policies]]`: what it speaks of, and whether it allows or denies that."""

    name: Annotated[
        str, Meta(description="1 to 64 letters, digits, '.', '_' or '-'", pattern=r"^[A-Za-z0-9._-]{1,64}(?!\n)$")
    ]
    effect: Annotated[Literal["allow", "deny"], Meta(description='"allow" or "deny"')]
    reason: Annotated[str, Meta(description="a text of at most 200 characters in quotes", max_length=200)] = ""
    subjects: _Patterns = ()
    clients: _Patterns = ()
    tenants: _Patterns = ()
    roles: _Patterns = ()
    issuers: _Patterns = ()
    actors: _Patterns = ()
    scopes: _Patterns = ()
    operations: _Patterns = ()
    routes: _Patterns = ()
    models: _Patterns = ()
    tools: _Patterns = ()
    binding: Annotated[
        Literal["none", "dpop", "mtls", "any"] | None, Meta(description='"none", "dpop", "mtls" or "any"')
    ] = None
    addresses: Annotated[
        tuple[str, ...],
        Meta(
            description='a list of 1 to 1000 addresses or networks, such as ["10.0.0.0/8"]',
            min_length=1,
            max_length=1_000,
        ),
    ] = ()
    times: Annotated[
        tuple[WindowEntry, ...],
        Meta(
            description='a list of 1 to 100 tables such as { days = ["mon"], begin = "08:00" }',
            min_length=1,
            max_length=100,
        ),
    ] = ()
    token_age: Annotated[AgeEntry | None, Meta(description='a table such as { over = "1h" }')] = None
    ended_tokens: Annotated[EndedTokens | None, Meta(description='"cut" or "finish"')] = None
    stale: Annotated[Literal["refuse", "allow"] | None, Meta(description='"refuse" or "allow"')] = None
    payloads: Annotated[Literal["omit", "record"] | None, Meta(description='"omit" or "record"')] = None
