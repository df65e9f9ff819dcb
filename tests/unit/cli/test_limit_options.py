"""The options that say how much may be spent with a token, on each command that makes one."""

import argparse
from pathlib import Path
from typing import Final

import pytest

from jotgate.cli import pat, token
from jotgate.cli.common import UsageError
from jotgate.cli.limit_options import add_limit_options, limits_of

COMMANDS: Final = (
    ("token", "create", "--subject", "me"),
    ("token", "narrow"),
    ("pat", "create", "--subject", "me", "--name", "ci"),
)


def test_totals_come_first_and_then_what_else_is_asked_for() -> None:
    parser = argparse.ArgumentParser()
    add_limit_options(parser)
    assert limits_of(parser.parse_args([])) == ()
    words = ("--limit", "4 concurrent", "--max-cost", "2.50", "--max-requests", "5", "--max-tokens", "7")
    assert limits_of(parser.parse_args([*words, "--limit", "1 request/day"])) == (
        "5 requests",
        "7 tokens",
        "2.50 USD",
        "4 concurrent",
        "1 request/day",
    )
    assert limits_of(parser.parse_args(["--max-requests", "0"])) == ("0 requests",), "none is something, too"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--max-requests", "many"), "^--max-requests: 'many' is no whole number"),
        (("--max-requests", "-1"), "^--max-requests: '-1' is no whole number"),
        (("--max-requests", ""), "^--max-requests: "),
        (("--max-requests", "5 tokens/day in"), "^--max-requests takes an amount alone"),
        (("--max-tokens", "1e6"), "^--max-tokens: '1e6' is no whole number"),
        (("--max-cost", "$2"), "^--max-cost: "),
        (("--max-cost", "2,50"), "^--max-cost: .*no amount of dollars"),
        (("--limit", "5 calls"), "counts no unit that there is"),
    ],
)
def test_what_is_no_limit_is_wrong_usage_before_anything_is_asked(
    words: tuple[str, ...], given: tuple[str, ...], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JOTGATE_TOKEN", "a.b.c")
    parser = argparse.ArgumentParser(prog="jotgate")
    commands = parser.add_subparsers(required=True)
    token.register(commands)
    pat.register(commands)
    arguments = parser.parse_args([*words, *given, "--data", str(tmp_path / "none")])
    with pytest.raises(UsageError, match=why):
        arguments.run(arguments)
