"""Row RA-01 of the token checklist: `authorization_details` (RFC 9396) at every grant, in its answer and its token."""

import json
from typing import Any, Final

import pytest

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.grants import JWT_URN
from jotgate.errors import Code, OAuthRefused
from tests.callers import NAME
from tests.token_stage import SECRET, TokenStage, client
from tests.trading import TradingFloor, claims_of

DETAILS: Final = [{"type": "jotgate_call", "actions": ["chat.completions"], "models": ["small"]}]
FILES: Final = "https://files.example"


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def trade(floor: TradingFloor, details: Any, token: str = "", /, **form: Any) -> Any:
    """Trade a token that may do all, or this one."""
    text = details if isinstance(details, str) else json.dumps(details)
    return floor.trade(token or floor.made().token, authorization_details=text, **form)


def refusal(floor: TradingFloor, details: Any, token: str = "", /, **form: Any) -> OAuthRefused:
    """The refusal, as one of the details; nothing was issued."""
    token = token or floor.made().token
    before = floor.issued
    with pytest.raises(OAuthRefused) as caught:
        trade(floor, details, token, **form)
    assert floor.issued == before
    refused = caught.value
    assert (refused.error, refused.code) == ("invalid_authorization_details", Code.AUTHORIZATION_DETAILS_REFUSED)
    return refused


def call(**members: Any) -> list[dict[str, Any]]:
    """The details with one object of the type that there is."""
    return [{"type": "jotgate_call", **members}]


@pytest.mark.parametrize(
    "details",
    [
        "{}",
        "[]",
        "[1]",
        "hello",
        "[",
        '[{"type":"jotgate_call","models":["a"]}],"x":[]',
        '[{"type":"jotgate_call","models":["a"]}]}',
        '[{"type":"jotgate_call","models":["a"],"models":["b"]}]',
        '[{"type":"jotgate_call","models":["a\\ud800"]}]',
        json.dumps([*call(models=["a"]), *call(models=["b"])]),
        json.dumps({"type": "jotgate_call", "models": ["a"]}),
    ],
)
def test_RA_01_what_is_no_array_of_one_object_is_refused(floor: TradingFloor, details: str) -> None:
    refusal(floor, details)


@pytest.mark.parametrize("kind", [None, "", "payment_initiation", "JOTGATE_CALL", "jotgate_call ", 1, ["jotgate_call"]])
def test_RA_01_an_unknown_type_is_refused_with_the_one_that_is_known(floor: TradingFloor, kind: Any) -> None:
    assert "jotgate_call" in refusal(floor, [{"type": kind, "models": ["a"]}]).hint
    assert "jotgate_call" in refusal(floor, [{"models": ["a"]}]).hint


@pytest.mark.parametrize("name", ["tools", "limit", "locations", "privileges", "Models", "x"])
def test_RA_01_an_unknown_member_is_refused_and_not_passed_over(floor: TradingFloor, name: str) -> None:
    message = refusal(floor, call(models=["a"], **{name: ["x"]})).message
    assert ("not offered" in message) == (name == "tools")


@pytest.mark.parametrize("name", ["actions", "models", "limits"])
@pytest.mark.parametrize("value", [None, "models", [], ["models", "models"], [1], [""], ["a\n"], {}, ["m"] * 65])
def test_RA_01_a_member_of_another_form_is_refused(floor: TradingFloor, name: str, value: Any) -> None:
    refusal(floor, call(**{name: value}))


def test_RA_01_an_object_that_bounds_nothing_is_refused(floor: TradingFloor) -> None:
    refusal(floor, call())


@pytest.mark.parametrize("action", ["ai", "shell", "chat", "admin:read"])
def test_RA_01_an_action_is_an_operation(floor: TradingFloor, action: str) -> None:
    assert "chat.completions" in refusal(floor, call(actions=[action])).hint


def test_RA_01_what_is_granted_is_what_is_asked_and_stands_in_the_answer(floor: TradingFloor) -> None:
    answer = trade(floor, DETAILS)
    assert json.loads(floor.encoded(answer))["authorization_details"] == DETAILS
    claims = claims_of(answer)
    assert (claims["scope"], claims["models"], answer.scope) == ("chat.completions", ["small"], "chat.completions")
    assert "authorization_details" not in claims, "scope and models say all of it"


def test_RA_01_without_details_the_answer_speaks_of_none(floor: TradingFloor) -> None:
    assert "authorization_details" not in json.loads(floor.encoded(floor.trade(floor.made().token)))


