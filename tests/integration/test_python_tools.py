"""The child that calls functions of Python, by itself: what it answers, and what a function can do to it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from jotgate.processes.python_tools import THREADS
from tests.daemons import WITHIN_S

_PACKAGE: Final = Path(__file__).parent.parent / "tool_package"


class Child:
    """It, by its pipes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def say(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, identity: int, method: str, **params: object) -> None:
        self.say(json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params}).encode())

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def said(self) -> str:
        """The next line that a function has printed."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode()


@contextmanager
def child(*names: str) -> Iterator[Child]:
    command = [sys.executable, "-P", "-m", "jotgate.processes.python_tools", "65536", *names]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_PACKAGE)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def test_it_answers_what_is_no_message_and_goes_on_and_ends_with_its_input() -> None:
    with child("add", "odd") as one:
        one.say(b"{")
        assert one.hear()["error"]["code"] == -32700
        one.ask(1, "resources/list")
        assert one.hear()["error"]["code"] == -32601
        one.ask(2, "tools/call", name="greet", arguments={})
        assert one.hear()["error"]["code"] == -32602
        one.ask(3, "tools/call", name="add", arguments={"numbers": [1]})
        answer = one.hear()
        assert (answer["id"], answer["result"]["structuredContent"]["sum"]) == (3, 1)
        assert one.said() == "a print meets no message\n"
        for what in ("surrogate", "error", "object"):
            one.ask(4, "tools/call", name="odd", arguments={"what": what})
            assert one.hear()["result"]["isError"], what
        assert one.process.stdin is not None
        one.process.stdin.close()
        assert one.process.wait(WITHIN_S) == 0


def test_calls_that_are_cancelled_and_never_end_do_not_hold_it_for_ever() -> None:
    with child("stick") as one:
        for number in range(THREADS):
            one.ask(number, "tools/call", name="stick", arguments={})
            assert one.said() == "stuck\n"
        for number in range(THREADS):
            assert one.process.poll() is None
            params = {"requestId": number}
            one.say(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode())
        assert one.process.wait(WITHIN_S) == 70
