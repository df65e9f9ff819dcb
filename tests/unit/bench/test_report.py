"""The report in both forms."""

import json
from dataclasses import replace

import pytest

from bench.admission import MANY, NONE, Admissions
from bench.candidates import OVER_NGINX, TWO_WORKERS
from bench.gates import judge
from bench.mcp import McpCost
from bench.memory import Idle, Memory
from bench.metering import Meterings
from bench.plan import FULL
from bench.possession import ASK, JUDGE, READ, Possession
from bench.possession import BARE as BARE_PROOF
from bench.reload import Blocks
from bench.report import Report, admissions_table, mcp_lines, metering_lines, possession_table, to_json, to_markdown
from bench.rounds import Visit
from bench.starting import Starts
from bench.summary import Summary, medians, ratios
from bench.verifier import BARE, COLD, GROWN, PYJWT, UNREVOKED, WARM, Verification

BLOCKS = Blocks(
    reload_cpu_ms=[2.0, 4.5, 3.0],
    reload_wall_ms=[2.5, 9.0, 3.5],
    calm_cpu_ms=[0.5, 0.6, 0.4],
    calm_wall_ms=[0.7, 0.8, 0.9],
)


def report(
    *,
    jotgate_us: float = 38.0,
    faults: tuple[str, ...] = (),
    starts: Starts | None = None,
    blocks: Blocks | None = None,
) -> Report:
    visits = [
        Visit("straight", 1, {"requests_per_s": 70_000.0}, ()),
        Visit("nginx", 1, {"request_cpu_us": 20.0, "chunk_cpu_us": 10.0, "requests_per_s": 40_000.0}, ()),
        Visit(
            "jotgate",
            1,
            {"request_cpu_us": jotgate_us, "chunk_cpu_us": 13.0, "requests_per_s": 2e4, "steady_cpu_us": 50.0},
            (),
        ),
        Visit("jotgate-2", 1, {"steady_cpu_us": 52.0}, ()),
    ]
    found = {comparison: ratios(visits, comparison) for comparison in (OVER_NGINX, TWO_WORKERS)}
    apart = {**(starts.summaries() if starts else {}), **(blocks.summaries() if blocks else {})}
    return Report(
        taken_at="2026-01-02T03:04:05+00:00",
        plan=FULL,
        machine={"kernel": "6.1"},
        visits=visits,
        medians=medians(visits),
        ratios=found,
        verification=VERIFICATION,
        possession=POSSESSION,
        admissions=ADMISSIONS,
        meterings=METERINGS,
        mcp=MCP,
        starts=starts,
        idle={"nginx": Idle(1_000, Memory(10.0, 8.0), Memory(30.0, 18.0))},
        blocks=blocks,
        verdicts=judge(found, apart),
        accounted="The audit log has a row for each of 10 requests.",
        faults=faults,
    )


VERIFICATION = Verification(
    100, {BARE: [50.0], COLD: [60.0], WARM: [2.0], UNREVOKED: [1.6], GROWN: [4.0], PYJWT: [90.0]}, {}
)
POSSESSION = Possession({BARE_PROOF: [60.0], READ: [80.0], ASK: [10.0], JUDGE: [5.0]})
METERINGS = Meterings(1_000_000, [1.5, 2.0, 2.5])
MCP = McpCost(1_000, 500, [150.0, 180.0, 170.0], 13.25)
ADMISSIONS = Admissions({NONE: [6.0, 8.0], MANY: [6.3, 8.8]})
STARTS = Starts(first_s=[1.0], again_s=[0.9], help_s=[0.1], orphans_s=[0.2])


def test_each_gate_has_its_line() -> None:
    page = to_markdown(report(starts=STARTS, blocks=BLOCKS))

    assert "| CPU per request over nginx's | 1.90 x (1.90 to 1.90) | 2.2 x | 1.8 x | holds |" in page
    assert "| CPU per streamed chunk over nginx's | 1.30 x (1.30 to 1.30) | 1.8 x | 1.4 x | goal reached |" in page
    assert "| CPU per request of two workers over one's | 1.04 x (1.04 to 1.04) | 1.1 x |  | holds |" in page
    assert "| 3.00 ms (2.00 to 4.50) | each at most 5.0 ms |  | holds |" in page
    assert "| `jotgate --help` | 0.10 s (0.10 to 0.10) | 0.2 s |  | holds |" in page


def test_when_all_holds_it_says_so() -> None:
    found = report(starts=STARTS, blocks=BLOCKS)
    whole = replace(found, verdicts=[one for one in found.verdicts if one.measured is not None])

    assert whole.good
    assert "Everything holds." in to_markdown(whole)


def test_a_figure_stands_under_its_candidate_and_the_ratio_last() -> None:
    lines = to_markdown(report()).splitlines()

    assert "| | straight | nginx | jotgate | jotgate / nginx |" in lines
    assert "| | jotgate | jotgate-2 | jotgate-2 / jotgate |" in lines
    rps = next(line for line in lines if line.startswith("| requests per second"))
    assert rps.split(" | ")[1:] == [
        "70,000 (70,000 to 70,000)",
        "40,000 (40,000 to 40,000)",
        "20,000 (20,000 to 20,000)",
        "0.50 x (0.50 to 0.50) |",
    ]
    cost = next(line for line in lines if line.startswith("| CPU per request (µs)"))
    assert cost.split(" | ")[1] == ""


