"""What limits the tokens have that are handed out for others, and what is said of those that cannot be had."""

import json
from collections.abc import Sequence

import pytest

from jotgate.core.limit_texts import read_limit
from jotgate.core.quotas import TokenLimit
from jotgate.errors import AuthorizationDetailsRefused, OAuthMalformed
from tests.callers import NAME
from tests.trading import TradingFloor, claims_of

ASKED = ("100 requests/day in Europe/Berlin", "1 USD")


def details(limits: Sequence[str] = ASKED) -> str:
    return json.dumps([{"type": "jotgate_call", "limits": limits}])


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def test_a_child_has_its_limits_and_its_parents_and_the_answer_repeats_what_was_asked(floor: TradingFloor) -> None:
    parent = floor.made(limits=(TokenLimit(read_limit("5 requests")),))
    answer = floor.trade(parent.token, authorization_details=details())
    assert claims_of(answer)["limits"] == [*ASKED, {"of": parent.token_id, "limits": ["5 requests"]}]
    assert json.loads(floor.encoded(answer))["authorization_details"] == json.loads(details())
    (event,) = floor.log.named("token.issued")[1:]
    assert event.details["limits"] == f"100 requests/day in Europe/Berlin; 1 USD; 5 requests (of {parent.token_id})"
    row = floor.store.issuance(claims_of(answer)["jti"])
    assert row is not None
    assert row.limits == floor.principal(answer.access_token).limits


def test_a_grandchild_names_whose_each_limit_is(floor: TradingFloor) -> None:
    parent = floor.made(limits=(TokenLimit(read_limit("5 requests")),))
    child = floor.trade(parent.token, authorization_details=details(["4 requests"]))
    grandchild = floor.trade(child.access_token, authorization_details=details(["3 requests"]))
    assert claims_of(grandchild)["limits"] == [
        "3 requests",
        {"of": claims_of(child)["jti"], "limits": ["4 requests"]},
        {"of": parent.token_id, "limits": ["5 requests"]},
    ]


def test_the_limits_of_a_personal_token_go_along_with_what_is_traded_for_it(floor: TradingFloor) -> None:
    secret = floor.personal("create", limits=("5 requests",))
    (view,) = floor.store.personal_tokens("alice", "", 1)
    assert claims_of(floor.trade(secret))["limits"] == [{"of": view.token_id, "limits": ["5 requests"]}]


def test_refreshed_tokens_keep_what_was_asked_for_and_can_be_asked_to_be_less(floor: TradingFloor) -> None:
    parent = floor.made(limits=(TokenLimit(read_limit("5 requests")),))
    first = floor.trade(parent.token, scope="ai offline_access", authorization_details=details(["4 requests"]))
    family = claims_of(first)["family"]
    kept = [{"of": family, "limits": ["4 requests"]}, {"of": parent.token_id, "limits": ["5 requests"]}]
    assert claims_of(first)["limits"] == kept
    second = floor.grant("refresh_token", refresh_token=first.refresh_token)
    assert claims_of(second)["limits"] == kept
    less = floor.grant(
        "refresh_token", refresh_token=second.refresh_token, authorization_details=details(["3 requests"])
    )
    assert claims_of(less)["limits"] == ["3 requests", *kept]
    after = floor.grant("refresh_token", refresh_token=less.refresh_token)
    assert claims_of(after)["limits"] == kept, "that was for one access token"


def test_a_limit_by_a_clock_that_nobody_knows_is_refused_before_anything_is_used_up(floor: TradingFloor) -> None:
    with pytest.raises(AuthorizationDetailsRefused, match="'1 requests/day in Mars/Base' names a time zone"):
        floor.trade(floor.made().token, authorization_details=details(["1 request/day in Mars/Base"]))
    assertion = floor.job()
    with pytest.raises(AuthorizationDetailsRefused):
        floor.present(assertion, authorization_details=details(["1 request/day in Mars/Base"]))
    floor.present(assertion)


@pytest.mark.parametrize("name", ["limits", "limit"])
def test_limits_are_no_parameter_of_their_own(floor: TradingFloor, name: str) -> None:
    with pytest.raises(OAuthMalformed, match=f"'{name}' is no parameter") as caught:
        floor.trade(floor.made().token, **{name: "1 request"})
    assert caught.value.hint == "Name 'limits' in 'authorization_details'"


def test_more_limits_than_a_token_can_bring_are_refused(floor: TradingFloor) -> None:
    token = floor.made(audiences=(NAME,)).token
    for start in (0, 16):
        token = floor.trade(
            token, authorization_details=details([f"{start + one} requests/day" for one in range(16)])
        ).access_token
    with pytest.raises(AuthorizationDetailsRefused, match="more than 32 limits"):
        floor.trade(token, authorization_details=details(["1 request"]))
    first = floor.trade(token, scope="ai offline_access")
    with pytest.raises(AuthorizationDetailsRefused, match="more than 32 limits"):
        floor.grant("refresh_token", refresh_token=first.refresh_token, authorization_details=details(["1 request"]))
    floor.grant("refresh_token", refresh_token=first.refresh_token)
