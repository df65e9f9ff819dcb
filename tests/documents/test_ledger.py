"""The ledger of this tree holds, and each way in which a ledger can be untrue makes the check fail."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.documents.checks import all_faults
from tests.documents.excerpts import ROOT
from tests.documents.ledger import (
    FOLDER,
    Document,
    Fault,
    parse_ranges,
    read_documents,
    write_ranges,
)

SOURCE: Final = "# Title\n\nrun me\n\nlater\nlater still\n"
LEDGER: Final = f"""\
[[entry]]
document = "000"
lines = "1"
kind = "prose"
what = "the title"

[[entry]]
document = "000"
lines = "3"
kind = "run"
what = "a command"
test = "{FOLDER}/test_proof.py::test_it_runs"

[[entry]]
document = "000"
lines = "5-6"
kind = "not yet"
step = 8
becomes = "contract"
what = "what comes later"
"""
PROOF: Final = "def test_it_runs():\n    pass\n"
RUN_LINE: Final = 7  # where the second entry of LEDGER begins
NOT_YET_LINE: Final = 14


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A sound tree with one small document."""
    folder = tmp_path / FOLDER
    (folder / "sources").mkdir(parents=True)
    (folder / "sources" / "000_sample.txt").write_text(SOURCE)
    digest = hashlib.sha256(SOURCE.encode()).hexdigest()
    (folder / "sources.sha256").write_text(f"{digest}  000_sample.txt\n")
    (folder / "ledger.toml").write_text(LEDGER)
    (folder / "not-yet.txt").write_text("# comment\n000: 5-6\n")
    (folder / "test_proof.py").write_text(PROOF)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return tmp_path


def change(tree: Path, name: str, old: str, new: str) -> None:
    path = tree / FOLDER / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def faults(tree: Path) -> list[str]:
    return [str(fault) for fault in all_faults(tree)[2]]


