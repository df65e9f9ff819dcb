"""The gates: where exactly they break, and that what was not measured never counts as held."""

import pytest

from bench.candidates import OVER_ENVOY, OVER_NGINX
from bench.gates import GATES, Gate, Verdict, judge
from bench.starting import Starts
from bench.summary import Summary


def summary(median: float) -> Summary:
    return Summary(median, median / 2, median * 2)


@pytest.mark.parametrize(
    ("median", "standing"),
    [(1.79, "goal reached"), (1.8, "goal reached"), (1.81, "holds"), (2.2, "holds"), (2.21, "BROKEN")],
)
def test_a_median_stands_to_limit_and_goal(median: float, standing: str) -> None:
    gate = Gate("request_cpu_us", "CPU per request", "x", 2.2, 1.8)

    assert Verdict(gate, summary(median)).standing == standing


def test_without_a_goal_there_is_only_the_limit() -> None:
    gate = Gate("help_s", "help", "s", 0.2)

    assert Verdict(gate, summary(0.01)).standing == "holds"


@pytest.mark.parametrize(("median", "standing"), [(2.5, "holds"), (2.51, "BROKEN")])
def test_a_limit_on_the_worst_looks_at_the_greatest_sample(median: float, standing: str) -> None:
    gate = Gate("reload_block_ms", "block", "ms", 5.0, worst=True)

    assert Verdict(gate, summary(median)).standing == standing


def test_what_was_not_measured_does_not_hold() -> None:
    assert [verdict.standing for verdict in judge({}, {})] == ["not measured"] * len(GATES)


def test_every_gate_is_judged_by_its_own_figure() -> None:
    starts = Starts(first_s=[0.9, 2.5, 1.0], again_s=[2.1, 0.5, 2.2], help_s=[0.1, 0.15], orphans_s=[0.2, 1.4])
    compared = {
        OVER_NGINX: {"request_cpu_us": summary(2.0), "chunk_cpu_us": summary(1.9)},
        OVER_ENVOY: {"request_cpu_us": summary(1.01)},
    }

    standings = [
        (verdict.gate.title, verdict.standing)
        for verdict in judge(compared, starts.summaries())
        if verdict.measured is not None
    ]

    assert standings == [
        ("CPU per request over nginx's", "holds"),
        ("CPU per request over Envoy's, which verifies with a cache", "BROKEN"),
        ("CPU per streamed chunk over nginx's", "BROKEN"),
        ("first start to ready", "holds"),
        ("start to the first answered completion", "BROKEN"),
        ("`jotgate --help`", "holds"),
        ("death of the supervisor to that of its last child", "holds"),
    ]


def test_the_limits_are_those_that_were_promised() -> None:
    limits = [(gate.comparison.title if gate.comparison else "", gate.key, gate.limit, gate.goal) for gate in GATES]

    assert limits == [
        ("jotgate / nginx", "request_cpu_us", 2.2, 1.8),
        ("jotgate / envoy", "request_cpu_us", 1.0, None),
        ("jotgate / nginx", "chunk_cpu_us", 1.8, 1.4),
        ("jotgate / nginx", "added_p99_us", 3.0, None),
        ("jotgate-2 / jotgate", "steady_cpu_us", 1.1, None),
        ("", "reload_block_ms", 5.0, None),
        ("", "verify_cold", 1.25, None),
        ("", "verify_warm_us", 3.0, None),
        ("", "verify_revoked", 1.1, None),
        ("", "verify_first_look", 3.0, None),
        ("", "policies_over_none", 1.1, None),
        ("", "policies_first_look", 5.0, None),
        ("", "metering_us", 3.0, None),
        ("jotgate-issuing-memory / oidc-provider", "token_cpu_us", 0.5, None),
        ("", "decision_cpu_us", 45.0, None),
        ("", "mcp_added_us", 1_000.0, None),
        ("", "mcp_stream_kib", 40.0, None),
        ("", "first_s", 2.0, None),
        ("", "again_s", 2.0, None),
        ("", "help_s", 0.2, None),
        ("", "orphans_s", 1.0, None),
    ]
    assert [gate.key for gate in GATES if gate.worst] == ["reload_block_ms"]
