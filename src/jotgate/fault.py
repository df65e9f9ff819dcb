"""The root of all errors; apart from them, so that they can stand in more than one module."""

from typing import ClassVar

from jotgate.codes import Code


class JotgateError(Exception):
    """The base of all: a stable `code`, an HTTP `status`, a safe `message` and `hint`, a private `debug`."""

    code: ClassVar[Code]
    status: ClassVar[int]
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "", debug: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.debug = debug
