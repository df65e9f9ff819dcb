"""Short forms of the scenario that `make soak` runs in full: many clients, one quota, two machines whose parts die."""

from collections.abc import Iterator

import pytest

from bench.soak.quota_endings import CALLS_SMALL, run_endings, running_endings
from bench.soak.quota_rig import QuotaRig
from bench.soak.quotas import PASSES, REQUESTS, SMALL, STREAMS, run_pass, running_quotas


@pytest.fixture(scope="module")
def rig() -> Iterator[QuotaRig]:
    """One for all passes: each has a subject, a model and quotas of its own."""
    with running_quotas(SMALL) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSES)
def test_no_quota_is_overspent_by_one_whatever_dies(rig: QuotaRig, name: str) -> None:
    """What reached the upstream is judged by its own log; streams without ceilings are refused nothing too early."""
    found = run_pass(rig, SMALL, name)

    assert found.faults == []
    assert rig.hinting
    assert found.done.total() == (0 if name == STREAMS else SMALL.deeds)
    if name == REQUESTS:
        assert found.accounts["requests"].posted == SMALL.requests, "not one request is withheld"


@pytest.mark.slow
def test_however_calls_end_nothing_stays_reserved_and_the_ledger_has_what_was_charged() -> None:
    with running_endings() as rig:
        found = run_endings(rig, CALLS_SMALL)

    assert found.faults == []
    assert len(found.endings) > 10, "the calls ended in many ways"
