"""What commands about tokens and policies say of what cannot be: what is wrong with it, and what to do."""

from pathlib import Path

import pytest

from jotgate.cli import main


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory for an installation, in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOTGATE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("JOTGATE_CONFIG", raising=False)
    monkeypatch.setenv("JOTGATE_TOKEN", "a.b.c")
    (tmp_path / "data").mkdir(mode=0o700)


ASKED = ("policy", "test", "--subject", "ann", "--operation", "chat.completions", "--model", "echo")
REVOKED = ("token", "revoke", "--subject", "ann")


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        (("token", "narrow", "--tool", "files"), "tools are scopes, such as mcp:files:read_file", "--ttl"),
        (
            ("token", "create", "--subject", "ann", "--tool", "files"),
            "tools are scopes, such as mcp:files:read_file",
            "--ttl",
        ),
        (("token", "can"), "required: OPERATION", "misplaced"),
        ((*ASKED, "--age", "999999999w"), "no token is as old as 999999999w", "age_s"),
        ((*ASKED, "--at", "1969-12-31T23:59:59Z"), "lies before 1970", "at_s"),
        ((*REVOKED, "--reason", "a\x1b[31mb"), "the reason is longer than 512 characters, or no plain text", "name"),
        ((*REVOKED, "--reason", "x" * 513), "Write the reason in one line", "Give the name of the subject"),
        (("token", "revoke", "--subject", ""), "Give the name of the subject", "reason"),
        (("token", "revoke", "abc", "--reason", "x" * 600), "the reason is longer than 256", "identifier"),
        (("token", "revoke", "x" * 600), "an identifier is longer than 256", "the reason"),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], wanted: str, unwanted: str
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert wanted in said
    assert unwanted not in said


def test_a_token_on_the_command_line_is_refused_still_without_being_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (
        ("token", "narrow", "ey.ab.cd"),
        ("token", "can", "models", "ey.ab.cd"),
        ("token", "verify", "e.a.c"),
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "does not belong on the command line" in said
        assert words[-1] not in said
