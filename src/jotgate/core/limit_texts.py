"""Limits as texts: the one way in which the configuration, commands, tokens and the admin API write them.

    1000 requests                       in all, as long as what they are counted by exists
    1000 requests/day                   in each minute, hour, day or month, which begin by UTC
    5 USD/month in Europe/Berlin        days and months may begin by the clock of a zone
    60 requests/60s burst 10            a rate: so many in each span of time, and at most 10 of them at once
    4 concurrent                        calls that run at the same time

Units are `requests`, `tokens` (input and output together), `input_tokens`, `output_tokens`, `USD`, `tool_calls` and
`concurrent`. A limit of 0 lets nothing through.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from jotgate.core.faults import advice, shown
from jotgate.core.quotas import UTC, Limit, Unit, WindowKind
from jotgate.core.values import parse_duration_s
from jotgate.errors import CommandError

AMOUNT_MAX: Final = 10**15
"""The largest amount of a limit, in its unit; of money 10**18 nanodollars."""
LIMITS_MAX: Final = 16
"""So many limits may be asked for at one place."""
PERIOD_MAX_S: Final = 31 * 86_400
"""The longest span of a rate."""

_NANO: Final = 1_000_000_000  # nanodollars in a dollar
_NANO_DIGITS: Final = 9
_COST_MAX: Final = 10**18
_UNITS: Final[Mapping[str, Unit]] = {
    "requests": "requests",
    "tokens": "total_tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "USD": "cost",
    "tool_calls": "tool_calls",
    "concurrent": "concurrent",
}
_SINGLE: Final[Mapping[str, str]] = {
    "request": "requests",
    "token": "tokens",
    "input_token": "input_tokens",
    "output_token": "output_tokens",
    "tool_call": "tool_calls",
    "total_tokens": "tokens",
    "usd": "USD",
}
_WORDS: Final[Mapping[Unit, str]] = {unit: word for word, unit in _UNITS.items()}
_WINDOWS: Final[Mapping[str, WindowKind]] = {
    "minute": "minute",
    "hour": "hour",
    "day": "day",
    "month": "month",
    "lifetime": "lifetime",
}
_ZONED: Final = frozenset({"day", "month"})
_ZONE_CHARS_MAX: Final = 64
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}", re.ASCII)
_LIMIT: Final = re.compile(
    r"(?P<amount>\S+) +(?P<unit>[A-Za-z_]+)(?: */ *(?P<window>\S+))?"
    r"(?: +in +(?P<zone>\S+))?(?: +burst +(?P<burst>\S+))?"
)
_PERIOD: Final = re.compile(r"[1-9][0-9]{0,8}[smhdw]", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,3}(_?[0-9]{1,3}){0,8}", re.ASCII)
_MONEY: Final = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?", re.ASCII)
_HINT: Final = 'Write one such as "1000 requests/day", "5 USD/month", "60 requests/60s burst 10" or "4 concurrent"'


def read_limit(text: str) -> Limit:
    """The limit that a text says. Whether the machine knows its zone is not looked at.

    Raises:
        CommandError: the text is no limit; the hint says how one is written.
    """
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise _refused(f"{shown(text)} is no limit")
    word = _SINGLE.get(found["unit"], found["unit"])
    unit = _UNITS.get(word)
    if unit is None:
        raise _refused(f"{shown(text)} counts no unit that there is: {advice(word, list(_UNITS))}")
    limit = _with_window(text, Limit(unit, _read_amount(found["amount"], unit)), found["window"])
    zone, burst = found["zone"], found["burst"]
    if zone is not None:
        limit = _with_zone(text, limit, zone)
    return limit if burst is None else _with_burst(text, limit, burst)


def read_limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Several of them, in their order and each once. Raises CommandError, also for more than `LIMITS_MAX`."""
    found = tuple(dict.fromkeys(map(read_limit, texts)))
    if len(found) > LIMITS_MAX:
        raise CommandError(f"there are more than {LIMITS_MAX} limits", hint="Leave out those that others imply")
    return found


