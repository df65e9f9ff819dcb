"""A command is carried out by the running jotgate, or by itself under the lock on DATA when none runs."""

import argparse
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from jotgate.cli.common import ControlRefusal
from jotgate.cli.operator import Offline, carry_out
from jotgate.core.claims import TokenText
from jotgate.errors import CommandError
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Sources

ORDER = TokenText("x")
ANSWERS = {
    "/good": (200, b'{"token":"from control"}'),
    "/bad": (409, b'{"error":{"code":"c","message":"m","hint":"h"}}'),
}


class Offices:
    """Does orders without a jotgate. Mutable: what was ordered, and whether DATA could be locked meanwhile."""

    def __init__(self) -> None:
        self.asked: list[TokenText] = []
        self.lockable = True

    def load(self) -> "Offline[TokenText, TokenText]":
        def carry(directory: DataDirectory, _: Sources, order: TokenText) -> TokenText:
            self.asked.append(order)
            self.lockable = can_lock(directory)
            return TokenText("from this process")

        return carry


def can_lock(directory: DataDirectory) -> bool:
    """Whether nobody holds the lock."""
    lock = directory.try_lock()
    if lock is not None:
        os.close(lock)
    return lock is not None


class Handler(BaseHTTPRequestHandler):
    """Answers orders as control does."""

    def do_POST(self) -> None:
        status, body = ANSWERS[self.path]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "command"

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def offices() -> Offices:
    return Offices()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    DataDirectory(path).prepare()
    return path


@pytest.fixture
def running(data: Path) -> Iterator[None]:
    with ThreadingUnixStreamServer(str(DataDirectory(data).control_socket), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield
        server.shutdown()
        serving.join()


def order(data: Path, offices: Offices, path: str = "/good", *, begins: bool = False) -> str:
    arguments = argparse.Namespace(data=str(data), config=None)
    return carry_out(arguments, path, ORDER, TokenText, offices.load, begins=begins).token


@pytest.mark.usefixtures("running")
def test_the_running_jotgate_is_asked_and_nothing_else_is_loaded(data: Path, offices: Offices) -> None:
    assert order(data, offices) == "from control"
    with pytest.raises(ControlRefusal, match="m"):
        order(data, offices, "/bad")
    assert offices.asked == []


def test_without_one_the_command_does_it_and_nobody_else_meanwhile(data: Path, offices: Offices) -> None:
    assert order(data, offices) == "from this process"
    assert (offices.asked, offices.lockable) == ([ORDER], False)
    assert can_lock(DataDirectory(data)), "the lock was given back"


def test_without_data_there_is_nothing_to_ask_unless_the_order_begins_it(tmp_path: Path, offices: Offices) -> None:
    data = tmp_path / "new"
    with pytest.raises(CommandError):
        order(data, offices)
    assert (offices.asked, data.exists()) == ([], False)
    assert order(data, offices, begins=True) == "from this process"
    assert data.is_dir()
