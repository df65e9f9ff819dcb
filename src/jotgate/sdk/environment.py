"""The variables of an application: its environment, over the `.env` file of the directory that it runs in."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jotgate.core.dotenv import read_variables


def read_variable(name: str) -> str:
    """The value of a variable now, or what `.env` had for it when it was first looked at; empty: neither has any."""
    return os.environ.get(name) or _first_dotenv().get(name, "")


def read_dotenv() -> Mapping[str, str]:
    """The variables of `.env`; one that is not there, cannot be read or is no UTF-8 text has none."""
    try:
        return read_variables(Path(".env").read_text("utf-8")).values
    except (OSError, UnicodeDecodeError):
        return {}


_first_dotenv = cache(read_dotenv)
