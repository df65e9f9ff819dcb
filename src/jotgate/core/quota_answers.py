"""How a quota stands, in the words of an answer; and the refusal of what it has not left."""

from datetime import UTC, datetime
from math import ceil, inf
from typing import Final

from msgspec import Struct

from jotgate.core.quotas import QUOTED_UNITS, Limit, Meter, WindowKind
from jotgate.errors import QuotaExceeded, QuotaStanding

TOKEN_QUOTA_EXCEEDED: Final = "Token quota exceeded"

_NANODOLLARS: Final = 1_000_000_000
_WINDOWS_S: Final[dict[WindowKind, int]] = {"minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000}
_CLOCKS: Final = frozenset(_WINDOWS_S)
_WORDS: Final = {"cost": "USD", "total_tokens": "tokens"}
"""What answers call units that limits call otherwise than the ledger (`core.limit_texts`)."""


class QuotaTold(Struct, frozen=True):
    """A quota as the body of an answer tells it.

    `level` is by what it is counted: the levels with `+` between, or `all`. Money is in US dollars. `reset` is when
    there will be more (RFC 3339); null: never.
    """

    name: str
    level: str
    unit: str
    limit: int | float
    spent: int | float
    reset: str | None


def told(standing: QuotaStanding) -> QuotaTold:
    """What of a quota's standing goes into a body."""
    return QuotaTold(
        standing.name,
        "+".join(standing.levels) or "all",
        _WORDS.get(standing.unit, standing.unit),
        quoted_amount(standing.unit, standing.limit),
        quoted_amount(standing.unit, standing.spent),
        rfc3339(standing.resets_at) if standing.resets_at else None,
    )


def standing_of(meter: Meter, *, spent: int, resets_s: float, now_s: float) -> QuotaStanding:
    """How the quota of a meter stands when so much is spent or reserved, and more comes in `resets_s` seconds.

    `now_s` is a NumericDate. Months count as thirty days: the field's window is one number for all of them.
    """
    quota = meter.quota
    limit = quota.limit
    return QuotaStanding(
        name=quota.name,
        levels=quota.per,
        unit=limit.unit,
        limit=limit.amount,
        spent=spent,
        window_s=limit.period_s if limit.window == "rate" else _WINDOWS_S.get(limit.window, 0),
        resets_s=resets_s,
        resets_at=0 if resets_s == inf else ceil(now_s + resets_s),
    )


def exceeded(
    meter: Meter, *, spent: int, resets_s: float, now_s: float, others: tuple[QuotaStanding, ...] = ()
) -> QuotaExceeded:
    """The refusal of a call for which a meter has not enough left; parameters as for `standing_of`.

    A token that is good for no request at all is refused in the words that clients of the MCP daemon know.
    """
    standing = standing_of(meter, spent=spent, resets_s=resets_s, now_s=now_s)
    limit = meter.quota.limit
    message = f"the quota '{meter.quota.name}' has not so much left: {_spent(limit, spent)}"
    if limit.unit == "requests" and not limit.amount and meter.quota.per == ("token",):
        message = TOKEN_QUOTA_EXCEEDED
    if limit.window in _CLOCKS and standing.resets_at:
        message += f", and it begins anew at {rfc3339(standing.resets_at)}"
    retry_after_s = 0 if resets_s == inf else max(1, ceil(resets_s))
    return QuotaExceeded(standing, message, retry_after_s=retry_after_s, others=others, hint=_hint(retry_after_s))


def rfc3339(at_s: int) -> str:
    """A NumericDate as RFC 3339 writes it, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dollars(nanodollars: int) -> str:
    """An amount of money as people read it: with cents, and with as many digits more as it has."""
    sign, rest = ("-", -nanodollars) if nanodollars < 0 else ("", nanodollars)
    fraction = f"{rest % _NANODOLLARS:09}"
    return f"{sign}{rest // _NANODOLLARS}.{fraction[:2]}{fraction[2:].rstrip('0')}"


def quoted_amount(unit: str, amount: int) -> int | float:
    """An amount as answers tell it: money in US dollars, all else as it is."""
    return amount / _NANODOLLARS if unit == "cost" else amount


def _spent(limit: Limit, spent: int) -> str:
    if limit.window == "now":
        return f"{spent} of {limit.amount} calls run"
    if limit.unit == "cost":
        return f"{dollars(spent)} of {dollars(limit.amount)} US dollars are spent or reserved"
    what = QUOTED_UNITS[limit.unit]
    if limit.window == "rate":
        return f"{limit.amount} {what} in {limit.period_s} s may come"
    return f"{spent} of {limit.amount} {what} are spent or reserved"


def _hint(retry_after_s: int) -> str:
    return f"Try again in {retry_after_s} seconds" if retry_after_s else "Ask the operator of this gateway for more"
