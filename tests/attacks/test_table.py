"""Every row of the attack list has its line in docs/attacks.md and at least one test that is named for it."""

import re
from pathlib import Path
from typing import Final

from jotgate.errors import Code
from tests.architecture.sources import ROOT

_ROW: Final = re.compile(r"^\| ([A-E]\d\db?) \|", re.MULTILINE)
_TEST: Final = re.compile(r"^def test_((?:[A-E]\d\db?_)+)", re.MULTILINE)
_CODE: Final = re.compile(r"`([a-z]+_[a-z_]+)`")
_COUNTS: Final = {"A": 11, "B": 10, "C": 12, "D": 14, "E": 7}


def test_each_row_has_a_line_and_a_test() -> None:
    rows = _ROW.findall((ROOT / "docs" / "attacks.md").read_text())
    wanted = {f"{letter}{number:02}" for letter, count in _COUNTS.items() for number in range(1, count + 1)} | {"A01b"}
    assert sorted(rows) == sorted(wanted)
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    tested = {row for text in sources for names in _TEST.findall(text) for row in names.split("_")}
    assert tested - {""} == set(rows)


def test_each_answer_is_a_code_that_there_is() -> None:
    answers = re.findall(r"^\| [A-E]\d\db? \|.*\|([^|]*)\|$", (ROOT / "docs" / "attacks.md").read_text(), re.MULTILINE)
    named = {code for answer in answers for code in _CODE.findall(answer)}
    assert len(named) > 10
    assert named <= set(Code)
