"""Who asks, may they, and for what: one refusal for each reason."""

from collections.abc import Iterable
from hashlib import sha256

import pytest
from msgspec.structs import replace

from jotgate.core.expectations import RouteExpectation
from jotgate.core.operations import find_operation
from jotgate.core.principals import Principal
from jotgate.errors import (
    ClaimRefused,
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
from jotgate.gateway.admission import admit, authenticate, find_models
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
    call = admit(asked, CHAT, alice, world, NOW_S)
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
        admit(request(body), CHAT, principal(scopes=scopes, models=models), world, NOW_S)


def test_a_missing_scope_is_named_with_what_would_help(world: World) -> None:
    with pytest.raises(InsufficientScope) as caught:
        admit(request(b"{}"), CHAT, principal(scopes=()), world, NOW_S)
    assert caught.value.scope == "chat.completions"
    assert "--scope chat.completions" in caught.value.hint


@pytest.mark.parametrize("coding", [b"gzip", b"identity", b""])
def test_an_encoded_body_is_refused_unread(world: World, coding: bytes) -> None:
    with pytest.raises(EncodingRefused) as caught:
        admit(request(b'{"model":"a"}', content_encoding=coding), CHAT, principal(), world, NOW_S)
    assert caught.value.status == 415


def test_a_caller_is_shown_the_models_that_the_token_names(world: World) -> None:
    asked = request(method=b"GET", path=b"/v1/models")

    def shown(whose: Principal) -> tuple[str, ...]:
        return find_models(asked, whose, MODELS, world, NOW_S).aliases

    assert shown(principal()) == ("a", "b/é")
    assert shown(principal(models={"b/é", "nowhere"})) == ("b/é",)
    assert shown(principal(models=())) == ()


def test_the_alias_of_a_path_is_authorised_like_that_of_a_call(world: World) -> None:
    def alias(path: bytes, scopes: Iterable[str] = ("models",), models: Iterable[str] | None = None) -> str:
        asked = request(method=b"GET", path=path)
        return find_models(asked, principal(scopes=scopes, models=models), MODELS, world, NOW_S).named

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


EXPECTING = RouteExpectation(audiences=frozenset({"https://special.example"}), age_s=900)


@pytest.fixture
def expecting(world: World) -> World:
    """A world whose route `a` expects more of a token than its issuer does."""
    return replace(world, routes={**world.routes, "a": replace(world.routes["a"], expects=EXPECTING)})


def test_a_route_takes_only_tokens_that_it_expects_on_every_call(issuer: TestIssuer, expecting: World) -> None:
    good = issuer.token(aud=[issuer.audience, "https://special.example"])
    bad = issuer.token()

    def call(token: bytes, model: str, now_s: float = NOW_S) -> None:
        asked = request(b'{"model":"%b"}' % model.encode(), authorization=b"Bearer " + token)
        admit(asked, CHAT, authenticate(asked, CHAT, expecting, NOW_S), expecting, now_s)

    call(good, "a")
    call(bad, "b/é")
    for token, now_s, claim in ((bad, NOW_S, "aud"), (good, NOW_S + 900, "iat")):
        for _ in range(2):
            with pytest.raises(ClaimRefused) as caught:
                call(token, "a", now_s)
            assert caught.value.claim == claim
            assert caught.value.evidence is not None
            assert caught.value.evidence.digest == sha256(token).hexdigest()
            assert caught.value.evidence.claim == claim
    call(good, "a", NOW_S + 899)


def test_a_caller_is_shown_only_the_models_whose_routes_take_the_token(issuer: TestIssuer, expecting: World) -> None:
    aud = [issuer.audience, "https://special.example"]
    listing = request(method=b"GET", path=b"/v1/models")
    for token, shown in ((issuer.token(), ("b/é",)), (issuer.token(aud=aud), ("a", "b/é"))):
        asked = request(method=b"GET", path=b"/v1/models/a", authorization=b"Bearer " + token)
        whose = authenticate(asked, MODELS, expecting, NOW_S)
        assert find_models(listing, whose, MODELS, expecting, NOW_S).aliases == shown
        if "a" in shown:
            assert find_models(asked, whose, MODELS, expecting, NOW_S).named == "a"
            continue
        with pytest.raises(ClaimRefused):
            find_models(asked, whose, MODELS, expecting, NOW_S)
