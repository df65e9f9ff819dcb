"""Kong's stand-in, as tests of itself need it: one that runs, empty for each test."""

from collections.abc import Iterator

import pytest

from jotgate.testing.kong import Kong, kong_in_thread
from tests.kong_calls import KongCalls


@pytest.fixture(scope="module")
def running_kong() -> Iterator[Kong]:
    """One that no test may leave changed."""
    with kong_in_thread() as kong:
        yield kong


@pytest.fixture
def kong(running_kong: Kong) -> Iterator[Kong]:
    """One without any entity."""
    running_kong.store.clear()
    yield running_kong
    running_kong.faults.clear()
    running_kong.asks.clear()
    running_kong.admin_header = None
    running_kong.api.admin.declared = False


@pytest.fixture
def calls(kong: Kong) -> KongCalls:
    """Requests to it."""
    return KongCalls(kong)
