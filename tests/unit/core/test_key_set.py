"""The published key set holds what is accepted at that very time, under a validator that changes with it."""

import json

import pytest

from jotgate.core.issuers import Issuer
from jotgate.core.key_set import is_fresh, publish
from jotgate.jose.keys import KeySet, generate


def test_a_key_whose_end_has_come_is_left_out_at_that_second() -> None:
    old, new = generate("ES256"), generate("ES256")
    issuer = Issuer(
        name="jotgate",
        issuer="http://i",
        audiences=("http://i",),
        algorithms=("ES256",),
        types=("at+jwt",),
        jwks=KeySet([old.verification_key, new.verification_key]).to_jwks(),
        key_ends={old.kid: 100},
    )
    before, after = publish(issuer, 99.9, 300), publish(issuer, 100, 300)
    assert before.body == issuer.jwks
    assert [key["kid"] for key in json.loads(after.body)["keys"]] == [new.kid]
    assert before.etag != after.etag == publish(issuer, 101, 300).etag
    assert before.etag.startswith('"')


@pytest.mark.parametrize(
    ("asked", "fresh"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b",W/"a"', True),
        ("*", True),
        ("", False),
        ("a", False),
        ('"b"', False),
        ('"A"', False),
    ],
)
def test_a_caller_has_it_when_it_names_it(asked: str, fresh: bool) -> None:
    assert is_fresh(asked, '"a"') is fresh