def check_zones(limits: Iterable[Limit], knows_zone: Callable[[str], bool]) -> None:
    """Refuse a limit that goes by a clock which nobody here knows. Raises CommandError."""
    for limit in limits:
        if not knows_zone(limit.zone):
            raise CommandError(
                f"'{write_limit(limit)}' names a time zone that this machine does not know",
                hint="Write one such as Europe/Berlin, or leave it out for UTC",
            )


def write_limit(limit: Limit) -> str:
    """The text of a limit, which `read_limit` reads back as the same."""
    parts = [f"{write_amount(limit.amount, limit.unit)} {_WORDS[limit.unit]}"]
    if limit.window == "rate":
        parts.append(f"/{limit.period_s}s")
    elif limit.window not in ("lifetime", "now"):
        parts.append(f"/{limit.window}")
    if limit.zone != UTC:
        parts.append(f" in {limit.zone}")
    if limit.burst:
        parts.append(f" burst {write_amount(limit.burst, limit.unit)}")
    return "".join(parts)


def write_amount(amount: int, unit: Unit) -> str:
    """An amount as people write it: money in dollars without zeros at its end, everything else as it is."""
    if unit != "cost":
        return str(amount)
    sign, whole, nano = "-" * (amount < 0), *divmod(abs(amount), _NANO)
    return sign + (f"{whole}.{nano:0{_NANO_DIGITS}d}".rstrip("0") if nano else str(whole))


def _read_amount(text: str, unit: Unit) -> int:
    """Whole units, with `_` between digits if somebody likes; money in nanodollars, of up to nine decimal places."""
    if unit == "cost":
        found = _MONEY.fullmatch(text)
        if found is None:
            raise _refused(f"{shown(text)} is no amount of dollars with at most nine decimal places")
        amount, most = int(found[1]) * _NANO + int((found[2] or "").ljust(_NANO_DIGITS, "0")), _COST_MAX
    else:
        if _WHOLE.fullmatch(text) is None:
            raise _refused(f"{shown(text)} is no whole number")
        amount, most = int(text), AMOUNT_MAX
    if amount > most:
        raise _refused(f"{shown(text)} is more than a limit can be")
    return amount


def _with_window(text: str, limit: Limit, window: str | None) -> Limit:
    if limit.unit == "concurrent":
        if window is not None:
            raise _refused(f"{shown(text)} has a window, and calls that run at once are counted now")
        return Limit(limit.unit, limit.amount, "now")
    if window is None or window in _WINDOWS:
        return Limit(limit.unit, limit.amount, "lifetime" if window is None else _WINDOWS[window])
    if _PERIOD.fullmatch(window) is None:
        raise _refused(f"{shown(text)} has no window that there is: {advice(window, list(_WINDOWS))}")
    period_s = parse_duration_s(window)
    if period_s > PERIOD_MAX_S:
        raise _refused(f"{shown(text)} has a span of more than 31 days; a month is written /month")
    if not limit.amount:
        raise _refused(f"{shown(text)} is a rate of nothing; write 0 without a span")
    return Limit(limit.unit, limit.amount, "rate", period_s=period_s)


def _with_zone(text: str, limit: Limit, zone: str) -> Limit:
    if limit.window not in _ZONED:
        raise _refused(f"{shown(text)} has a zone, by whose clock days and months alone begin")
    if len(zone) > _ZONE_CHARS_MAX or _ZONE.fullmatch(zone) is None:
        raise _refused(f"{shown(text)} has no name of a time zone behind 'in', such as Europe/Berlin")
    return Limit(limit.unit, limit.amount, limit.window, zone)


def _with_burst(text: str, limit: Limit, burst: str) -> Limit:
    if limit.window != "rate":
        raise _refused(f"{shown(text)} has a burst, which rates alone have, such as 60 requests/60s burst 10")
    amount = _read_amount(burst, limit.unit)
    if not amount:
        raise _refused(f"{shown(text)} has a burst of 0, which would let nothing through")
    burst_or_amount = 0 if amount == limit.amount else amount
    return Limit(limit.unit, limit.amount, limit.window, limit.zone, limit.period_s, burst_or_amount)


def _refused(message: str) -> CommandError:
    return CommandError(message, hint=_HINT)
