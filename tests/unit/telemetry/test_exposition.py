"""Prometheus' text format: written so that the strictest reader takes it, and with the sums that were counted."""

import pytest

from jotgate.core.audit import CallRecord, Charge, Outcome
from jotgate.core.figures import BOUNDS_US, Gauges
from jotgate.core.key_fetches import KeyStanding
from jotgate.core.upstream_tokens import TokenStanding
from jotgate.errors import Code, QuotaStanding
from jotgate.services.tally import Tally
from jotgate.telemetry.census import Census
from jotgate.telemetry.exposition import Family, expose, write
from jotgate.testing.ports import ManualClock
from tests.exposition import read_exposition


def record(
    *, status: int = 200, outcome: Outcome = "complete", code: str = "", upstream: str = "u", duration_us: int = 1_000
) -> CallRecord:
    """A call that has ended."""
    return CallRecord(
        at=0,
        worker="w",
        row=1,
        operation="chat.completions",
        status=status,
        outcome=outcome,
        code=code,
        upstream=upstream,
        duration_us=duration_us,
        tokens_in=3,
        tokens_out=5,
    )


def census_of(*tallies: Tally) -> Census:
    """What control knows when each of these is a worker's."""
    census = Census(ManualClock())
    for slot, tally in enumerate(tallies):
        census.greeted(slot, f"w{slot}")
        census.took(f"w{slot}", tally.counts(()), Gauges(live_calls=slot + 1, snapshot=4, units_waiting=5))
    return census


def test_the_figures_of_all_workers_are_added_up() -> None:
    tallies = (Tally(), Tally())
    for tally in tallies:
        tally.settled(record(duration_us=5_000), 4_000)
        tally.settled(record(status=401, outcome="refused", code=Code.TOKEN_EXPIRED, upstream=""))
        tally.settled(record(outcome="cut", code=Code.TOKEN_REVOKED, upstream="v"))
        tally.passed_over("u")
    found = read_exposition(expose(census_of(*tallies)).decode())
    named = {"operation": "chat.completions"}
    assert found.value("jotgate_requests_total", **named, status="2xx", outcome="complete") == 2
    assert found.value("jotgate_requests_total", **named, status="4xx", outcome="refused") == 2
    assert found.value("jotgate_requests_total", **named, status="2xx", outcome="cut") == 2
    assert found.value("jotgate_refusals_total", code="token_expired") == 2
    assert found.value("jotgate_cuts_total", code="token_revoked") == 2
    assert found.value("jotgate_tokens_total", upstream="u", direction="in") == 6
    assert found.value("jotgate_tokens_total", upstream="u", direction="out") == 10
    assert found.value("jotgate_upstream_attempts_total", upstream="u", outcome="complete") == 2
    assert found.value("jotgate_upstream_attempts_total", upstream="u", outcome="passed_over") == 2
    assert found.value("jotgate_request_duration_seconds_count", **named) == 6
    assert found.value("jotgate_request_duration_seconds_sum", **named) == pytest.approx(0.014)
    assert found.value("jotgate_added_duration_seconds_count", **named) == 2
    assert found.value("jotgate_added_duration_seconds_sum", **named) == pytest.approx(0.002)
    assert found.value("jotgate_live_calls", worker="0") == 1
    assert found.value("jotgate_live_calls", worker="1") == 2


def test_what_quotas_refused_is_counted_by_level_and_unit_and_names_nobody() -> None:
    spent = QuotaStanding(name="alice-daily", levels=("principal", "tool"), unit="requests", limit=1, spent=1)
    tallies = (Tally(), Tally())
    for tally in tallies:
        tally.quota_refused(spent)
        tally.charged(Charge(3, 5, overrun=7), None)
        tally.charged(Charge(3, 5, overrun=1), spent)
        tally.charged(Charge(uncounted=True), None)
    text = expose(census_of(*tallies)).decode()
    found = read_exposition(text)
    assert found.value("jotgate_quota_refusals_total", level="principal+tool", unit="requests") == 4
    assert found.value("jotgate_quota_overrun_tokens_total") == 16
    assert found.value("jotgate_quota_uncounted_calls_total") == 2
    assert found.value("jotgate_quota_waiting_calls", worker="1") == 5
    assert "alice" not in text


