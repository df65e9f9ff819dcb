"""A principal is one immutable value, and the usual claims say who it is whichever way they are read."""

from collections.abc import Callable

import msgspec
import pytest

from jotgate.core.issuers import ClaimMapping
from jotgate.core.principals import Identity, read_identity, usual_identity
from jotgate.errors import ClaimRefused
from jotgate.jose.jwt import read_claims
from tests.callers import principal


def test_a_principal_does_not_change() -> None:
    alice = principal(subject="alice")
    with pytest.raises(AttributeError):
        setattr(alice, "subject", "mallory")  # noqa: B010 - mypy refuses the plain form
    assert alice == principal(subject="alice")
    assert msgspec.structs.replace(alice, subject="bob") != alice


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "me"},
        {"sub": "a/b", "client_id": "cli", "scope": "ai models", "models": ["a", "b"]},
        {"sub": "me", "models": [{"name": "a"}, "b"]},
        {"sub": "me", "models": []},
        {"sub": "me", "models": None},
        {"sub": "me", "models": "a"},
        {"sub": "me", "models": ["a", ""]},
        {"client_id": "cli"},
    ],
)
def test_the_short_way_through_the_usual_mapping_says_what_the_long_one_says(claims: dict[str, object]) -> None:
    read = read_claims(msgspec.json.encode(claims))

    def outcome(way: Callable[[], Identity]) -> Identity | str:
        try:
            return way()
        except ClaimRefused as refusal:
            return str(refusal)

    assert outcome(lambda: usual_identity(read)) == outcome(lambda: read_identity(read.raw, ClaimMapping()))
