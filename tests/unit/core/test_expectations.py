"""What a route expects of a token is met or not, claim by claim, and what says nothing does not meet it."""

import pytest
from msgspec.structs import replace

from jotgate.core.expectations import RouteExpectation, unmet
from jotgate.core.principals import Principal
from tests.callers import NOW_S, principal

_BARE = principal()
_WHOLE = replace(
    _BARE, audiences=frozenset({"https://a.example", "https://b.example"}), token_type="at+jwt", issued_at_s=NOW_S - 60
)


@pytest.mark.parametrize(
    ("expectation", "whose", "found"),
    [
        (RouteExpectation(), _BARE, None),
        (RouteExpectation(audiences=frozenset({"https://b.example", "https://c.example"})), _WHOLE, None),
        (RouteExpectation(audiences=frozenset({"https://c.example"})), _WHOLE, ("aud", "mismatch")),
        (RouteExpectation(audiences=frozenset({"https://a.example/"})), _WHOLE, ("aud", "mismatch")),
        (RouteExpectation(audiences=frozenset({"https://a.example"})), _BARE, ("aud", "missing")),
        (RouteExpectation(token_types=frozenset({"jwt", "at+jwt"})), _WHOLE, None),
        (RouteExpectation(token_types=frozenset({"jwt"})), _WHOLE, ("typ", "mismatch")),
        (RouteExpectation(token_types=frozenset({"jwt"})), _BARE, ("typ", "missing")),
        (RouteExpectation(token_types=frozenset({"jwt", ""})), _BARE, None),
        (RouteExpectation(age_s=61), _WHOLE, None),
        (RouteExpectation(age_s=60), _WHOLE, ("iat", "mismatch")),
        (RouteExpectation(age_s=60), _BARE, ("iat", "missing")),
        (RouteExpectation(age_s=1), replace(_WHOLE, issued_at_s=NOW_S + 5), None),
    ],
)
def test_each_claim_is_held_to_what_is_expected(
    expectation: RouteExpectation, whose: Principal, found: tuple[str, str] | None
) -> None:
    refusal = unmet(expectation, whose, NOW_S)
    assert (None if refusal is None else (refusal.claim, refusal.reason)) == found
    if refusal is not None:
        assert refusal.status == 401


def test_what_was_wanted_and_what_the_token_says_is_for_the_operator_alone() -> None:
    refusal = unmet(RouteExpectation(audiences=frozenset({"https://c.example"})), _WHOLE, NOW_S)
    assert refusal is not None
    assert (refusal.wanted, refusal.got) == (["https://c.example"], ["https://a.example", "https://b.example"])
    assert "example" not in refusal.message + refusal.hint
