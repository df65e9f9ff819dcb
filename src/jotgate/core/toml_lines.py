"""Finds the line on which each setting of a TOML document stands, which its decoder does not tell.

The text has been decoded before, so it is sound: this only walks over it, from statement to statement.
"""

import re
from collections.abc import Mapping
from typing import Final

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INDENT: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
# The multi-line forms first; up to two quotes may stand right before their end.
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_PLAIN: Final = re.compile(r"[^\"'#\[\]{},\n]+")


def find_lines(text: str) -> Mapping[str, int]:
    """The line of each table and key, from 1, by path such as `server.port` or `upstreams[0].name`.

    What stands inside an inline table or array has no entry of its own.
    """
    return _Walk(text).run()


def nearest_line(lines: Mapping[str, int], path: str) -> int | None:
    """The line of a path, or of what it stands in."""
    while path:
        if path in lines:
            return lines[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return None


class _Walk:
    """One walk over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._line = 1
        self._counted = 0

    def run(self) -> Mapping[str, int]:
        table = ""
        self._skip(_SPACE)
        while self._at < len(self._text):
            line = self._line_here()
            if self._text.startswith("[[", self._at):
                table = self._header(2)
                count = self._counts[table] = self._counts.get(table, -1) + 1
                self._lines.setdefault(table, line)
                table = f"{table}[{count}]"
                self._lines.setdefault(table, line)
            elif self._text.startswith("[", self._at):
                table = self._header(1)
                self._lines.setdefault(table, line)
            else:
                self._lines.setdefault(".".join(filter(None, (table, self._key()))), line)
                self._at += 1  # The equals sign.
                self._value()
            self._skip(_SPACE)
        return self._lines

    def _header(self, brackets: int) -> str:
        self._at += brackets
        name = self._key(resolve=True, last=brackets == 1)
        self._at += brackets
        return name

    def _key(self, *, resolve: bool = False, last: bool = False) -> str:
        """A dotted key; with `resolve`, a part that names an array of tables means its newest; so does the `last`."""
        parts: list[str] = []
        while True:
            self._skip(_INDENT)
            bare = _BARE.match(self._text, self._at)
            found = bare or _STRING.match(self._text, self._at)
            if found is None:
                return ".".join(parts)  # Unreachable in a sound document.
            self._at = found.end()
            parts.append(found[0] if bare else found[0][1:-1])
            name = ".".join(parts)
            self._skip(_INDENT)
            more = self._text.startswith(".", self._at)
            if resolve and (more or last) and name in self._counts:
                parts = [f"{name}[{self._counts[name]}]"]
            if not more:
                return ".".join(parts)
            self._at += 1

    def _value(self) -> None:
        depth = 0
        while self._at < len(self._text):
            self._skip(_INDENT)
            string = _STRING.match(self._text, self._at)
            sign = self._text[self._at : self._at + 1]
            if string is not None:
                self._at = string.end()
            elif sign in ("[", "{"):
                depth += 1
                self._at += 1
            elif sign in ("]", "}"):
                depth -= 1
                self._at += 1
            elif sign in (",", ""):
                self._at += 1
            elif sign in ("\n", "#"):
                if depth == 0:
                    return
                self._skip(_SPACE)
            else:
                self._skip(_PLAIN)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
