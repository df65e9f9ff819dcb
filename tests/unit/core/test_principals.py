"""A principal is one immutable value."""

import msgspec
import pytest

from tests.callers import principal


def test_a_principal_does_not_change() -> None:
    alice = principal(subject="alice")
    with pytest.raises(AttributeError):
        setattr(alice, "subject", "mallory")  # noqa: B010 - mypy refuses the plain form
    assert alice == principal(subject="alice")
    assert msgspec.structs.replace(alice, subject="bob") != alice
