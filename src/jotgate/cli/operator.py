"""Asks the running control process over its socket in DATA; when none runs, takes the lock on DATA instead.

There is no moment at which neither works for long: whoever holds the lock either serves the socket or will soon be
gone. So a command tries one, then the other, and again.
"""

import argparse
import http.client
import os
import socket
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct

from jotgate.cli.common import ControlRefusal, data_directory, sources
from jotgate.cli.outcomes import Unanswered
from jotgate.core.status import Status
from jotgate.errors import CommandError
from jotgate.stores.directory import SOCKET_PATH_BYTES_MAX, DataDirectory
from jotgate.stores.files import refused

if TYPE_CHECKING:
    from jotgate.stores.settings import Sources

_PATIENCE_S: Final = 5.0
_ANSWER_S: Final = 10.0
_RETRY_S: Final = 0.05
_OK: Final = range(200, 300)

_Result = TypeVar("_Result")
_Content = TypeVar("_Content", bound=Struct)

Offline = Callable[[DataDirectory, "Sources", _Content], _Result]
"""Does what a command orders where no jotgate runs on DATA; its caller holds the lock."""


class _Fault(Struct, frozen=True):
    code: str
    message: str
    hint: str


class _Envelope(Struct, frozen=True):
    error: _Fault


class _NoControlError(Exception):
    """Nobody serves the socket."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("control", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def find_directory(arguments: argparse.Namespace) -> DataDirectory:
    """DATA of a command that needs one. Raises CommandError when there is none."""
    directory = DataDirectory(data_directory(arguments))
    if not directory.path.exists():
        raise directory.missing()
    return directory


def carry_out(
    arguments: argparse.Namespace,
    path: str,
    content: _Content,
    answer: type[_Result],
    offline: Callable[[], "Offline[_Content, _Result]"],
    *,
    begins: bool = False,
) -> _Result:
    """What the running control answers to an order, or else what the function that `offline` loads gives.

    It is loaded then only: what it needs takes a while. `begins`: DATA is made if it is not there.

    Raises:
        CommandError: there is no DATA; and as `ask_or_open`.
    """
    directory = DataDirectory(data_directory(arguments)) if begins else find_directory(arguments)
    return ask_or_open(
        directory,
        lambda: ask_control(directory, path, content, answer),
        lambda: offline()(directory, sources(arguments), content),
    )


def ask_or_open(directory: DataDirectory, ask: Callable[[], _Result], open_data: Callable[[], _Result]) -> _Result:
    """What the running control says to `ask`, or else what `open_data` gives under the lock on DATA.

    Raises:
        ControlRefusal: control refused.
        DirectoryBusy: one other process held DATA for five seconds; of several, each gets that time.
        CommandError: control did not answer in time; and what `open_data` raises.
    """
    holder, deadline_s = "", 0.0
    while True:
        try:
            return ask()
        except _NoControlError:
            # Before the lock is taken: commands that come at once then wait for one another's work and nothing else.
            import_module("jotgate.assembly.offline")
            directory.prepare()
        lock_fd = directory.try_lock()
        if lock_fd is not None:
            try:
                return open_data()
            finally:
                os.close(lock_fd)
        now_s = time.monotonic()
        if holder != (holder := directory.holder()) or not deadline_s:
            deadline_s = now_s + _PATIENCE_S
        if now_s >= deadline_s:
            raise directory.busy()
        time.sleep(_RETRY_S)


def ask_control(directory: DataDirectory, path: str, content: Struct, answer: type[_Result]) -> _Result:
    """POST the content to the running control, and read its answer.

    Raises:
        ControlRefusal: it refused.
        CommandError: it did not answer in time, or the socket may not be used.
    """
    status, body = _exchange(directory, "POST", path, msgspec.json.encode(content))
    try:
        if status in _OK:
            return msgspec.json.decode(body, type=answer)
        fault = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.DecodeError:
        raise _misunderstood(status) from None
    raise ControlRefusal(fault.code, fault.message, fault.hint)


def ask_status(directory: DataDirectory) -> Status:
    """How the running jotgate is doing.

    Raises:
        CommandError: none runs on DATA, or it did not answer in time.
    """
    found = find_status(directory)
    if found is None:
        raise CommandError(
            f"no jotgate runs on '{directory.path}'",
            hint="Start it with 'jotgate up', or name another DATA with --data",
        )
    return found


def find_status(directory: DataDirectory) -> Status | None:
    """How the running jotgate is doing; None when none runs. Raises CommandError when it did not answer in time."""
    try:
        _, body = _exchange(directory, "GET", "/status", b"")
        return msgspec.json.decode(body, type=Status)
    except _NoControlError:
        return None
    except msgspec.DecodeError:
        raise _misunderstood(200) from None


def ask_running(directory: DataDirectory, path: str, content: Struct, answer: type[_Result]) -> _Result:
    """`ask_control` where control is known to run. Raises CommandError when it just went."""
    try:
        return ask_control(directory, path, content, answer)
    except _NoControlError:
        raise CommandError("control has just ended") from None


def ask_if_running(directory: DataDirectory, path: str, content: Struct, answer: type[_Result]) -> _Result | None:
    """`ask_control` if control runs; None when none does. Raises as `ask_control`."""
    try:
        return ask_control(directory, path, content, answer)
    except _NoControlError:
        return None


def _misunderstood(status: int) -> CommandError:
    return CommandError(
        f"the running jotgate gave an answer, of status {status}, that this command does not understand",
        hint="They are of different versions: stop it and start it again",
    )


def _exchange(directory: DataDirectory, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    socket_path = directory.control_socket
    if len(os.fsencode(socket_path)) > SOCKET_PATH_BYTES_MAX:
        raise _NoControlError  # None can run there.
    connection = _Connection(str(socket_path))
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except (FileNotFoundError, NotADirectoryError, ConnectionError, http.client.HTTPException):
        raise _NoControlError from None
    except TimeoutError:
        raise Unanswered(
            f"the jotgate that runs on '{directory.path}' did not answer within {_ANSWER_S:g} s",
            hint="Look at what it says on its terminal or in its log",
        ) from None
    except OSError as error:
        raise refused(socket_path, error) from None
    finally:
        connection.close()
