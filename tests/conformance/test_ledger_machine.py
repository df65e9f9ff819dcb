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


def test_what_is_used_beyond_a_reservation_is_no_debt_as_far_as_the_lease_has_it() -> None:
    machine = Leasing()
    machine.ask(number=0, want=2, least=0, kept=0)
    machine.deliver(places=[0], again="no", heard=True)
    machine.spend(number=0, units=1)
    machine.use_more_than_was_reserved(number=0, units=1)
    machine.teardown()
    assert machine.look(0) == (2, 0, 0)
