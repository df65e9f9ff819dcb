"""The way to a claim as settings write it: names with dots between, as keys of TOML are written.

`realm_access.roles` is the member `roles` of the claim `realm_access`. A name with a dot or another sign stands in
double quotes: `"https://app.example/roles"`; inside, a backslash takes the sign behind it as it is.
"""

import re
from typing import Final

from jotgate.core.issuers import Path

_BARE: Final = re.compile(r"[A-Za-z0-9_:/@$+-]+", re.ASCII)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])+)"')
_ESCAPED: Final = re.compile(r'\\(["\\])')
_NAMES_MAX: Final = 8


def parse_path(text: str) -> Path:
    """The names of a path; none in an empty text.

    Raises:
        ValueError: what is wrong, behind the setting's name.
    """
    if not text:
        return ()
    names: list[str] = []
    at = 0
    while True:
        quoted = _QUOTED.match(text, at)
        found = quoted or _BARE.match(text, at)
        if found is None:
            raise ValueError(_FAULT)
        names.append(found[0] if quoted is None else _ESCAPED.sub(r"\1", quoted[1]))
        at = found.end()
        if at == len(text):
            break
        if text[at] != ".":
            raise ValueError(_FAULT)
        at += 1
    if len(names) > _NAMES_MAX or not all(name.isprintable() for name in names):
        raise ValueError(_FAULT)
    return tuple(names)


def write_path(path: Path) -> str:
    """A path as `parse_path` reads it."""
    return ".".join(name if _BARE.fullmatch(name) else _quoted(name) for name in path)


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_FAULT: Final = (
    'is not the way to a claim; write the claim\'s name, or names with dots between such as "realm_access.roles"; a '
    "name that has a dot itself stands in double quotes within the single ones: '\"https://app.example/roles\"'"
)
