"""Who asks, may they, and for what: one refusal for each reason."""

from collections.abc import Iterable

import pytest

from jotgate.core.operations import find_operation
from jotgate.errors import (
    CredentialsAmbiguous,
    EncodingRefused,
    InsufficientScope,
    JotgateError,
    ModelNotPermitted,
    RequestMalformed,
    TokenExpired,
    TokenMalformed,
    TokenMissing,
    UnknownModel,
)
from jotgate.gateway.admission import admit, authenticate, find_alias, permitted_aliases
from jotgate.gateway.credentials import bearer_token
from jotgate.gateway.world import World
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ScriptedPort
from tests.callers import NOW_S, make_issuer, make_world, principal, request

CHAT = find_operation(b"POST", b"/v1/chat/completions")
MODELS = find_operation(b"GET", b"/v1/models")


@pytest.fixture(scope="module")
def issuer() -> TestIssuer:
    return make_issuer()


@pytest.fixture
def world(issuer: TestIssuer) -> World:
    return make_world(issuer, {"one": ScriptedPort()}, {"a": ("one",), "b/é": ("one",)})


@pytest.mark.parametrize("value", [b"Bearer t0k", b"bearer t0k", b"BEARER t0k", b"Bearer   t0k", b"bEaReR  t0k"])
def test_the_scheme_is_case_insensitive_with_one_or_more_spaces(value: bytes) -> None:
    assert bearer_token(value) == b"t0k"


def test_what_follows_the_scheme_is_the_token_byte_for_byte() -> None:
    assert bearer_token(b"Bearer a b\xff") == b"a b\xff"


@pytest.mark.parametrize("value", [None, b"", b"Basic dXNlcjpwYXNz", b"t0k", b"Bearert0k", b"Bearer\tt0k", b"DPoP t0k"])
def test_without_a_bearer_token_there_is_none(value: bytes | None) -> None:
    with pytest.raises(TokenMissing):
        bearer_token(value)


@pytest.mark.parametrize("value", [b"Bearer", b"bearer\t"])
def test_the_scheme_alone_is_a_malformed_token(value: bytes) -> None:
    with pytest.raises(TokenMalformed):
        bearer_token(value)


@pytest.mark.parametrize("value", [b"Bearer ", b"Bearer   "])
def test_an_empty_token_is_malformed(world: World, value: bytes) -> None:
    with pytest.raises(TokenMalformed):
        authenticate(request(authorization=value), MODELS, world, NOW_S)


def test_a_good_token_names_its_principal(issuer: TestIssuer, world: World) -> None:
    asked = request(authorization=b"Bearer " + issuer.token(sub="bob"))
    assert authenticate(asked, MODELS, world, NOW_S).subject == "bob"
    with pytest.raises(TokenExpired):
        authenticate(asked, MODELS, world, NOW_S + 10_000)


def test_an_admitted_call_holds_all_that_was_decided(world: World) -> None:
    asked = request(b'{"model":"a","stream":true}')
    alice = principal()
    call = admit(asked, CHAT, alice, world)
    assert (call.request, call.operation, call.principal) == (asked, CHAT, alice)
    assert (call.body.model, call.body.stream, call.route) == ("a", True, world.routes["a"])


@pytest.mark.parametrize(
    ("body", "scopes", "models", "refusal"),
    [
        (b'{"model":"a"}', {"models"}, None, InsufficientScope),
        (b"not json", {"models"}, None, InsufficientScope),
        (b"not json", {"ai"}, None, RequestMalformed),
        (b'{"model":"a"}', {"ai"}, {"b"}, ModelNotPermitted),
        (b'{"model":"nowhere"}', {"ai"}, {"b"}, ModelNotPermitted),
        (b'{"model":"nowhere"}', {"ai"}, {"nowhere"}, UnknownModel),
        (b'{"model":"nowhere"}', {"chat.completions"}, None, UnknownModel),
    ],
)
def test_a_call_is_refused_for_the_first_reason_that_stands(
    world: World, body: bytes, scopes: set[str], models: set[str] | None, refusal: type[JotgateError]
) -> None:
    with pytest.raises(refusal):
        admit(request(body), CHAT, principal(scopes=scopes, models=models), world)


def test_a_missing_scope_is_named_with_what_would_help(world: World) -> None:
    with pytest.raises(InsufficientScope) as caught:
        admit(request(b"{}"), CHAT, principal(scopes=()), world)
    assert caught.value.scope == "chat.completions"
    assert "--scope chat.completions" in caught.value.hint


@pytest.mark.parametrize("coding", [b"gzip", b"identity", b""])
def test_an_encoded_body_is_refused_unread(world: World, coding: bytes) -> None:
    with pytest.raises(EncodingRefused) as caught:
        admit(request(b'{"model":"a"}', content_encoding=coding), CHAT, principal(), world)
    assert caught.value.status == 415


def test_a_caller_is_shown_the_models_that_the_token_names(world: World) -> None:
    assert permitted_aliases(principal(), world) == ["a", "b/é"]
    assert permitted_aliases(principal(models={"b/é", "nowhere"}), world) == ["b/é"]
    assert permitted_aliases(principal(models=()), world) == []


def test_the_alias_of_a_path_is_authorised_like_that_of_a_call(world: World) -> None:
    def alias(path: bytes, scopes: Iterable[str] = ("models",), models: Iterable[str] | None = None) -> str:
        asked = request(method=b"GET", path=path)
        return find_alias(asked, principal(scopes=scopes, models=models), MODELS, world)

    assert alias(b"/v1/models") == ""
    assert alias(b"/v1/models/a") == "a"
    assert alias(b"/v1/models/b%2F%C3%A9") == "b/é"
    with pytest.raises(ModelNotPermitted):
        alias(b"/v1/models/a", models={"b/é"})
    with pytest.raises(UnknownModel):
        alias(b"/v1/models/nowhere")
    with pytest.raises(InsufficientScope):
        alias(b"/v1/models", scopes={"embeddings"})


def test_a_second_token_in_the_query_is_refused(issuer: TestIssuer, world: World) -> None:
    asked = request(authorization=b"Bearer " + issuer.token())
    asked.query = b"a=1&access_token=t0k"
    with pytest.raises(CredentialsAmbiguous):
        authenticate(asked, MODELS, world, NOW_S)
    asked.query = b"a=access_token"
    assert authenticate(asked, MODELS, world, NOW_S).subject == "alice"


def test_a_token_in_the_query_alone_is_none(world: World) -> None:
    asked = request()
    asked.query = b"access_token=t0k"
    with pytest.raises(TokenMissing):
        authenticate(asked, MODELS, world, NOW_S)
