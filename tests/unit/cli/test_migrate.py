"""`jotgate migrate`: what it says, what it does, and what its exit code means."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from jotgate.cli import main
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.directory import DataDirectory
from jotgate.stores.opening import read_schema
from jotgate.stores.schema import REVISIONS, SCHEMA_REVISION

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DATA, which is not there yet; nothing else is configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOTGATE_CONFIG", raising=False)
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on DATA: exit code, stdout, stderr."""

    def call(*options: str) -> tuple[int, str, str]:
        code = main(["migrate", "--data", str(data), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def set_revision(data: Path, revision: str) -> None:
    """Make a database that says it has this schema."""
    connection = sqlite3.connect(data / "store.db", isolation_level=None)
    connection.execute("UPDATE jotgate_schema SET version_num = ?", (revision,))
    connection.close()


def test_looking_changes_nothing_and_a_start_would_be_fine(run: Run, data: Path) -> None:
    code, out, err = run("--check")
    assert (code, err) == (0, f"  next  jotgate up --data {data}\n")
    assert out.startswith(f"SQLite file '{data / 'store.db'}', empty: this is to be done\n  0001  Facts")
    assert not data.exists()


def test_it_makes_the_schema_and_then_has_nothing_to_do(run: Run, data: Path) -> None:
    code, out, _ = run()
    assert (code, out.count("\n")) == (0, 1 + len(REVISIONS))
    assert ", empty: this was done\n" in out
    assert read_schema(StoreAddress(file=data / "store.db")).revision == SCHEMA_REVISION
    assert run() == (
        0,
        f"SQLite file '{data / 'store.db'}', of schema {SCHEMA_REVISION}: nothing was done\n",
        f"  next  jotgate up --data {data}\n",
    )


def test_a_newer_schema_is_refused(run: Run, data: Path) -> None:
    run()
    set_revision(data, "9999")
    for options in ((), ("--check",)):
        code, out, err = run(*options)
        assert (code, out) == (1, "")
        assert err.startswith("error store_refused: a newer jotgate made the store's schema 9999; this one knows ")


def test_nothing_is_done_while_a_jotgate_runs(run: Run, data: Path) -> None:
    directory = DataDirectory(data)
    directory.prepare()
    lock_fd = directory.try_lock()
    assert lock_fd is not None
    code, _, err = run()
    assert (code, err.partition(":")[0]) == (1, "error directory_busy")
    assert not (data / "store.db").exists()
    assert run("--check")[0] == 0
    os.close(lock_fd)
    assert run()[0] == 0


def test_faults_of_the_settings_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOTGATE_STORE__URL", "postgresql://ann:hunter2@localhost/d")
    code, _, err = run("--check")
    assert code == 1
    assert "store.url holds a password" in err
    assert "hunter2" not in err
