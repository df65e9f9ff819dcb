"""Rate limits as web frameworks write them, such as `10/minute` or `5 per 2 hours`, as limits of `core.limit_texts`."""

import re
from typing import Final

from jotgate.core.faults import shown
from jotgate.core.limit_texts import PERIOD_MAX_S
from jotgate.errors import CommandError

_RATE: Final = re.compile(
    r"(?P<amount>[0-9]{1,9}) *(?:/|per) *(?P<count>[1-9][0-9]{0,5})? *(?P<unit>second|minute|hour|day|month)s?",
    re.IGNORECASE | re.ASCII,
)
_BORDER: Final = re.compile(r"[;,|]")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000}


def read_rates(text: str) -> tuple[str, ...]:
    """The limits of a text, of which several stand with `;`, `,` or `|` between; all of them count.

    One that is of a single minute, hour, day or month counts from the beginning of each; others roll.

    Raises:
        CommandError: the text is none.
    """
    return tuple(_limit(part.strip()) for part in _BORDER.split(text))


def _limit(text: str) -> str:
    found = _RATE.fullmatch(text)
    if found is None:
        raise CommandError(f"{shown(text)} is no rate limit", hint='Write one such as "10/minute" or "100 per 2 hours"')
    count, unit = int(found["count"] or 1), found["unit"].lower()
    if count == 1 and unit != "second":
        return f"{int(found['amount'])} requests/{unit}"
    period_s = count * _SECONDS[unit]
    if period_s > PERIOD_MAX_S:
        raise CommandError(
            f"{shown(text)} is over more than {PERIOD_MAX_S // 86_400} days", hint="Write a shorter time"
        )
    return f"{int(found['amount'])} requests/{period_s}s"
