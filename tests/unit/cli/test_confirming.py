"""What cannot be undone is done only for who says so: with --yes, or by typing the name on a terminal."""

import argparse
import io
import sys

import pytest

from jotgate.cli.common import UsageError
from jotgate.cli.confirming import add_yes_option, confirm


class Terminal(io.StringIO):
    """Somebody types here, or reads."""

    def isatty(self) -> bool:
        return True


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_yes_option(parser)
    return parser.parse_args(words)


def ask(monkeypatch: pytest.MonkeyPatch, typed: str) -> str:
    """What is shown to somebody at a terminal who types this."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", shown)
    confirm(options(), "ci", "it would be refused")
    return shown.getvalue()


def test_yes_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    confirm(options("--yes"), "ci", "it would be refused")
    assert capsys.readouterr() == ("", "")


def test_its_name_typed_on_a_terminal_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ask(monkeypatch, "ci\n")
    assert "this cannot be undone: it would be refused" in said
    assert "type 'ci'" in said


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "yes\n", "CI\n", "c i\n"])
def test_anything_else_is_a_no(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    with pytest.raises(UsageError, match="nothing was done"):
        ask(monkeypatch, typed)


def test_without_a_terminal_it_needs_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("ci\n"))
    with pytest.raises(UsageError, match="it would be refused") as caught:
        confirm(options(), "ci", "it would be refused")
    assert caught.value.hint == "Say that you mean it with --yes"
