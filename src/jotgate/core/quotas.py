"""Quotas as values: at most how much of what, within which time, counted together for whom; and who spends.

What is counted is kept by `core.ledger`. Amounts are whole units; money is in nanodollars.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

Unit = Literal["requests", "input_tokens", "output_tokens", "total_tokens", "cost", "tool_calls", "concurrent"]
"""What is counted. `cost` is in nanodollars; `concurrent` are calls that run at once, and is given back."""

Level = Literal["token", "principal", "client", "tenant", "route", "model", "tool"]
"""By what calls are counted together. Tokens that one was narrowed from are levels of kind `token` too."""

WindowKind = Literal["minute", "hour", "day", "month", "lifetime", "rate", "now"]
"""Calendar windows; `lifetime` never ends; `rate` is a rolling one (GCRA); `now` is that of `concurrent` alone."""

UTC: Final = "UTC"


class Limit(Struct, frozen=True, omit_defaults=True):
    """At most `amount` of a unit in each window.

    `zone` names the clock of days and months. For a rate `amount` comes in each `period_s` seconds, and at most `burst`
    at once; 0 stands for `amount`.
    """

    unit: Unit
    amount: int
    window: WindowKind = "lifetime"
    zone: str = UTC
    period_s: int = 0
    burst: int = 0


class Quota(Struct, frozen=True, omit_defaults=True):
    """A limit with its name, counted together for all calls that agree in all of `per`; none: for all calls.

    `scope` names the calls that it is about if those are not all of its holders: what others spend counts elsewhere.
    """

    name: str
    limit: Limit
    per: tuple[Level, ...] = ("principal",)
    scope: str = ""


class Meter(Struct, frozen=True, omit_defaults=True):
    """A quota as it meets one holder: one account of the ledger.

    `key` is the account (`core.meters.meter_key`): the same for all quotas that count the same, whatever their amounts.
    `holders` are the handles of the levels in `quota.per`.
    """

    key: str
    quota: Quota
    holders: tuple[str, ...]


class TokenLimit(Struct, frozen=True, omit_defaults=True):
    """A limit that a token brings. `of` is the handle (`core.revocations.token_handle`) of the ancestor that it is of.

    Empty: it is of the token itself.
    """

    limit: Limit
    of: str = ""


class Spender(Struct, frozen=True, omit_defaults=True):
    """Who spends, as far as quotas can speak of it; what control needs to find the meters of a call.

    `token` and `ancestors` are handles (`core.revocations.token_handle`, `ancestor_handle`); `origins` are those of a
    `Principal`. `core.spenders.spender_of` makes one.
    """

    issuer: str
    subject: str
    client_id: str
    tenant: str
    token: str
    ancestors: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    limits: tuple[TokenLimit, ...] = ()
    origins: tuple[str, ...] = ()


class Rates(Struct, frozen=True, omit_defaults=True):
    """What a token of input and one of output cost, in picodollars, from so many tokens of input on."""

    input_pd: int
    output_pd: int
    above: int = 0


Extra = Literal["media", "cache", "fast"]
"""What makes a call dearer: audio, images or video; a cache that is kept for long; to be answered before others."""


class Price(Struct, frozen=True, omit_defaults=True):
    """What a model costs at an upstream, in picodollars: for each token of input and of output, and for each call.

    `tiers` hold for all tokens of a call with more input than they say, the last that fits; they stand in order.
    `extras` hold, whatever its length, for a call that has what they are named for (`core.prices.for_call`).
    """

    input_pd: int
    output_pd: int
    call_pd: int = 0
    tiers: tuple[Rates, ...] = ()
    extras: Mapping[Extra, Rates] = {}


QUOTED_UNITS: Final[Mapping[Unit, str]] = {
    "requests": "requests",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "total_tokens": "tokens",
    "cost": "nanodollars",
    "tool_calls": "tool calls",
    "concurrent": "calls at once",
}
"""How refusals call them."""