def test_RA_01_one_member_leaves_the_other_as_it_is(floor: TradingFloor) -> None:
    token = floor.made(scopes=("models", "embeddings"), models=("a", "b")).token
    found = claims_of(trade(floor, call(models=["a"]), token))
    assert (found["scope"], found["models"]) == ("embeddings models", ["a"])
    found = claims_of(trade(floor, call(actions=["models"]), token))
    assert (found["scope"], found["models"]) == ("models", ["a", "b"])


def test_RA_01_more_than_the_token_has_is_refused_with_what_may_be_had(floor: TradingFloor) -> None:
    token = floor.made(scopes=("models", "embeddings"), models=("a", "b")).token
    assert refusal(floor, call(models=["a", "c"]), token).hint == "What may be: a b"
    assert refusal(floor, call(actions=["chat.completions"]), token).hint == "What may be: embeddings models"
    assert refusal(floor, call(actions=["metrics"]), floor.made().token).hint.startswith("What may be: ")


def test_RA_01_more_than_the_client_or_the_record_allow_is_refused(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", models=("a", "b"))
    floor.change(PrincipalRecord, "alice", models=("b", "c"), scopes=("models",))
    assert claims_of(trade(floor, call(models=["b"])))["models"] == ["b"]
    for models in (["a"], ["c"]):
        assert refusal(floor, call(models=models)).hint == "What may be: b"
    refusal(floor, call(actions=["embeddings"]))


def test_RA_01_actions_and_scope_bound_one_another(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", scopes=("ai", f"{FILES}/read"), audiences=(NAME, FILES))
    floor.change(PrincipalRecord, "alice", scopes=("ai", f"{FILES}/read"))
    token = floor.made(scopes=("ai", f"{FILES}/read"), audiences=(NAME, FILES)).token
    assert trade(floor, call(actions=["models"]), token, scope="ai").scope == "models"
    assert trade(floor, call(actions=["models"]), token, scope="models embeddings").scope == "models"
    assert "scope" in refusal(floor, call(actions=["models"]), token, scope="embeddings").message
    both = trade(floor, call(actions=["models"]), token, scope=f"ai {FILES}/read", resource=[NAME, FILES])
    assert both.scope == f"models {FILES}/read"
    assert trade(floor, call(actions=["models"]), token).scope == "models"


def test_RA_01_assertions_are_bounded_alike(floor: TradingFloor) -> None:
    answer = floor.present(floor.job(), authorization_details=json.dumps(DETAILS))
    assert (answer.scope, claims_of(answer)["models"]) == ("chat.completions", ["small"])
    with pytest.raises(OAuthRefused) as caught:
        floor.present(floor.job(), authorization_details="[]")
    assert caught.value.code == Code.AUTHORIZATION_DETAILS_REFUSED


def test_RA_01_a_refresh_asks_for_less_and_never_for_more(floor: TradingFloor) -> None:
    first = trade(floor, DETAILS, floor.job(), subject_token_type=JWT_URN, scope="chat.completions offline_access")
    again = floor.grant("refresh_token", refresh_token=first.refresh_token)
    assert (again.scope, claims_of(again)["models"]) == ("chat.completions", ["small"])
    for details in (call(models=["large"]), call(actions=["embeddings"])):
        with pytest.raises(OAuthRefused) as caught:
            floor.grant("refresh_token", refresh_token=again.refresh_token, authorization_details=json.dumps(details))
        assert caught.value.code == Code.AUTHORIZATION_DETAILS_REFUSED
    less = floor.grant(
        "refresh_token", refresh_token=again.refresh_token, authorization_details=json.dumps(call(models=["small"]))
    )
    assert json.loads(floor.encoded(less))["authorization_details"] == call(models=["small"])


def test_RA_01_a_client_that_acts_for_itself_may_bound_its_token() -> None:
    stage = TokenStage()
    stage.put(client(models=("small", "large")))
    answer = stage.ask(authorization_details=json.dumps(DETAILS)).json()
    assert answer["authorization_details"] == DETAILS
    assert stage.claims(answer["access_token"])["models"] == ["small"]
    refused = stage.ask(authorization_details=json.dumps(call(models=["other"])))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_authorization_details")
    assert "small" in refused.text
    assert SECRET not in refused.text


def test_RA_01_the_metadata_name_the_type() -> None:
    told = TokenStage().http.get("/.well-known/oauth-authorization-server").json()
    assert told["authorization_details_types_supported"] == ["jotgate_call"]
