"""What jotgate's processes say to their operator, on stderr: events to the log, a command's errors as they are."""

import logging
import sys
from contextlib import suppress
from typing import Final, Literal

from jotgate.errors import ConfigurationError, JotgateError

_LOG: Final = logging.getLogger("jotgate")
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def say(
    text: str,
    *,
    event: str = "note",
    level: Literal["debug", "info", "warning", "error"] = "warning",
    **fields: str | int | float,
) -> None:
    """Log what is going on: a sentence, the event's name, and what a program would want to know of it.

    A process that keeps no log, such as most commands, writes the sentence alone.
    """
    if not _LOG.handlers:
        _write(f"jotgate: {text}\n")
        return
    _LOG.log(_LEVELS[level], "%s", text, extra={"event": event, "fields": fields})


def show_error(error: JotgateError) -> None:
    """Write an error of a command: its code, what and why, and what to do. Its `debug` is not shown."""
    _write(describe(error.code, _message(error), error.hint))


def log_error(error: JotgateError) -> None:
    """Log an error of a process that keeps a log; as text it looks like a command's."""
    message = _message(error)
    shown = describe(error.code, message, error.hint)
    fields = {"code": str(error.code), "fix": error.hint}
    _LOG.error("%s", message, extra={"event": "refused", "fields": fields, "shown": shown})


def describe(code: str, message: str, hint: str) -> str:
    """The lines that say an error."""
    fix = f"  fix  {hint}\n" if hint else ""
    return f"error {code}: {message}\n{fix}"


def _message(error: JotgateError) -> str:
    if not isinstance(error, ConfigurationError):
        return error.message
    count = len(error.faults)
    message = "the configuration has a fault" if count == 1 else f"the configuration has {count} faults"
    return message + "".join(f"\n  {path} {fault}" for path, fault in error.faults)


def _write(text: str) -> None:
    with suppress(OSError):  # Nobody listens any more; that must not end who speaks.
        sys.stderr.write(text)
        sys.stderr.flush()
