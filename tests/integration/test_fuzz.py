"""A small campaign of malformed requests and tokens against a running gateway; `make fuzz` runs the whole one."""

from collections.abc import Callable

import pytest

from bench.fuzz.campaign import SETTINGS, SMALL, Campaign
from jotgate.testing.running import Gateway


@pytest.mark.slow
def test_nothing_malformed_does_harm(start_gateway: Callable[..., Gateway]) -> None:
    """No 5xx, no hang, no death, no complaint, memory as it was, and each good request behind a bad one answered."""
    found = Campaign(start_gateway(SETTINGS), SMALL, 1).run()

    for kind in ("requests", "bodies", "tokens"):
        assert found.sent[kind] >= getattr(SMALL, kind)
    assert found.sent["corpus"] > 100
    assert found.statuses["named tokens"].keys() == {"401"}
