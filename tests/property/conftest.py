"""Property tests make their keys before they start and are not judged by the clock: the machine may be busy."""

import pytest
from hypothesis import settings

from tests import tokens

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True, scope="session")
def keys() -> None:
    """An RSA key takes longer to make than an example may take to run."""
    tokens.all_keys()
