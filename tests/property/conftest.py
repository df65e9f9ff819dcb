"""Property tests make their keys before they start."""

import pytest

from tests import tokens


@pytest.fixture(autouse=True, scope="session")
def keys() -> None:
    """An RSA key takes longer to make than an example may take to run."""
    tokens.all_keys()
