"""The limits of a child: those asked for, and those of its parents, each counted where it was."""

import pytest
from msgspec.structs import replace

from jotgate.core.claims import TokenRequest
from jotgate.core.limit_texts import read_limit
from jotgate.core.narrowing import check_size, of_family, with_inherited
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


def test_limits_make_no_token_longer_than_servers_take() -> None:
    grant = TokenRequest("alice").grant(OWN)
    limits = tuple(TokenLimit(read_limit(f"{place} requests/day in Europe/Berlin"), "h" * 400) for place in range(30))
    check_size(replace(grant, limits=limits))
    others = tuple(TokenLimit(one.limit, str(place) * 200) for place, one in enumerate(limits))
    with pytest.raises(SubjectTokenRefused, match="come of too much to be named in one"):
        check_size(replace(grant, limits=others))
