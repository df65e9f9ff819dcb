"""What `jotgate policy` says: the difference before it is made, and what is no set of policies."""

from pathlib import Path

import pytest

from jotgate.cli import main

DENY = '[[policies]]\nname = "no-bob"\neffect = "deny"\nsubjects = ["bob", "bobby"]\nreason = "Bob is away"\n'
REST = '[[policies]]\nname = "rest"\neffect = "allow"\n'


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for an installation, in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOTGATE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("JOTGATE_CONFIG", raising=False)
    return tmp_path


def apply(folder: Path, text: str, *options: str) -> int:
    """Apply a file."""
    (folder / "policies.toml").write_text(text)
    return main(["policy", "apply", "policies.toml", *options])


def test_the_difference_is_shown_before_anything_is_done(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply(data, DENY + REST) == 2
    said = capsys.readouterr()
    shown = '+ no-bob deny reason=\'Bob is away\' subjects=["bob","bobby"]\n+ rest allow\n'
    assert said.out == shown
    assert "2 policies take the place of the 0 that the store has" in said.err
    assert apply(data, DENY + REST, "--yes") == 0
    assert capsys.readouterr().out == shown + "the store has 2 policies now, as version 1\n"
    assert apply(data, DENY + REST, "--yes") == 0
    assert capsys.readouterr().out == "the store has these policies already\n"


def test_what_changes_goes_or_moves_is_marked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply(data, DENY + REST, "--yes")
    capsys.readouterr()
    apply(data, REST + DENY)
    assert capsys.readouterr().out == "~ the order of the policies\n"
    apply(data, DENY.replace("away", "back"))
    assert capsys.readouterr().out == '- rest\n~ no-bob deny reason=\'Bob is back\' subjects=["bob","bobby"]\n'


def test_an_author_is_warned_of_a_set_that_allows_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply(data, DENY, "--yes") == 0
    assert "no policy here allows anything" in capsys.readouterr().err


def test_policies_are_listed_with_where_they_stand(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "list"]) == 0
    assert capsys.readouterr().out == "shipped as-the-token-says allow\n"
    (data / "jotgate.toml").write_text(REST)
    apply(data, DENY, "--yes")
    capsys.readouterr()
    assert main(["policy", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["file", "rest", "allow"], ["store", "no-bob", "deny"]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[policies]\n", "not TOML"),
        ("[server]\nport = 1\n" + REST, "something else"),
        ("policies = 1\n", "something else"),
        ("policies = [1]\n", "something else"),
    ],
)
def test_what_is_no_set_is_wrong_usage(data: Path, capsys: pytest.CaptureFixture[str], text: str, fault: str) -> None:
    assert apply(data, text, "--yes") == 2
    assert fault in capsys.readouterr().err


def test_every_fault_is_told_and_nothing_kept(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = DENY.replace("subjects", "subject") + REST + 'addresses = ["10.0.0.1/8"]\n'
    for options in ([], ["--yes"]):
        assert apply(data, broken, *options) == 1
        told = capsys.readouterr()
        assert told.out == "", "what cannot be applied is not shown as if it could"
        assert "policies[0].subject is not a setting; did you mean 'subjects'?" in told.err
        assert "policies[1].addresses" in told.err
    assert main(["policy", "list"]) == 0
    assert "shipped" in capsys.readouterr().out


def test_check_tells_the_line_the_path_and_the_remedy(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "jotgate.toml").write_text(REST + DENY + 'scopes = ["ai"]\ntimes = [{ zone = "Nowhere/Atall" }]\n')
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert "jotgate.toml:9: policies[1].scopes stands in a policy that denies" in said
    (data / "jotgate.toml").write_text(REST + 'times = [{ zone = "Nowhere/Atall" }]\n')
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert "jotgate.toml:4: policies[0].times[0].zone is 'Nowhere/Atall', a time zone that this machine" in said
    (data / "jotgate.toml").write_text(DENY)
    assert main(["check"]) == 0
    assert "no policy here allows anything" in capsys.readouterr().err


def test_a_call_is_tried(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "jotgate.toml").write_text(DENY + REST + 'ended_tokens = "finish"\nstale = "allow"\npayloads = "record"\n')
    tried = ["policy", "test", "--operation", "chat.completions", "--model", "echo", "--subject"]
    assert main([*tried, "bob"]) == 1
    told = capsys.readouterr().out
    assert told == (
        "bob may not: chat.completions of 'echo'\n"
        "  told     policy_denied: a policy of this gateway refuses this call: Bob is away\n"
        "  policy   no-bob (file)\n"
    )
    assert main([*tried, "ann"]) == 0
    assert capsys.readouterr().out == (
        "ann may: chat.completions of 'echo'\n"
        "  policy   rest (file)\n"
        "  ending   finish, when the token ends while it runs\n"
        "  stale    it goes on while revocations are not known\n"
    )
    of_tool = ["policy", "test", "--operation", "mcp.tools_call", "--tool", "files:read", "--scope", "mcp:files:*"]
    assert main([*of_tool, "--subject", "ann"]) == 0
    assert "  payloads the audit log has the beginnings of its arguments and its result\n" in capsys.readouterr().out
    assert main([*tried, "ann", "--scope", "models"]) == 1
    assert "policy " not in capsys.readouterr().out, "the token alone refuses it"
    assert main([*tried[:-2], "large", "--subject", "ann"]) == 1
    told = capsys.readouterr().out
    assert "model_not_found" in told
    assert "policy " not in told, "what allows it is not what decides"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--operation", "chat"], "known here: chat.completions"),
        (["--operation", "chat.completions"], "names one"),
        (["--operation", "models", "--at", "2027-01-31"], "no time with its zone"),
        (["--operation", "models", "--age", "old"], "not a duration"),
        (["--operation", "models", "--address", "foo"], "address is 'foo'; write an IP address"),
        (["--operation", "models", "--scope", ""], "names no scope"),
    ],
)
def test_what_is_no_call_is_told(
    data: Path, capsys: pytest.CaptureFixture[str], options: list[str], fault: str
) -> None:
    assert data.exists()
    assert main(["policy", "test", "--subject", "ann", *options]) in (1, 2)
    assert fault in capsys.readouterr().err
