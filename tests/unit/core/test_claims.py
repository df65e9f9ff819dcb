"""The claims of the tokens that jotgate issues."""

import pytest

from jotgate.core.claims import LIFETIME_MAX_S, TokenRequest, access_claims
from jotgate.errors import CommandError


def test_the_claims_are_those_of_rfc_9068() -> None:
    assert access_claims(TokenRequest("me").grant("http://i"), "http://i", "id-1", 1000.9) == {
        "iss": "http://i",
        "sub": "me",
        "aud": "http://i",
        "exp": 4600,
        "iat": 1000,
        "jti": "id-1",
        "client_id": "jotgate-cli",
        "scope": "ai",
    }


def test_what_was_asked_for_is_in_the_claims_once() -> None:
    asked = TokenRequest("me", 60, ("models", "embeddings", "models"), ("m", "n", "m"), ("http://a", "http://b"))
    claims = access_claims(asked.grant("http://i"), "http://i", "id", 0)
    assert claims["exp"] == 60
    assert claims["scope"] == "models embeddings"
    assert claims["models"] == ["m", "n"]
    assert claims["aud"] == ["http://a", "http://b"]


def test_no_models_at_all_is_not_every_model() -> None:
    assert access_claims(TokenRequest("me", models=()).grant("http://i"), "http://i", "id", 0)["models"] == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"subject": ""}, "the subject is empty"),
        ({"subject": " me"}, "outer spaces"),
        ({"subject": "a\nb"}, "unprintable"),
        ({"subject": "\udcff"}, "unprintable"),
        ({"subject": "x" * 257}, "longer than 256"),
        ({"subject": "me", "ttl_s": 0}, "at most 365d"),
        ({"subject": "me", "ttl_s": LIFETIME_MAX_S + 1}, "at most 365d"),
        ({"subject": "me", "scopes": ("admin",)}, "scopes asked for is unknown"),
        ({"subject": "me", "models": ("",)}, "the model is empty"),
        ({"subject": "me", "audiences": ("\x00",)}, "the audience is empty"),
    ],
)
def test_what_nobody_may_have_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        TokenRequest(**asked)  # type: ignore[arg-type]


def test_an_unknown_scope_is_answered_with_the_list() -> None:
    with pytest.raises(CommandError) as caught:
        TokenRequest("me", scopes=("chat",))
    assert "ai, chat.completions, completions, decide, embeddings, metrics, models" in caught.value.hint


def test_the_longest_life_is_a_year() -> None:
    assert TokenRequest("me", LIFETIME_MAX_S).ttl_s == 365 * 86_400
