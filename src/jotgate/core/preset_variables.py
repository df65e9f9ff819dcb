"""Reads the variables of an older system one by one: what each is worth, and a fault for one that cannot be that.

`names` are the spellings of one variable, the first that is set counts; an empty value counts as if it were not set.
What is not set, or has a fault, is None.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from jotgate.core.faults import Fault, shown

Names = tuple[str, ...]

_TRUE: Final = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE: Final = frozenset({"false", "0", "no", "off", "f", "n"})


def find_variable(variables: Mapping[str, str], names: Names) -> tuple[str, str] | None:
    """The spelling that is set, and its text without white space around it."""
    for name in names:
        if text := variables.get(name, "").strip():
            return name, text
    return None


def read_whole(variables: Mapping[str, str], names: Names, faults: list[Fault], low: int, high: int) -> int | None:
    """A whole number from `low` to `high`."""
    found = find_variable(variables, names)
    if found is None:
        return None
    name, text = found
    if text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high:
        return int(text)
    faults.append((name, f"is {shown(text)}, and must be a whole number from {low} to {high}"))
    return None


def read_number(
    variables: Mapping[str, str], names: Names, faults: list[Fault], low: float, high: float
) -> float | None:
    """A number from `low` to `high`."""
    found = find_variable(variables, names)
    if found is None:
        return None
    name, text = found
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if low <= number <= high:
        return number
    faults.append((name, f"is {shown(text)}, and must be a number from {low:g} to {high:g}"))
    return None


def read_flag(variables: Mapping[str, str], names: Names, faults: list[Fault]) -> bool | None:
    """Yes or no, in any of the usual words."""
    found = find_variable(variables, names)
    if found is None:
        return None
    name, text = found
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    faults.append((name, f"is {shown(text)}, and must be true or false"))
    return None


def read_choice(variables: Mapping[str, str], names: Names, faults: list[Fault], choices: Iterable[str]) -> str | None:
    """One of some words, in any case; as it stands in `choices`."""
    found = find_variable(variables, names)
    if found is None:
        return None
    name, text = found
    known = {one.lower(): one for one in choices}
    if text.lower() in known:
        return known[text.lower()]
    faults.append((name, f"is {shown(text)}, and must be one of {', '.join(known.values())}"))
    return None


def read_list(variables: Mapping[str, str], names: Names, faults: list[Fault]) -> tuple[str, ...] | None:
    """Texts: a JSON array of them, or with commas between."""
    found = find_variable(variables, names)
    if found is None:
        return None
    name, text = found
    if not text.startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return tuple(msgspec.json.decode(text, type=list[str]))
    except (msgspec.DecodeError, RecursionError):
        faults.append((name, f'is {shown(text)}, and must be such as ["https://app.example"]'))
        return None
