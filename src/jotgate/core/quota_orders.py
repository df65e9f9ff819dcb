"""What commands and the admin API ask of quotas, and what they are told: limits of holders, and how accounts stand."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from jotgate.core.quotas import Level, Unit

_Name = Annotated[str, Meta(max_length=1024)]
_Text = Annotated[str, Meta(max_length=512)]
_Texts = Annotated[tuple[_Text, ...], Meta(max_length=64)]

Source = Literal["rule", "store", "token", "profile"]
"""Where a limit comes from: `[[quotas]]`, `jotgate quota set`, the token itself or one that it came of, a profile."""


class QuotaOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command about the quotas of a holder, by its level and its name there; without a level about all of them.

    `set` puts `limits` (`core.limit_texts`) in place of those that the store has for the holder; none: it has none any
    more. `version` is that of the limits whose place they take; None: whichever there is. `reset` forgets what was
    spent in the current windows. `after` is behind whom a list of all goes on: a level and a name; both empty: nobody.
    """

    action: Literal["show", "set", "reset"]
    level: Level | None = None
    name: _Name = ""
    limits: _Texts = ()
    version: int | None = None
    after: tuple[Level | Literal[""], str] = ("", "")


class QuotaView(Struct, frozen=True, kw_only=True):
    """A limit as it meets a holder, and how its account stands in its window, by the clock of the store.

    Amounts are whole units, those of money nanodollars. `spent` was used, or is lost with leases that ran out (`lost`);
    of it `debt` was used beyond what was left. `leased` is what workers hold, `left` what could be granted now. The
    window began at `window_s` and ends at `ends_at_s` (NumericDates); null: never. `ahead` is how many a worker takes
    at most before they are asked for: of a small quota 1, so that each call of it asks the store.
    """

    quota: str
    source: Source
    limit: str
    unit: Unit
    per: tuple[Level, ...]
    amount: int
    spent: int
    leased: int
    left: int
    debt: int = 0
    lost: int = 0
    window_s: int = 0
    ends_at_s: int | None = None
    ahead: int = 1


class HolderView(Struct, frozen=True, kw_only=True):
    """A holder: the limits that the store has for it, of which version, and how all stand that count by it alone.

    `version` is 0 where the store has none. `quotas` are empty in a list of all holders, and so are `warnings`: what
    whoever sets these limits should know, each a sentence without its full stop.
    """

    level: Level
    name: str
    limits: list[str] = []
    version: int = 0
    updated_at_s: int = 0
    quotas: list[QuotaView] = []
    warnings: list[str] = []


class RuleView(Struct, frozen=True, kw_only=True):
    """A rule of the configuration."""

    name: str
    limit: str
    per: tuple[Level, ...]


class QuotaAnswer(Struct, frozen=True, kw_only=True):
    """The holder that an order is about as it is now, or all that the store has limits for, and all rules.

    `after` is behind whom the next part of a list begins; null: it is the last. `running` says that a control process
    goes by them already.
    """

    holders: list[HolderView]
    rules: list[RuleView] = []
    after: tuple[Level, str] | None = None
    running: bool = False


class QuotaQuestion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call, by the token that it brings, or by a caller as somebody describes it.

    `issuer` empty: this installation.
    """

    token: Annotated[str, Meta(max_length=16_384)] = ""
    subject: _Name = ""
    client_id: _Name = ""
    tenant: _Name = ""
    roles: _Texts = ()
    issuer: _Text = ""
    operation: _Text = "chat.completions"
    model: _Text = ""


class QuotaFinding(Struct, frozen=True, kw_only=True):
    """The quotas that meet a call, those first that count most narrowly.

    `refused_by` are those of which nothing is left.
    """

    subject: str
    operation: str
    model: str
    quotas: list[QuotaView]
    refused_by: list[str] = []
