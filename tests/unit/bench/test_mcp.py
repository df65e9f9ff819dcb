"""The bench of MCP: figures, and that it measures at all."""

from pathlib import Path

import pytest

from bench.cpu import two_cores
from bench.mcp import McpCost, measure_mcp
from bench.summary import Summary


def test_gates_stand_on_the_median_call_and_on_the_memory_of_a_subscription() -> None:
    found = McpCost(10, 5, [150.0, 170.0, 160.0], 13.0)
    assert found.summaries() == {
        "mcp_added_us": Summary(160.0, 150.0, 170.0),
        "mcp_stream_kib": Summary(13.0, 13.0, 13.0),
    }


@pytest.mark.slow
def test_calls_and_subscriptions_are_measured_through_a_real_gateway(tmp_path: Path) -> None:
    found = measure_mcp(tmp_path / "mcp", two_cores(), rounds=1, calls=20, subscriptions=20)
    assert len(found.added_us) == 1
    assert found.subscription_kib < 200
