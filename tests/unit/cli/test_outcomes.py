"""An order that gets no answer may have been done: the command says so, and how to find out."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jotgate.cli import main
from jotgate.cli.common import ControlRefusal
from jotgate.cli.outcomes import Unanswered, may_be_done
from jotgate.errors import Code, CommandError, StoreUnavailable

JTI = "6f1d0c52a9e84b7f93d20b5e7ac41866"
Answering = Callable[[bytes], None]


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Give what control answers to each order; empty: nothing. It is waited for as long as a test may."""
    monkeypatch.setenv("JOTGATE_DATA", str(tmp_path))
    monkeypatch.setattr("jotgate.cli.operator._ANSWER_S", 0.2)
    answers: list[bytes] = [b""]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control.sock"))
    listener.listen()
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            connection.recv(65_536)
            connection.sendall(answers[0])

    thread = threading.Thread(target=serve)
    thread.start()

    def answer(body: bytes) -> None:
        answers[0] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    yield answer
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)
    for one in held:
        one.close()


ORDERS = (
    (("token", "revoke", JTI, "--yes"), "'jotgate token list' shows whether it was done"),
    (("token", "revoke", "--client", "ci", "--yes"), "'jotgate token list' shows whether it was done"),
    (("principal", "disable", "ann", "--yes"), "'jotgate principal show' shows whether it was done"),
    (("client", "delete", "ci", "--yes"), "'jotgate client list' shows whether it was done"),
    (("key", "revoke", "k-1", "--yes"), "'jotgate key list' shows whether it was done"),
)


@pytest.mark.parametrize(("words", "then"), ORDERS)
def test_an_order_that_is_not_answered_may_be_carried_out_still(
    control: Answering, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], then: str
) -> None:
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "did not answer within 0.2 s; what was ordered may be carried out still" in said
    assert f"{then}; to order it again does no harm" in said


@pytest.mark.parametrize(("words", "then"), ORDERS)
def test_of_an_order_that_the_store_has_not_confirmed_it_is_said_that_nobody_knows(
    control: Answering, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], then: str
) -> None:
    fault = {"code": "store_unavailable", "message": "the store does not answer", "hint": ""}
    control(json.dumps({"error": fault}).encode())
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "store_unavailable: the store does not answer; whether it was done is not known" in said
    assert then in said


def test_a_question_that_is_not_answered_has_done_nothing(
    control: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("token", "list"), ("token", "revoke", JTI), ("client", "show", "ci")):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert "did not answer within 0.2 s" in said
        assert "carried out" not in said


def test_what_says_by_itself_what_became_of_it_is_left_as_it_is() -> None:
    for error in (CommandError("no", hint="do this"), ControlRefusal("record_missing", "gone", "see")):
        before = error.message, error.hint
        with pytest.raises(type(error)), may_be_done("this shows"):
            raise error
        assert (error.message, error.hint) == before
    for open_one in (StoreUnavailable("away"), Unanswered("late"), ControlRefusal(Code.STORE_UNAVAILABLE, "x", "")):
        with pytest.raises(type(open_one)), may_be_done("this shows"):
            raise open_one
        assert open_one.hint == "this shows whether it was done; to order it again does no harm"
