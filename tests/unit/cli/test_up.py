"""How `jotgate up` writes a command that can be pasted."""

import shlex
import sys
from pathlib import Path

import pytest

from jotgate.assembly.trust import Trust
from jotgate.cli.common import default_data_directory
from jotgate.cli.up import _announce, _create_command
from jotgate.stores.directory import DataDirectory


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


@pytest.mark.parametrize("case", [(8081, "", True), (8080, "", False), (8081, "https://g", False)])
def test_a_name_that_leads_to_another_port_is_told_and_the_address_that_works_is_shown(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: tuple[int, str, bool]
) -> None:
    port, known, said = case
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "installation.json").write_text('{"issuer":"http://127.0.0.1:8080"}\n')
    (data / "installation.json").chmod(0o600)
    url = f"http://127.0.0.1:{port}"
    _announce(DataDirectory(data), url, known or url, Trust())
    out = capsys.readouterr().out
    assert ("This installation is http://127.0.0.1:8080" in out) is said
    assert f"curl {known or url}/v1/" in out
