"""The page of the soak of trust says what was counted, and what was refused that must not be."""

import time

from bench.soak.flood import FloodFindings
from bench.soak.tokens import Token
from bench.soak.trust import TrustFindings
from bench.soak.trust_load import Reply
from bench.soak.trust_report import render

OURS = Token("ours", "k1", b"", owed_from_s=0.0)
WRONG = Token("the provider's", "unknown_key", b"", wrong=True, asks=True)


def test_good_and_wrong_tokens_are_told_apart_and_those_that_must_not_be_stand_there_even_if_none() -> None:
    found = TrustFindings(done={"deeds": 3}, seconds=9.0)
    now_s = time.monotonic()
    for _ in range(1_234):
        found.account.enter(OURS, Reply(200, "", goes_on=True), now_s)
    found.account.enter(WRONG, Reply(401, "key_unknown", goes_on=True), now_s)
    flood = FloodFindings(calm=[[0.002]], flooded=[[0.003]], fetches=3, allowed=4)
    flood.statuses["401 key_unknown"] = 900

    page = render({"SQLite": found}, flood)

    assert "1,234 good tokens" in page
    assert "- 3 deeds" in page
    for row in ("| good, taken | 1,234 | 0 |", "| good, REFUSED | 0 | 0 |", "| wrong, TAKEN | 0 | 0 |"):
        assert row in page
    assert "Wrong ones met: 401 key_unknown 1." in page
    assert "3 times, where 4 would be" in page
    assert "p99 2.00 ms in calm,\n3.00 ms in the flood, 1.50 times" in page


def test_what_met_what_it_must_not_is_told_with_its_status_reason_and_moment() -> None:
    found = TrustFindings()
    found.account.began_s = 100.0
    found.account.enter(OURS, Reply(401, "key_unknown", goes_on=True), 107.25)
    (fault,) = found.account.faults
    assert str(fault).startswith("good, REFUSED: ours 'k1' got 401 key_unknown at 7.250 s, in ")
