"""Times as RFC 3339 writes them, in settings and in variables."""

import re
from datetime import datetime
from typing import Final

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def parse_time_s(text: str) -> int | None:
    """Whole seconds since the epoch (RFC 3339 s5.6, a fraction is dropped); None for what is no such time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    whole = text if found[1] is None else text.replace(found[1], "", 1)
    try:
        return int(datetime.fromisoformat(whole.upper()).timestamp())
    except (ValueError, OverflowError):
        return None
