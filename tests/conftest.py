"""What all tests share: generated ones are judged by what they show, and a mask of modes is left as it was."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Never by how long a busy machine takes over them.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _mask() -> Iterator[None]:
    """Commands on data that no jotgate runs on set the mask of the whole process."""
    mask = os.umask(0o077)
    os.umask(mask)
    yield
    os.umask(mask)
