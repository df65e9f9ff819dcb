"""A fault of a configuration, and the words in which it is told."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from jotgate.core.redaction import redact

Fault = tuple[str, str]
"""The path of a setting, such as `upstreams[0].name`, and what is wrong there and what to write."""

_SHOWN_MAX: Final = 60
_SHOWN_BITS_MAX: Final = 1_000  # Python writes no number of more than 4,300 digits.


def shown(value: object) -> str:
    """A value as a fault may show it: short, without secrets, and never the inside of something larger."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS_MAX:
        return "a number of more than 300 digits"
    if isinstance(value, str | int | float):
        text = repr(redact(value) if isinstance(value, str) else value)
        return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"
    return "a table" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else "of another type"


def beside(path: str, written: Sequence[str]) -> list[Fault]:
    """The faults of settings of one table of which one alone may be written; `written` are those that are."""
    return [(f"{path}.{name}", f"stands beside {written[0]}; write one of them") for name in written[1:]]


def advice(name: str, known: Sequence[str]) -> str:
    """What to write for an unknown name: the one that it resembles, else all that there are."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