def test_the_number_of_quotas_that_are_told_apart_is_bounded() -> None:
    tally = Tally()
    for number in range(3_000):
        tally.quota_refused(QuotaStanding(name="q", levels=(f"l{number}",), unit="requests", limit=1, spent=1))
    refused = tally.counts(()).quotas.refused
    assert len(refused) <= 1_025
    assert sum(count for _, count in refused) == 3_000


@pytest.mark.parametrize("duration_us", [0, 1, 127, 128, 129, 1_000, 2**20 - 1, 2**20, 2**28, 2**28 + 1, 10**12])
def test_each_duration_is_counted_at_and_above_the_first_bound_that_it_does_not_exceed(duration_us: int) -> None:
    """A duration is cut to whole microseconds when it is taken: one of exactly a bound lies above it."""
    tally = Tally()
    tally.settled(record(duration_us=duration_us))
    found = read_exposition(expose(census_of(tally)).decode())
    name = "jotgate_request_duration_seconds_bucket"
    for bound_us in BOUNDS_US:
        label = f"{bound_us / 1e6:.9f}".rstrip("0").rstrip(".")
        at_most = found.value(name, operation="chat.completions", le=label)
        assert at_most == (duration_us < bound_us), bound_us


def test_a_path_that_is_no_operation_is_counted_as_unknown() -> None:
    tally = Tally()
    tally.settled(CallRecord(at=0, worker="w", row=1, operation="", status=404, outcome="refused", code="x"))
    found = read_exposition(expose(census_of(tally)).decode())
    assert found.value("jotgate_requests_total", operation="unknown", status="4xx", outcome="refused") == 1


def test_the_number_of_series_is_bounded_whatever_the_upstreams_are_called() -> None:
    tally = Tally()
    for number in range(3_000):
        tally.settled(record(upstream=f"u{number}"))
        tally.passed_over(f"u{number}")
    counts = tally.counts(())
    assert len(counts.rows) <= 1_025
    assert len(counts.passed_over) <= 1_025
    assert sum(row.count for row in counts.rows) == sum(counts.passed_over.values()) == 3_000


def test_labels_are_escaped() -> None:
    text = write([Family("a_total", "counter", "Says\nthis.", [({"b": 'x"y\\z\n'}, 1)])])
    assert text == '# HELP a_total Says\\nthis.\n# TYPE a_total counter\na_total{b="x\\"y\\\\z\\n"} 1\n'
    read_exposition(text)


@pytest.mark.parametrize(
    "wrong",
    [
        "a_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1",
        "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 2\n",
        "# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n",
        '# HELP a x\n# TYPE a gauge\na{b="x"y"} 1\n',
        '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    ],
)
def test_what_prometheus_would_not_take_is_noticed(wrong: str) -> None:
    with pytest.raises(AssertionError):
        read_exposition(wrong)


def test_the_keys_of_other_issuers_are_told_by_issuer() -> None:
    standings = [
        KeyStanding("idp", ("a", "b"), 12.5, "", 200.0, {"changed": 1, "unchanged": 2, "failed": 3}),
        KeyStanding("away", (), None, "no route", 1.0, {"changed": 0, "unchanged": 0, "failed": 4}),
    ]
    found = read_exposition(expose(census_of(), standings).decode())
    assert found.value("jotgate_key_fetches_total", issuer="idp", outcome="unchanged") == 2
    assert found.value("jotgate_key_fetches_total", issuer="away", outcome="failed") == 4
    assert found.value("jotgate_issuer_keys", issuer="idp") == 2
    assert found.value("jotgate_issuer_keys", issuer="away") == 0
    assert found.value("jotgate_issuer_keys_age_seconds", issuer="idp") == 12.5
    assert ("jotgate_issuer_keys_age_seconds", frozenset({("issuer", "away")})) not in found.samples


def test_the_tokens_of_upstreams_are_told_by_upstream() -> None:
    standings = [
        TokenStanding("coze", "coze", sessions=3, obtained=7, failed=2, fault="no route"),
        TokenStanding("well", "client-credentials", sessions=1, obtained=1, failed=0),
    ]
    found = read_exposition(expose(census_of(), (), standings).decode())
    assert found.value("jotgate_upstream_token_exchanges_total", upstream="coze", outcome="obtained") == 7
    assert found.value("jotgate_upstream_token_exchanges_total", upstream="coze", outcome="failed") == 2
    assert found.value("jotgate_upstream_token_sessions", upstream="coze") == 3
    assert found.value("jotgate_upstream_token_failing", upstream="coze") == 1
    assert found.value("jotgate_upstream_token_failing", upstream="well") == 0
