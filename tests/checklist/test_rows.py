"""Every row of the token checklist about the token service has a test of its name, or stands here with its step."""

import re
from collections.abc import Iterable
from typing import Final

from tests.architecture.sources import sources

ROWS: Final = {
    "AT": range(1, 13),
    "CA": range(1, 6),
    "DP": range(1, 22),
    "E": (8,),
    "F": (1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17, 18, 19, 20, 21),
    "IN": range(1, 9),
    "MCP_AS": range(1, 10),
    "MCP_RS": range(1, 13),
    "MD": range(1, 10),
    "MT": (1,),
    "PD": (1,),
    "PR": range(1, 8),
    "RA": (1,),
    "RL": range(1, 7),
    "RI": (1,),
    "RT": range(1, 7),
    "RV": range(1, 11),
    "SL": range(1, 7),
    "TE": range(1, 9),
    "TX": range(1, 11),
}
ELSEWHERE: Final = {
    "DP_20": "step 12: authorization requests, whose codes dpop_jkt binds",
    "F_17": "step 3: keys that rotate, tests/integration/test_keys.py and tests/unit/services/test_rotation.py",
    **{f"MCP_AS_{row:02}": "step 12: authorization requests, and clients that register" for row in (1, 3, 4, 6, 7, 9)},
    "MCP_RS_12": "step 12: consent of clients that register",
    "MD_05": "step 12: the authorization endpoint, whose clients use PKCE",
    "MD_09": "step 12: authorization responses",
    "TE_08": "step 12: authorization codes",
}
_TEST: Final = re.compile(r"def test_(E|F|MCP_AS|MCP_RS|[A-Z]{2})_?(\d\d)_")


def _names(rows: dict[str, Iterable[int]]) -> set[str]:
    return {f"{family}_{number:02}" for family, numbers in rows.items() for number in numbers}


def test_every_row_is_tested_or_owned_by_another_step() -> None:
    tested = {f"{family}_{number}" for one in sources("tests") for family, number in _TEST.findall(one.text)}
    owed = _names(dict(ROWS))
    assert owed - tested == set(ELSEWHERE), "the table names what has no test, and nothing else"
    assert ELSEWHERE.keys() <= owed
