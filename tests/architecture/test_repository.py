"""The repository speaks of jotgate alone, and tests/unit mirrors what it tests."""

import pytest

from tests.architecture.repository import foreign_words, strays
from tests.architecture.sources import FOREIGN, ROOT, files


def test_tracked_files_speak_of_jotgate_alone() -> None:
    """The five documents are kept as they were given; everything else is ours."""
    wrong = [
        found
        for path in files()
        if not path.startswith(FOREIGN)
        for found in foreign_words(path, (ROOT / path).read_bytes().decode("utf-8", "replace"))
    ]
    assert wrong == [], "\n".join(wrong)


def test_unit_tests_mirror_the_source() -> None:
    found = files()
    tests = [path for path in found if path.startswith("tests/unit/") and path.endswith(".py")]
    modules = [path for path in found if path.startswith(("src/jotgate/", "bench/", "tools/")) and path.endswith(".py")]
    stray = list(strays(tests, modules))
    assert stray == [], "\n".join(stray)


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/shared/design.md",
        "cd /" + "root",
        "`/" + "root/.config`",
        "https://files.python" + "hosted.org/packages/x.whl",
        "PYPI" + ".ORG",
        "--index" + "-url https://index.example/",
        "https://index.example/api/" + "simple/jotgate",
        "Co-Authored" + "-By: somebody",
        "the found" + "er decides",
    ],
)
def test_a_foreign_word_is_found(text: str) -> None:
    (found,) = {line.partition(" ")[0] for line in foreign_words("a.md", f"first line\n{text}\n")}
    assert found == "a.md:2:"


@pytest.mark.parametrize(
    "text",
    [
        "a worker",
        "/v1/models",
        "api/root",
        "$HOME/work/x",
        "~/work",
        "/workers/",
        "a simple thing",
        "work/root",
    ],
)
def test_plain_words_pass(text: str) -> None:
    assert list(foreign_words("a.md", text)) == []


@pytest.mark.parametrize(
    ("test", "is_stray"),
    [
        ("tests/unit/core/test_values.py", False),
        ("tests/unit/core/test_values_durations.py", False),
        ("tests/unit/edge/test_http1.py", False),
        ("tests/unit/test_errors.py", False),
        ("tests/unit/bench/test_report.py", False),
        ("tests/unit/core/conftest.py", False),
        ("tests/unit/core/test_value.py", True),
        ("tests/unit/jose/test_values.py", True),
        ("tests/unit/test_values.py", True),
        ("tests/unit/core/shared.py", True),
        ("tests/unit/bench/test_values.py", True),
    ],
)
def test_a_stray_unit_test_is_found(test: str, is_stray: bool) -> None:
    modules = [
        "src/jotgate/core/values.py",
        "src/jotgate/errors.py",
        "src/jotgate/edge/http1/__init__.py",
        "bench/report.py",
    ]
    assert bool(list(strays([test], modules))) is is_stray