def test_a_metric_that_nobody_was_measured_by_is_left_out() -> None:
    assert "latency at the fixed rate" not in to_markdown(report())


def test_memory_is_told_per_stream() -> None:
    page = to_markdown(report())

    assert "## Memory with 1,000 open streams that wait" in page
    assert "| nginx | 8.0 | 10.0 | 18.0 | 30.0 | 10.2 KiB |" in page


def test_the_longest_blocks_stand_beside_those_without_a_reload() -> None:
    page = to_markdown(report(blocks=BLOCKS))

    assert "in each of 3 reloads" in page
    assert "| own CPU time | 3.00 (2.00 to 4.50) | 0.50 (0.40 to 0.60) |" in page
    assert "| wall time | 3.50 (2.50 to 9.00) | 0.80 (0.70 to 0.90) |" in page


def test_gates_without_a_figure_keep_it_from_saying_that_everything_holds() -> None:
    page = to_markdown(report(starts=None))

    assert report(starts=None).good
    assert "Everything holds." not in page
    assert "not measured" in page


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (report(jotgate_us=46.2, starts=STARTS), "- gate broken: CPU per request over nginx's"),
        (report(faults=("nginx, round 1: one was 502",), starts=STARTS), "- nginx, round 1: one was 502"),
    ],
)
def test_a_broken_gate_and_a_fault_are_named_first(found: Report, line: str) -> None:
    page = to_markdown(found)

    assert not found.good
    assert "**Not good.**" in page
    assert page.index(line) < page.index("| gate |")
    assert json.loads(to_json(found))["good"] is False


def test_it_warns_of_virtual_machines() -> None:
    assert "flatters" in to_markdown(report())


def test_it_says_when_others_used_the_core() -> None:
    quiet, loud = {"others_busy_pct": Summary(4.9, 0.0, 30.0)}, {"others_busy_pct": Summary(12.4, 2.0, 15.0)}

    assert "not quiet" not in to_markdown(replace(report(), medians={"nginx": quiet, "jotgate": quiet}))
    page = to_markdown(replace(report(), medians={"nginx": quiet, "jotgate": loud}))
    assert "others took 12 % of the candidates' core" in page
    assert page.index("not quiet") < page.index("| gate |")


def test_the_json_form_holds_every_sample() -> None:
    found = json.loads(to_json(report(starts=STARTS)))

    assert found["format"] == 2
    assert found["visits"][2]["figures"]["request_cpu_us"] == 38.0
    assert found["gates"][0] == {
        "key": "request_cpu_us",
        "title": "CPU per request over nginx's",
        "unit": "x",
        "limit": 2.2,
        "goal": 1.8,
        "comparison": "jotgate / nginx",
        "worst": False,
        "measured": {"median": 1.9, "low": 1.9, "high": 1.9},
        "standing": "holds",
    }
    assert found["ratios"]["jotgate-2 / jotgate"]["steady_cpu_us"]["median"] == 1.04
    assert found["starts"] == {"first_s": [1.0], "again_s": [0.9], "help_s": [0.1], "orphans_s": [0.2]}


def test_what_a_proof_costs_has_a_table_of_its_own() -> None:
    lines = possession_table(POSSESSION)
    assert "| the worker reads and verifies the proof | 80.0 (80.0 to 80.0) |" in lines
    assert "| all but the first | 95.0 (95.0 to 95.0) |" in lines
    assert possession_table(None) == []


def test_what_a_verification_costs_stands_beside_the_bare_primitive() -> None:
    page = to_markdown(report())

    assert "| jotgate, cold | 60.00 (60.00 to 60.00) | 1.20 x (1.20 to 1.20) |" in page
    assert "| jotgate, from its cache | 2.00 (2.00 to 2.00) | 0.04 x (0.04 to 0.04) |" in page
    assert "once after each further one: 2.50 x (2.50 to 2.50)." in page


def test_what_policies_cost_stands_beside_a_call_without() -> None:
    lines = admissions_table(ADMISSIONS)
    assert f"| {NONE} | 7.00 (6.00 to 8.00) | 1.00 x (1.00 to 1.00) |" in lines
    assert any(line.startswith(f"| {MANY} |") and "(1.05 to 1.10)" in line for line in lines)
    assert admissions_table(None) == []


def test_what_the_way_to_a_tool_costs_is_told() -> None:
    lines = mcp_lines(MCP)
    assert "Added to the median call: 170 µs (150 to 180)." in lines
    assert any(line.startswith("Each of 500 open subscriptions takes 13.2 KiB") for line in lines)
    assert mcp_lines(None) == []


def test_what_quotas_cost_is_told_with_what_they_are() -> None:
    lines = metering_lines(METERINGS)
    assert any(line.startswith("1,000,000 calls") and "requests of a token" in line for line in lines)
    assert "CPU time a call: 2.00 µs (1.50 to 2.50)." in lines
    assert metering_lines(None) == []
