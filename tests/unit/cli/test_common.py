"""Where commands look for DATA and for the configuration."""

import argparse
from pathlib import Path

import pytest

from jotgate.cli import build_parser
from jotgate.cli.common import UsageError, config_file, data_directory, say_next, sources
from jotgate.errors import DirectoryRefused


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory that is also home, and no variable that matters."""
    for name in ("JOTGATE_DATA", "JOTGATE_CONFIG", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def given(data: str | None = None, config: str | None = None) -> argparse.Namespace:
    """The options as a parser leaves them."""
    return argparse.Namespace(data=data, config=config)


def test_data_is_the_option_then_the_variable_then_xdg_then_home(
    monkeypatch: pytest.MonkeyPatch, surroundings: Path
) -> None:
    assert data_directory(given()) == surroundings / ".local" / "share" / "jotgate"
    monkeypatch.setenv("XDG_DATA_HOME", "relative does not count")
    assert data_directory(given()) == surroundings / ".local" / "share" / "jotgate"
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    assert data_directory(given()) == Path("/xdg/jotgate")
    monkeypatch.setenv("JOTGATE_DATA", "here")
    assert data_directory(given()) == surroundings / "here"
    assert data_directory(given("/there")) == Path("/there")


def test_no_home_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(DirectoryRefused, match="no home directory") as caught:
        data_directory(given())
    assert "--data" in caught.value.hint


def test_the_configuration_is_the_option_then_the_variable_then_the_file_here(
    monkeypatch: pytest.MonkeyPatch, surroundings: Path
) -> None:
    assert config_file(given()) is None
    (surroundings / "jotgate.toml").touch()
    assert config_file(given()) == surroundings / "jotgate.toml"
    monkeypatch.setenv("JOTGATE_CONFIG", "absent.toml")
    assert config_file(given()) == surroundings / "absent.toml"  # Named and missing is a fault, not a default.
    assert config_file(given(config="/etc/j.toml")) == Path("/etc/j.toml")


def test_the_file_here_is_awaited_when_no_other_is_named(monkeypatch: pytest.MonkeyPatch, surroundings: Path) -> None:
    usual = surroundings / "jotgate.toml"
    assert (sources(given()).file, sources(given()).awaited) == (usual, True)
    usual.touch()
    assert (sources(given()).file, sources(given()).awaited) == (usual, False)
    assert not sources(given(config="absent.toml")).awaited


def test_what_comes_next_acts_on_the_same_installation(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = build_parser().parse_args(
        ["check", "--data", "my data", "--config", "c", "--port", "0", "--behind-proxy", "--development", "--json"]
    )
    say_next("jotgate up", chosen)
    say_next("jotgate audit tail", given("d", "c"), " shows calls", without=("config",))
    say_next("jotgate up", build_parser().parse_args(["doctor"]))
    assert capsys.readouterr().err.splitlines() == [
        "  next  jotgate up --data 'my data' --config c --port 0 --behind-proxy --development",
        "  next  jotgate audit tail --data d shows calls",
        "  next  jotgate up",
    ]


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("up --prot 9000", "there is no option --prot; did you mean '--port'?", "jotgate up --help"),
        ("up --xyzzy=hush", "there is no option --xyzzy", "jotgate up --help"),
        ("up 9000", "there is nothing that '9000' could mean here", "jotgate up --help"),
        ("token create --subject me --tll 1h", "did you mean '--ttl'?", "jotgate token create --help"),
        ("--data d1 up", "--data stands behind the command, as in 'jotgate COMMAND --data ...'", "jotgate --help"),
        ("--ttl=1h token create", "--ttl stands behind the command", "jotgate --help"),
        ("token --data hush create", "as in 'jotgate token COMMAND --data ...'", "jotgate token --help"),
        ("--xyzzy up", "there is no option --xyzzy", "jotgate --help"),
        ("up sk-hush0123456789", "'(key)'", "jotgate up --help"),
    ],
)
def test_a_wrong_option_gets_the_right_one_and_the_help_of_its_command(line: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_parser().parse_args(line.split())
    assert said in caught.value.message
    assert "hush" not in caught.value.message
    assert caught.value.hint == hint


def test_open_local_is_for_the_face_that_can_be_open() -> None:
    words = ["up", "--open-local", "--preset", "prompt-chain"]
    with pytest.raises(UsageError, match="--open-local says how coze-proxy is served") as caught:
        sources(build_parser().parse_args(words))
    assert caught.value.hint == "Add --preset coze-proxy"
    found = sources(build_parser().parse_args([*words, "--preset", "coze-proxy"]))
    assert found.options["coze_proxy.open_local"] is True
