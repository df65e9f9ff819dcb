"""How `jotgate up` writes a command that can be pasted."""

import shlex
import sys
from pathlib import Path

import pytest

from jotgate.cli.common import default_data_directory
from jotgate.cli.up import _create_command


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called `jotgate` in a directory with a space, which this process was started as."""
    path = tmp_path / "my bin" / "jotgate"
    path.parent.mkdir()
    path.touch(mode=0o700)
    monkeypatch.setattr(sys, "argv", [str(path), "up"])
    monkeypatch.setenv("PATH", "/nowhere")
    return path


def test_a_program_that_the_path_finds_goes_by_its_name(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert _create_command(default_data_directory()) == "jotgate token create --subject me"


def test_any_other_goes_by_its_whole_path(program: Path) -> None:
    words = shlex.split(_create_command(default_data_directory()))
    assert words == [str(program), "token", "create", "--subject", "me"]


def test_another_jotgate_on_the_path_is_not_taken_for_this_one(
    program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "jotgate"
    other.parent.mkdir()
    other.touch(mode=0o700)
    monkeypatch.setenv("PATH", str(other.parent))
    assert shlex.split(_create_command(default_data_directory()))[0] == str(program)


def test_a_module_is_run_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/jotgate/__main__.py", "up"])
    assert shlex.split(_create_command(default_data_directory()))[:3] == [sys.executable, "-m", "jotgate"]


def test_data_that_is_not_the_default_is_named(program: Path) -> None:
    assert shlex.split(_create_command(Path("/a b")))[-2:] == ["--data", "/a b"]
