"""The limits that tokens bring: the claim of ours, and the claim `quota` of the MCP daemon's."""

from typing import Any

import pytest

from jotgate.core.claims import TokenRequest, access_claims
from jotgate.core.issuers import QuotaClaim
from jotgate.core.limit_texts import AMOUNT_MAX, read_limit
from jotgate.core.lineage import read_lineage
from jotgate.core.quotas import Limit, TokenLimit
from jotgate.core.revocations import ancestor_handle, token_handle
from jotgate.core.token_limits import limit_lines, limits_claim, read_claimed, read_token_limits
from jotgate.errors import ClaimRefused, CommandError

OWN = "https://gate.example"
QUOTA = QuotaClaim("quota", absent=100, daily=1_000)
LIMITS = (
    TokenLimit(read_limit("1000 requests/day in Europe/Berlin")),
    TokenLimit(read_limit("4 concurrent")),
    TokenLimit(read_limit("60 requests/60s burst 10"), token_handle(OWN, "parent")),
    TokenLimit(read_limit("2.5 USD"), token_handle(OWN, "parent")),
    TokenLimit(read_limit("5 requests"), token_handle("https://ci.example", "x.y")),
)


def test_the_claim_is_short_and_reads_back_as_the_same() -> None:
    claim = limits_claim(LIMITS, OWN)
    assert claim == [
        "1000 requests/day in Europe/Berlin",
        "4 concurrent",
        {"of": "parent", "limits": ["60 requests/60s burst 10", "2.5 USD"]},
        {"of": "https://ci.example x.y", "limits": ["5 requests"]},
    ]
    assert read_token_limits({"iss": OWN, "limits": claim}) == LIMITS


def test_whose_a_limit_is_is_named_as_ancestors_are() -> None:
    long = "i" * 600  # of which a handle is a digest
    for issuer, name in ((OWN, "parent"), (long, "parent"), (OWN, token_handle("https://ci.example", "x"))):
        limit = TokenLimit(read_limit("1 request"), ancestor_handle(issuer, name))
        assert read_token_limits({"iss": issuer, "limits": limits_claim((limit,), issuer)}) == (limit,)


def test_a_token_without_the_claim_brings_none_and_one_of_another_issuer_says_nothing_by_it() -> None:
    assert read_token_limits({"iss": OWN}) == ()
    assert read_lineage({"iss": OWN, "limits": ["1 request"]}, ours=True).limits == (TokenLimit(Limit("requests", 1)),)
    assert read_lineage({"iss": "https://ci.example", "limits": 7}, ours=False).limits == ()


@pytest.mark.parametrize(
    "claim",
    [
        None,
        "1 request",
        {"of": "x"},
        [7],
        ["many requests"],
        [["1 request"]],
        [{"of": "x", "limits": "1 request"}],
        [{"of": "x", "limits": []}],
        [{"of": "", "limits": ["1 request"]}],
        [{"of": "x", "limits": [7]}],
        [{"of": "x"}],
        [{"of": "x", "limits": ["1 request"], "more": 1}],
    ],
)
def test_a_claim_of_another_shape_is_refused_as_what_it_bounds_cannot_be_known(claim: Any) -> None:
    with pytest.raises(ClaimRefused, match="the claim 'limits' is not an array of limits"):
        read_token_limits({"iss": OWN, "limits": claim})


def test_a_token_says_the_limits_that_were_asked_for() -> None:
    grant = TokenRequest("alice", limits=("1000 requests", "1 USD")).grant(OWN)
    assert access_claims(grant, OWN, "t", 0.0)["limits"] == ["1000 requests", "1 USD"]
    assert "limits" not in access_claims(TokenRequest("alice").grant(OWN), OWN, "t", 0.0)
    with pytest.raises(CommandError, match="'many' is no limit"):
        TokenRequest("alice", limits=("many",))


def test_limits_are_shown_with_whose_they_are() -> None:
    assert limit_lines(LIMITS[1:], OWN) == [
        "4 concurrent",
        "60 requests/60s burst 10 (of parent)",
        "2.5 USD (of parent)",
        "5 requests (of https://ci.example x.y)",
    ]


@pytest.mark.parametrize(
    ("claims", "amount"),
    [
        ({}, 100),
        ({"quota": 1}, 1),
        ({"quota": 1_000}, 1_000),
        ({"quota": 10**40}, AMOUNT_MAX),
        ({"quota": 0}, 0),
        ({"quota": -5}, 0),
    ],
)
def test_the_quota_of_the_daemon_bounds_the_requests_of_a_token(claims: dict[str, object], amount: int) -> None:
    assert read_claimed(claims, QUOTA) == (TokenLimit(Limit("requests", amount)),)


@pytest.mark.parametrize("value", [None, "100", 100.0, True, [], {}])
def test_a_quota_that_is_no_whole_number_makes_the_token_invalid(value: object) -> None:
    with pytest.raises(ClaimRefused, match="the claim 'quota' is not a whole number"):
        read_claimed({"quota": value}, QUOTA)
