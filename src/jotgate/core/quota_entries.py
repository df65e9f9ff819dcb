"""`[[quotas]]` as values: what may stand in an entry of the configuration."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Patterns = Annotated[
    tuple[str, ...],
    Meta(description='a list of 1 to 1000 texts, such as ["alice", "ci/*"]', min_length=1, max_length=1_000),
]
_Level = Literal["token", "principal", "client", "tenant", "route", "model", "tool"]


class QuotaEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[quotas]]`: at most how much of what, of which calls, and counted together by what."""

    name: Annotated[
        str, Meta(description="1 to 64 letters, digits, '.', '_' or '-'", pattern=r"^[A-Za-z0-9._-]{1,64}\Z")
    ]
    limit: Annotated[str, Meta(description='a limit in quotes, such as "1000 requests/day"', max_length=200)]
    per: Annotated[
        tuple[_Level, ...],
        Meta(
            description='a list of "token", "principal", "client", "tenant", "route", "model", "tool", or [] for all '
            "calls together",
            max_length=7,
        ),
    ] = ("principal",)
    subjects: _Patterns = ()
    clients: _Patterns = ()
    tenants: _Patterns = ()
    roles: _Patterns = ()
    issuers: _Patterns = ()
    operations: _Patterns = ()
    routes: _Patterns = ()
    models: _Patterns = ()
    tools: _Patterns = ()
