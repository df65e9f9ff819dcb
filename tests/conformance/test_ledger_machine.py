"""No interleaving of takers, lost and doubled messages, deaths and ends of windows spends beyond a limit."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from jotgate.stores.addresses import StoreAddress
from tests.conformance.conftest import DATABASES
from tests.conformance.leasing import Stage
from tests.conformance.ledger_machine import Leasing, LeasingByMinutes

EXAMPLES = {"memory": 300, "sqlite": 25, "postgresql": 10}


@pytest.fixture(params=("memory", *DATABASES))
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of store."""
    return str(request.param)


@pytest.fixture
def kept(kind: str, make_address: Callable[[str], StoreAddress]) -> Iterator[Stage | None]:
    """A database of that kind; None: it is none."""
    made = None if kind == "memory" else Stage(make_address(kind))
    yield made
    if made is not None:
        made.store.close()


@pytest.mark.parametrize("machine", [Leasing, LeasingByMinutes])
def test_nothing_is_spent_beyond_a_limit(kept: Stage | None, kind: str, machine: type[Leasing]) -> None:
    staged = type(machine.__name__, (machine,), {"kept": kept})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        staged,
        settings=settings(
            max_examples=EXAMPLES[kind], stateful_step_count=40, deadline=None, suppress_health_check=checks
        ),
    )
