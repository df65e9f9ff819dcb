"""The table of candidates fits the report."""

from bench.candidates import CANDIDATES, TABLES
from bench.metrics import METRICS


def test_every_candidate_stands_in_a_table_beside_what_it_is_compared_with() -> None:
    shown = {name for table in TABLES for name in table.columns}

    assert shown == set(CANDIDATES)
    for table in TABLES:
        assert {name for one in table.comparisons for name in (one.candidate, one.yardstick)} <= set(table.columns)
        assert set(table.metrics) <= {metric.key for metric in METRICS}


def test_what_is_compared_is_asked_to_do_the_same() -> None:
    for table in TABLES:
        for one in table.comparisons:
            assert set(CANDIDATES[one.candidate]) & set(CANDIDATES[one.yardstick])
