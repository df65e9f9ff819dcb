"""What jotgate's processes say to their operator, on stderr."""

import sys
from contextlib import suppress

from jotgate.errors import ConfigurationError, JotgateError


def say(text: str) -> None:
    """Write one line about what is going on."""
    _write(f"jotgate: {text}\n")


def show_error(error: JotgateError) -> None:
    """Write an error: its code, what and why, and what to do. Its `debug` is not shown."""
    if isinstance(error, ConfigurationError):
        count = len(error.faults)
        message = "the configuration has a fault" if count == 1 else f"the configuration has {count} faults"
        faults = "".join(f"\n  {path} {fault}" for path, fault in error.faults)
        _write(describe(error.code, message + faults, ""))
    else:
        _write(describe(error.code, error.message, error.hint))


def describe(code: str, message: str, hint: str) -> str:
    """The lines that say an error."""
    fix = f"  fix  {hint}\n" if hint else ""
    return f"error {code}: {message}\n{fix}"


def _write(text: str) -> None:
    with suppress(OSError):  # Nobody listens any more; that must not end who speaks.
        sys.stderr.write(text)
        sys.stderr.flush()