def documents(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `make documents` runs, for another tree."""
    return subprocess.run(
        [sys.executable, "-m", "tests.documents", "--root", str(tree), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # half of the time otherwise
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=50,
    )


def git(tree: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(tree), *identity, *arguments], check=True, capture_output=True)


def commit(tree: Path) -> None:
    git(tree, "add", FOLDER)
    git(tree, "commit", "--message", "a version")


def test_the_ledger_of_this_tree_holds() -> None:
    found, placed, wrong = all_faults(ROOT)
    assert wrong == []
    assert list(found) == ["000", "001", "002", "003", "004"]
    assert {one.entry.kind for one in placed} >= {"run", "patched", "contract", "unsafe", "prose"}


def test_a_sound_tree_passes_and_prints_its_table(tree: Path) -> None:
    done = documents(tree)
    assert done.returncode == 0, done.stderr
    rows = [" ".join(row.split()) for row in done.stdout.splitlines()]
    assert "000 1 / 1 0 / 0 0 / 0 0 / 0 0 / 0 1 / 1 1 / 2 3 / 4" in rows
    assert "not yet, for step  8: 1 / 2  (of 000)" in done.stdout


FIELDS: Final[dict[str, tuple[str, str, int, str]]] = {
    "unknown kind": ('kind = "run"', 'kind = "ran"', RUN_LINE, "kind 'ran' is unknown"),
    "test missing": (
        f'test = "{FOLDER}/test_proof.py::test_it_runs"\n',
        "",
        RUN_LINE,
        "an entry of kind 'run' needs the field 'test'",
    ),
    "test that is none": (
        f'test = "{FOLDER}/test_proof.py::test_it_runs"',
        'test = "trust me"',
        RUN_LINE,
        "'trust me' is no test",
    ),
    "step missing": ("step = 8\n", "", NOT_YET_LINE, "needs the field 'step'"),
    "becomes missing": ('becomes = "contract"\n', "", NOT_YET_LINE, "needs the field 'becomes'"),
    "becomes prose": ('becomes = "contract"', 'becomes = "prose"', NOT_YET_LINE, "nothing becomes 'prose'"),
    "becomes patched without patch": (
        'becomes = "contract"',
        'becomes = "patched"\nwhy = "so"',
        NOT_YET_LINE,
        "needs the field 'patch'",
    ),
    "becomes unsafe without why": (
        'becomes = "contract"',
        'becomes = "unsafe"',
        NOT_YET_LINE,
        "needs the field 'why'",
    ),
    "spare field": ('kind = "prose"', 'kind = "prose"\nstep = 3', 1, "has no field 'step'"),
    "unknown field": ('kind = "prose"', 'kind = "prose"\nnote = "x"', 1, "unknown field `note`"),
    "what missing": ('what = "the title"\n', "", 1, "missing required field `what`"),
    "what empty": ('what = "the title"', 'what = ""', 1, "needs the field 'what'"),
    "unknown document": ('"000"\nlines = "1"', '"007"\nlines = "1"', 1, "there is no document '007'"),
    "line beyond the end": ('lines = "5-6"', 'lines = "5-7"', NOT_YET_LINE, "line 7 of document 000 does not exist"),
    "line zero": ('lines = "1"', 'lines = "0-1"', 1, "line 0 of document 000 does not exist"),
    "empty line": ('lines = "1"', 'lines = "1-2"', 1, "line 2 of document 000 is empty"),
    "no range": ('lines = "1"', 'lines = "one"', 1, "'one' is no line and no range"),
    "range backwards": ('lines = "5-6"', 'lines = "6-5"', NOT_YET_LINE, "'6-5' runs backwards"),
    "patch elsewhere": (
        'becomes = "contract"',
        'becomes = "patched"\nwhy = "so"\npatch = [["run me", "run this"]]',
        NOT_YET_LINE,
        "patch: 'run me' does not stand in these lines",
    ),
    "not TOML": ("[[entry]]\n", "[[entry]\n", 1, "not TOML"),
    "unknown table": ("[[entry]]\n", "[note]\n[[entry]]\n", 1, "'note' is unknown"),
    "entry in one line": ("[[entry]]\n", "[[ entry ]]\n", 1, "each entry begins with a line that holds"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_ledger_with_a_fault_says_where(name: str, tree: Path) -> None:
    old, new, line, text = FIELDS[name]
    path = tree / FOLDER / "ledger.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    found = faults(tree)
    assert any(fault.startswith(f"{FOLDER}/ledger.toml:{line}: ") and text in fault for fault in found), found


def test_a_line_without_an_entry_is_named(tree: Path) -> None:
    change(tree, "ledger.toml", 'lines = "5-6"', 'lines = "5"')
    change(tree, "not-yet.txt", "5-6", "5")
    assert faults(tree) == [f"{FOLDER}/sources/000_sample.txt:6: no entry of ledger.toml has this line"]


def test_a_line_with_two_entries_is_named(tree: Path) -> None:
    change(tree, "ledger.toml", 'lines = "3"', 'lines = "3, 5"')
    (found,) = faults(tree)
    assert found.startswith(f"{FOLDER}/sources/000_sample.txt:5: more than one entry has this line: ")
    assert f"ledger.toml:{RUN_LINE}," in found
    assert found.endswith(f"ledger.toml:{NOT_YET_LINE}")


def test_a_line_twice_in_one_entry_is_named(tree: Path) -> None:
    change(tree, "ledger.toml", 'lines = "5-6"', 'lines = "5-6, 6"')
    (found,) = faults(tree)
    assert found.startswith(f"{FOLDER}/sources/000_sample.txt:6: more than one entry")


def test_a_range_passes_over_empty_lines(tree: Path) -> None:
    change(tree, "ledger.toml", 'lines = "3"', 'lines = "3-6"')
    change(tree, "ledger.toml", LEDGER[LEDGER.rindex("[[entry]]") :], "")
    change(tree, "not-yet.txt", "000: 5-6\n", "")
    assert faults(tree) == []


def test_a_changed_source_is_named(tree: Path) -> None:
    change(tree, "sources/000_sample.txt", "run me", "run us")
    assert faults(tree) == [
        f"{FOLDER}/sources/000_sample.txt:1: the file is not the one whose SHA-256 sources.sha256 records"
    ]


def test_a_source_that_is_gone_is_named(tree: Path) -> None:
    (tree / FOLDER / "sources" / "000_sample.txt").unlink()
    assert f"{FOLDER}/sources.sha256:1: 000_sample.txt is recorded and not in sources/" in faults(tree)


def test_a_source_without_a_recorded_sum_is_named(tree: Path) -> None:
    (tree / FOLDER / "sources" / "001_other.txt").write_text("\n")
    assert faults(tree) == [f"{FOLDER}/sources/001_other.txt:1: no SHA-256 is recorded for this file in sources.sha256"]


def test_a_not_yet_line_off_the_list_is_named(tree: Path) -> None:
    change(tree, "not-yet.txt", "5-6", "5")
    (found,) = faults(tree)
    assert found.startswith(f"{FOLDER}/sources/000_sample.txt:6: is 'not yet', and ")


def test_a_finished_line_on_the_list_is_named(tree: Path) -> None:
    change(tree, "not-yet.txt", "000: 5-6", "000: 3, 5-6")
    assert faults(tree) == [f"{FOLDER}/not-yet.txt:2: line 3 of document 000 is 'not yet' no longer: take it out"]


@pytest.mark.parametrize("row", ["007: 1", "000: all", "000"])
def test_a_list_that_cannot_be_read_is_named(row: str, tree: Path) -> None:
    change(tree, "not-yet.txt", "000: 5-6", f"000: 5-6\n{row}")
    (found,) = faults(tree)
    assert found.startswith(f"{FOLDER}/not-yet.txt:3: ")


PROOFS: Final[dict[str, tuple[str, str]]] = {
    "renamed": ("def test_it_is_called_otherwise():\n    pass\n", "not there, or not run"),
    "failing": ("def test_it_runs():\n    assert False\n", "failed"),
    "skipped": ("import pytest\n\ndef test_it_runs():\n    pytest.skip('no')\n", "skipped"),
    "expected to fail": (
        "import pytest\n\n@pytest.mark.xfail\ndef test_it_runs():\n    assert False\n",
        "an expected failure",
    ),
    "passing against expectation": (
        "import pytest\n\n@pytest.mark.xfail(strict=False)\ndef test_it_runs():\n    pass\n",
        "an expected failure",
    ),
    "torn down badly": (
        "import pytest\n\n@pytest.fixture\ndef ends():\n    yield\n    assert 0\n\ndef test_it_runs(ends):\n    pass\n",
        "failed",
    ),
    "one of its parameters failing": (
        "import pytest\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it_runs(n):\n    assert n == 1\n",
        "failed",
    ),
    "not importable": ("import no_such_module\n\ndef test_it_runs():\n    pass\n", "not there, or not run"),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_test_that_proves_nothing_fails_the_check(name: str, tree: Path) -> None:
    text, verdict = PROOFS[name]
    (tree / FOLDER / "test_proof.py").write_text(text)
    done = documents(tree)
    assert done.returncode == 1
    assert f"{FOLDER}/ledger.toml:{RUN_LINE}: the test did not pass ({verdict}): " in done.stderr


def test_a_test_file_that_is_not_there_fails_the_check(tree: Path) -> None:
    (tree / FOLDER / "test_proof.py").unlink()
    done = documents(tree)
    assert done.returncode == 1
    assert f"{FOLDER}/ledger.toml:{RUN_LINE}: the test did not pass (not there, or not run): " in done.stderr


def test_only_the_named_tests_are_run(tree: Path) -> None:
    change(tree, "test_proof.py", PROOF, f"{PROOF}\n\ndef test_nobody_names_this():\n    assert False\n")
    done = documents(tree)
    assert done.returncode == 0, done.stderr
    assert "1 passed, 1 deselected" in done.stdout


def test_a_fault_ends_the_check_with_exit_code_1(tree: Path) -> None:
    change(tree, "ledger.toml", 'kind = "run"', 'kind = "ran"')
    done = documents(tree)
    assert done.returncode == 1
    assert f"{FOLDER}/ledger.toml:{RUN_LINE}: kind 'ran' is unknown" in done.stderr


def test_without_history_the_check_says_what_it_did_not_check(tree: Path) -> None:
    assert "whether the list grew was not checked" in documents(tree).stdout


def test_a_line_that_has_left_the_list_does_not_come_back(tree: Path) -> None:
    git(tree, "init")
    commit(tree)
    finished = LEDGER[LEDGER.rindex("[[entry]]") :].replace('"5-6"', '"6"')
    change(tree, "ledger.toml", LEDGER[LEDGER.rindex("[[entry]]") :], finished)
    change(tree, "ledger.toml", 'lines = "3"', 'lines = "3-5"')
    change(tree, "not-yet.txt", "5-6", "6")
    commit(tree)
    shrunk = documents(tree)
    assert shrunk.returncode == 0, shrunk.stderr
    assert "compared with 2 committed version(s)" in shrunk.stdout

    (tree / FOLDER / "ledger.toml").write_text(LEDGER)
    (tree / FOLDER / "not-yet.txt").write_text("000: 5-6\n")
    commit(tree)
    grown = documents(tree)
    assert grown.returncode == 1
    assert f"{FOLDER}/not-yet.txt:1: line 5 of document 000 came back: " in grown.stderr


def test_shrink_takes_finished_lines_out_and_puts_none_in(tree: Path) -> None:
    change(tree, "ledger.toml", 'lines = "3"', 'lines = "3-5"')
    change(tree, "ledger.toml", 'lines = "5-6"', 'lines = "6"')
    done = documents(tree, "--shrink")
    assert done.returncode == 0, done.stderr
    assert (tree / FOLDER / "not-yet.txt").read_text() == "# comment\n000: 6\n"

    (tree / FOLDER / "not-yet.txt").write_text("# comment\n")
    assert documents(tree, "--shrink").returncode == 1
    assert (tree / FOLDER / "not-yet.txt").read_text() == "# comment\n"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("ledger.toml", 'lines = "5-6"', 'lines = "5-60"'), ("not-yet.txt", "000: 5-6", "000: 5 to 6")],
)
def test_shrink_changes_nothing_that_it_cannot_read(name: str, old: str, new: str, tree: Path) -> None:
    change(tree, name, old, new)
    before = (tree / FOLDER / "not-yet.txt").read_text()
    done = documents(tree, "--shrink")
    assert done.returncode == 1
    assert f"{FOLDER}/{name}:" in done.stderr
    assert (tree / FOLDER / "not-yet.txt").read_text() == before


def test_ranges_are_written_as_they_are_read() -> None:
    document = Document("000", "sample", ("a", "", "b", "c", "d"))
    assert parse_ranges("1-3, 5") == [(1, 3), (5, 5)]
    assert write_ranges({1, 3, 5}, document) == "1-3, 5"
    assert document.filled() == [1, 3, 4, 5]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / "sources"
    folder.mkdir(parents=True)
    (folder / "000_sample.txt").write_bytes("one\x0cstill one\u2028and one\n\u00a0\ntwo\n".encode())
    document = read_documents(tmp_path)["000"]
    assert document.filled() == [1, 3]
    assert Fault("f", 1, "x") < Fault("f", 2, "a")
