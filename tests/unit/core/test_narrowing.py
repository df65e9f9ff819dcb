"""The limits of a child: those asked for, and those of its parents, each counted where it was."""

import pytest
from msgspec.structs import replace

from jotgate.core.claims import TokenRequest
from jotgate.core.limit_texts import read_limit
from jotgate.core.narrowing import LIMITS_MAX, check_size, of_family, with_inherited
from jotgate.core.quotas import Limit, TokenLimit
from jotgate.errors import SubjectTokenRefused
from tests.spending import OWN, principal

REQUESTS = Limit("requests", 5)
TOKENS = Limit("total_tokens", 9)


def test_a_limit_of_the_parent_itself_counts_on_its_account_and_those_before_it_where_they_did() -> None:
    parent = principal(limits=(TokenLimit(REQUESTS), TokenLimit(TOKENS, f"{OWN} t0")))
    assert with_inherited((TokenLimit(REQUESTS),), parent) == (
        TokenLimit(REQUESTS),
        TokenLimit(REQUESTS, f"{OWN} t1"),
        TokenLimit(TOKENS, f"{OWN} t0"),
    )


def test_what_is_asked_for_at_a_trade_is_the_familys() -> None:
    found = of_family((TokenLimit(REQUESTS), TokenLimit(TOKENS, f"{OWN} t0")), OWN, "family")
    assert found == (TokenLimit(REQUESTS, f"{OWN} family"), TokenLimit(TOKENS, f"{OWN} t0"))


def test_a_token_brings_no_more_limits_than_each_call_can_take_from() -> None:
    grant = TokenRequest("alice").grant(OWN)
    many = tuple(TokenLimit(read_limit(f"{number} requests"), f"{OWN} t0") for number in range(LIMITS_MAX))
    check_size(replace(grant, limits=many))
    with pytest.raises(SubjectTokenRefused, match=f"bring more than {LIMITS_MAX} limits together"):
        check_size(replace(grant, limits=(*many, TokenLimit(REQUESTS))))
