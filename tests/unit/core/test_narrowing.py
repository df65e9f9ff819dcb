"""The limits of a child: those asked for, and those of its parents, each counted where it was."""

from jotgate.core.narrowing import of_family, with_inherited
from jotgate.core.quotas import Limit, TokenLimit
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
