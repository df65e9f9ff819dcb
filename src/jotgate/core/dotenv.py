r"""Reads the text of a `.env` file: `NAME=value` lines, of which nothing is executed and nothing expanded.

- A value goes to the end of its line, spaces inside included; spaces around it and a comment behind ` #` are not part.
- In single quotes everything stands for itself. In double quotes `\n`, `\r`, `\t`, `\"` and `\\` are what they usually
  are, any other backslash stands for itself. Quoted values may go over several lines.
- A value that begins like a PEM file may write its line ends as `\n` without quotes.
- `export` before a name is passed over, and so are empty lines and those that begin with `#`.
"""

import re
from typing import Final

from msgspec import Struct

_BLANK: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME: Final = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*")
_SINGLE: Final = re.compile(r"'([^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#[^\n]*)?(?:\n|\Z)', re.DOTALL)
_PLAIN: Final = re.compile(r"([^\n]*)(?:\n|\Z)")
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE: Final = re.compile(r'\\([nrt"\\])')
_MEANING: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_PEM: Final = "-----BEGIN "


class Variables(Struct, frozen=True):
    """What a `.env` file holds: values by name, and the numbers of the lines that are not understood."""

    values: dict[str, str]
    strange_lines: tuple[int, ...]


def read_variables(text: str) -> Variables:
    """The variables in a text; of one that is given twice the last counts."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values: dict[str, str] = {}
    strange: list[int] = []
    at = 0
    while at < len(text):
        blank = _BLANK.match(text, at)
        name = None if blank else _NAME.match(text, at)
        if blank:
            at = blank.end()
        elif name is None:
            strange.append(_line(text, at))
            at = _end_of_line(text, at)
        else:
            value, at = _read_value(text, name.end())
            if value is None:
                strange.append(_line(text, name.start()))
            else:
                values[name[1]] = value
    return Variables(values, tuple(strange))


def _read_value(text: str, at: int) -> tuple[str | None, int]:
    """The value that begins there, None when it is not understood, and where the next line begins."""
    if text.startswith("'", at):
        found = _SINGLE.match(text, at)
        return (found[1], found.end()) if found else (None, _end_of_line(text, at))
    if text.startswith('"', at):
        found = _DOUBLE.match(text, at)
        return (_unescape(found[1]), found.end()) if found else (None, _end_of_line(text, at))
    found = _PLAIN.match(text, at)
    if found is None:
        return None, len(text)
    value = _COMMENT.sub("", found[1]).strip(" \t")
    return value.replace("\\n", "\n") if value.startswith(_PEM) else value, found.end()


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda found: _MEANING[found[1]], text)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
