"""Small values that all of jotgate shares: secrets that do not print, durations, identifiers."""

import re
from typing import Final, final

from jotgate.errors import CommandError

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhdw])", re.ASCII)


@final
class Secret:
    """Text that has no string form: `reveal()` is the only way out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled")


def parse_duration_s(text: str) -> int:
    """Seconds in `90s`, `30m`, `24h`, `7d` or `4w`.

    Raises:
        CommandError: the text is anything else.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise CommandError(
            f"'{text}' is not a duration",
            hint="Write a whole number and a unit: 90s, 30m, 24h, 7d or 4w",
        )
    return int(found[1]) * _UNITS_S[found[2]]
