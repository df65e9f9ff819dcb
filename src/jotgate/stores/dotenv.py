"""Reads the `.env` file of the working directory, if there is one."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.core.dotenv import read_variables

_BYTES_MAX: Final = 1_048_576
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Environment(Struct, frozen=True):
    """Variables by name; those that came from `.env`; and what its owner should know of that file."""

    values: Mapping[str, str]
    from_file: frozenset[str]
    warnings: tuple[str, ...]


def with_dotenv(environment: Mapping[str, str], file: Path | None) -> Environment:
    """An environment over the variables of a `.env` file.

    What cannot be read in the file is a warning, never a fault: it may be another program's.
    """
    if file is None:
        return Environment(environment, frozenset(), ())
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(file.stat().st_mode)
            content = opened.read(_BYTES_MAX + 1)
    except FileNotFoundError:
        return Environment(environment, frozenset(), ())
    except OSError as error:
        return Environment(environment, frozenset(), (f"'{file}' cannot be read: {error.strerror}",))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return Environment(environment, frozenset(), (f"'{file}' is not UTF-8 text, and is not used",))
    if len(content) > _BYTES_MAX:
        return Environment(environment, frozenset(), (f"'{file}' is longer than {_BYTES_MAX} bytes, and is not used",))
    variables = read_variables(text)
    warnings = [f"{file}:{line} is not NAME=value, and is passed over" for line in variables.strange_lines]
    if mode & _OTHERS and variables.values:
        warnings.insert(0, f"'{file}' can be read by others (mode {mode:04o}); run: chmod 600 '{file}'")
    from_file = frozenset(variables.values) - environment.keys()
    return Environment({**variables.values, **environment}, from_file, tuple(warnings))
