"""Compiling the C programs: when, and what is said when it cannot be done."""

import os
import subprocess
from pathlib import Path

import pytest

from bench import compiler
from bench.errors import BenchError


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for bench/, with two small programs."""
    for name in ("mock_upstream", "loadgen"):
        (tmp_path / f"{name}.c").write_text("int main(void) { return 0; }\n")
    monkeypatch.setattr(compiler, "HERE", tmp_path)
    return tmp_path


def test_without_gcc_it_says_what_to_install(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(sources))

    with pytest.raises(BenchError, match=r"needs gcc .* apt-get install gcc"):
        compiler.compile_all()


def test_programs_newer_than_their_sources_need_no_gcc(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(sources))
    (sources / "build").mkdir()
    for name in ("mock_upstream", "loadgen"):
        os.utime(sources / f"{name}.c", (1, 1))
        (sources / "build" / name).touch()

    assert compiler.compile_all().loadgen == sources / "build" / "loadgen"


@pytest.mark.peers
def test_a_changed_source_is_compiled_again(sources: Path) -> None:
    compiler.compile_all()
    (sources / "loadgen.c").write_text("int main(void) { return 7; }\n")
    os.utime(sources / "build" / "loadgen", (1, 1))

    assert subprocess.run([compiler.compile_all().loadgen], check=False).returncode == 7


@pytest.mark.peers
def test_what_gcc_refuses_is_shown(sources: Path) -> None:
    (sources / "loadgen.c").write_text("int main(void) { return nothing; }\n")

    with pytest.raises(BenchError, match=r"(?s)gcc refused .*loadgen\.c:.*nothing"):
        compiler.compile_all()


@pytest.mark.peers
@pytest.mark.parametrize("name", ["mock_upstream", "loadgen"])
def test_the_programs_compile_without_a_warning(name: str) -> None:
    checked = subprocess.run(
        ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", compiler.HERE / f"{name}.c"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stderr == ""
