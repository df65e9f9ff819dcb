"""Where commands look for DATA and for the configuration."""

import argparse
from pathlib import Path

import pytest

from jotgate.cli.common import config_file, data_directory, sources
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
