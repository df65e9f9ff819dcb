"""A short soak: every disturbance a few times, under load over TLS. `make soak` runs the whole one."""

import pytest

from bench.soak.campaign import KILLS, SMALL, run
from bench.soak.rig import running_rig


@pytest.mark.slow
@pytest.mark.parametrize("official", [False, pytest.param(True, marks=pytest.mark.peers)])
def test_no_good_request_fails_whatever_is_done_to_the_gateway(official: bool) -> None:
    """With the official SDK and curl among the clients, it runs with those tests that need real counterparts."""
    with running_rig() as rig:
        found = run(rig, SMALL, official=official)

    assert found.calm.failures == []
    assert found.done["reloads"] == SMALL.reloads
    assert found.done["workers stopped by SIGTERM"] == SMALL.stops
    assert found.done["new certificates"] == SMALL.swaps
    assert found.done[KILLS] == SMALL.kills
    assert len(found.calm.counts) == (7 if official else 4), "every kind of client was answered"
    assert found.waited > 0
