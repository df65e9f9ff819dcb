"""Which issuer's rules a token is held to, and what those say."""

from math import inf

import pytest
from msgspec import structs

from jotgate.core.durable import RevocationKind
from jotgate.core.issuers import ClaimMapping, Condition, Issuer, SharedSecret
from jotgate.core.revocations import Entry, handle_name, token_handle
from jotgate.core.values import Secret
from jotgate.errors import ClaimRefused, Code, ConfigurationError, JotgateError, KeyUnpublished, TokenRevoked
from jotgate.gateway.world import build_verifier
from jotgate.jose import jwt
from jotgate.jose.keys import generate, hmac_key
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import Verifier
from jotgate.testing.issuer import TestIssuer
from tests.callers import NAME, NOW_S, issuer_of, make_issuer

_OTHER = "https://other.example"
_SECRET = "q8Zr1nVw5LkT0yBhXc7dMf3gJs9pUe2A"
_OLD = "W4eXb6RtN1mQz8KvHs5yLp0cFj3uDg7S"


def other(source: TestIssuer, **changes: object) -> Issuer:
    return structs.replace(issuer_of(source), name="other", issuer=_OTHER, **changes)


def bearer(source: TestIssuer, **claims: object) -> bytes:
    return source.token(**{"iss": _OTHER, **claims})


def refusal(verifier: Verifier, token: bytes, now_s: float = NOW_S) -> Code:
    with pytest.raises(JotgateError) as caught:
        verifier.verify(token, now_s)
    return caught.value.code


def secret_issuer(*secrets: SharedSecret) -> Issuer:
    return Issuer(
        name="old",
        issuer="",
        audiences=(),
        algorithms=("HS256",),
        types=("JWT", ""),
        jwks=None,
        secrets=secrets,
        required=("sub",),
    )


def test_each_token_is_held_to_the_rules_of_the_issuer_that_it_names() -> None:
    ours, theirs = make_issuer(), make_issuer()
    verifier = build_verifier((issuer_of(ours), other(theirs, default_scopes=("ai",))), 10)
    assert verifier.verify(ours.token(), NOW_S).issuer == ours.issuer
    assert verifier.verify(bearer(theirs), NOW_S).issuer == _OTHER
    assert refusal(verifier, bearer(ours)) is Code.KEY_UNKNOWN
    assert refusal(verifier, theirs.token()) is Code.KEY_UNKNOWN
    assert refusal(verifier, theirs.token(iss="https://evil.example")) is Code.CLAIM_REFUSED


def test_an_issuer_without_keys_cannot_be_judged() -> None:
    verifier = build_verifier((issuer_of(make_issuer()), other(make_issuer(), jwks=None)), 10)
    assert refusal(verifier, bearer(make_issuer())) is Code.ISSUER_UNAVAILABLE


def test_what_no_key_would_make_good_is_refused_without_keys_too() -> None:
    source = make_issuer()
    equal = (Condition(("kind",), "access"),)
    verifier = build_verifier((issuer_of(make_issuer()), other(source, jwks=None, equal=equal)), 10)
    good = bearer(source, kind="access")
    assert refusal(verifier, good) is Code.ISSUER_UNAVAILABLE
    assert refusal(verifier, bearer(source, kind="refresh")) is Code.CLAIM_REFUSED
    assert refusal(verifier, bearer(source, kind="access", aud="https://elsewhere.example")) is Code.CLAIM_REFUSED
    assert refusal(verifier, good, NOW_S + 86_400) is Code.TOKEN_EXPIRED
    stranger = make_issuer(generate("RS256"))
    assert refusal(verifier, bearer(stranger, kind="access")) is Code.ALGORITHM_REFUSED


def test_nothing_is_judged_by_rules_that_could_not_be_read() -> None:
    source = make_issuer()
    verifier = build_verifier((issuer_of(make_issuer()), other(source, jwks=None, readable=False)), 10)
    for token in (bearer(source), bearer(source, aud="x"), bearer(make_issuer(generate("RS256")))):
        assert refusal(verifier, token) is Code.ISSUER_UNAVAILABLE


@pytest.mark.parametrize("changes", [{"name": "third"}, {"issuer": "https://third.example"}])
def test_two_issuers_of_one_name_or_one_iss_are_never_put_together(changes: dict[str, str]) -> None:
    first = other(make_issuer())
    with pytest.raises(ConfigurationError):
        build_verifier((issuer_of(make_issuer()), first, structs.replace(first, **changes)), 10)
    nameless = secret_issuer(SharedSecret(Secret(_SECRET), "HS256"))
    with pytest.raises(ConfigurationError):
        build_verifier((issuer_of(make_issuer()), nameless, structs.replace(nameless, name="older")), 10)


def test_an_unknown_key_of_a_remote_issuer_may_have_been_published_since() -> None:
    verifier = build_verifier((issuer_of(make_issuer()), other(make_issuer(), remote=True)), 10)
    with pytest.raises(KeyUnpublished) as caught:
        verifier.verify(bearer(make_issuer()), NOW_S)
    assert (caught.value.issuer, caught.value.code) == ("other", Code.KEY_UNKNOWN)


def test_a_shared_secret_verifies_until_its_date_also_for_a_remembered_token() -> None:
    new, old = SharedSecret(Secret(_SECRET), "HS256"), SharedSecret(Secret(_OLD), "HS256", ends_at_s=int(NOW_S) + 10)
    verifier = build_verifier((issuer_of(make_issuer()), secret_issuer(new, old)), 10)
    signed = {
        text: jwt.sign({"sub": "joe"}, "JWT", hmac_key(text.encode(), "HS256", "k"), with_kid=False)
        for text in (_SECRET, _OLD)
    }
    principal = verifier.verify(signed[_OLD], NOW_S)
    assert (principal.subject, principal.issuer, principal.expires_at_s) == ("joe", "old", inf)
    assert len(principal.token_id) == 64
    unseen = build_verifier((issuer_of(make_issuer()), secret_issuer(new, old)), 10)
    for one in (verifier, unseen, verifier):
        assert refusal(one, signed[_OLD], NOW_S + 10) is Code.SIGNATURE_INVALID, "whether it was seen before or not"
    assert verifier.verify(signed[_SECRET], NOW_S + 10).subject == "joe"


def test_a_token_that_names_a_key_is_not_of_a_secret_without_a_name() -> None:
    nameless, named = SharedSecret(Secret(_SECRET), "HS256"), SharedSecret(Secret(_OLD), "HS256", kid="older")
    verifier = build_verifier((issuer_of(make_issuer()), secret_issuer(nameless, named)), 10)
    called = verifier.verify(
        jwt.sign({"sub": "joe"}, "JWT", hmac_key(_SECRET.encode(), "HS256", "k"), with_kid=False), NOW_S
    )
    for kid in (called.kid, "secret-0", "k"):
        token = jwt.sign({"sub": "joe"}, "JWT", hmac_key(_SECRET.encode(), "HS256", kid))
        assert refusal(verifier, token) is Code.KEY_UNKNOWN
    good = jwt.sign({"sub": "joe"}, "JWT", hmac_key(_OLD.encode(), "HS256", "older"))
    assert verifier.verify(good, NOW_S).kid == "older"
    assert verifier.verify(good, NOW_S + 1).kid == "older"


def test_tokens_of_an_issuer_that_names_nobody_carry_neither_issuer_nor_audience() -> None:
    verifier = build_verifier((issuer_of(make_issuer()), secret_issuer(SharedSecret(Secret(_SECRET), "HS256"))), 10)
    key = hmac_key(_SECRET.encode(), "HS256", "k")
    for claims in ({"sub": "joe", "iss": "x"}, {"sub": "joe", "aud": "x"}, {"iss": "x", "aud": "x"}, {"exp": 1}):
        assert refusal(verifier, jwt.sign(claims, "JWT", key, with_kid=False)) in {
            Code.CLAIM_REFUSED,
            Code.TOKEN_EXPIRED,
        }


def test_a_mapping_says_where_the_claims_stand() -> None:
    source = make_issuer()
    mapping = ClaimMapping(
        subject=(("owner",), ("name",)),
        tenant=("org", "id"),
        scopes=("scp",),
        models=("llm", "models"),
        roles=("roles",),
    )
    verifier = build_verifier((issuer_of(make_issuer()), other(source, mapping=mapping)), 10)
    claims = {
        "owner": "built-in",
        "name": "joe",
        "org": {"id": "acme"},
        "scp": ["ai", "models"],
        "llm": {"models": ["m"]},
        "roles": [{"owner": "x", "name": "admin"}, "dev"],
    }
    principal = verifier.verify(bearer(source, **claims), NOW_S)
    assert (principal.subject, principal.tenant) == ("built-in/joe", "acme")
    assert principal.scopes == {"ai", "models"}
    assert principal.models == frozenset({"m"})
    assert principal.roles == {"admin", "dev"}
    for broken in ({"name": "a/b"}, {"org": {"id": 7}}, {"roles": ""}, {"roles": [7]}, {"llm": {"models": None}}):
        assert refusal(verifier, bearer(source, **{**claims, **broken})) is Code.CLAIM_REFUSED


@pytest.mark.parametrize("found", ["refresh-token", True, None, ["access-token"]])
def test_a_claim_with_another_value_than_the_issuers_tokens_have_is_refused(found: object) -> None:
    source = make_issuer()
    equal = (Condition(("tokenType",), "access-token"), Condition(("isForbidden",), False, optional=True))
    verifier = build_verifier((issuer_of(make_issuer()), other(source, equal=equal)), 10)
    assert verifier.verify(bearer(source, tokenType="access-token"), NOW_S).subject
    assert verifier.verify(bearer(source, tokenType="access-token", isForbidden=False), NOW_S).subject
    with pytest.raises(ClaimRefused):
        verifier.verify(bearer(source, tokenType=found), NOW_S)
    for forbidden in (True, 0, "false"):
        with pytest.raises(ClaimRefused):
            verifier.verify(bearer(source, tokenType="access-token", isForbidden=forbidden), NOW_S)


def face_of(source: TestIssuer, installation: str = NAME) -> Issuer:
    """The same installation in the form of a face."""
    return Issuer(
        name="api-gateway",
        issuer="api-gateway",
        audiences=("openai-api",),
        algorithms=("ES256",),
        types=("JWT", ""),
        jwks=issuer_of(source).jwks,
        required=("sub",),
        mapping=ClaimMapping(client=(), scopes=(), models=(), roles=("roles",)),
        installation=installation,
    )


def face_token(source: TestIssuer, **claims: object) -> bytes:
    """A token of that face, of the family `0…` and the client `backend`."""
    usual = {"sub": "ann", "iss": "api-gateway", "aud": "openai-api", "iat": int(NOW_S), "exp": int(NOW_S) + 60}
    return jwt.sign({**usual, "jti": f"{'a' * 32}:{'0' * 32}:backend", **claims}, "JWT", source.key)


def test_a_token_of_a_face_is_of_the_family_and_client_that_its_jti_names() -> None:
    ours = make_issuer()
    found = build_verifier((face_of(ours),), 10).verify(face_token(ours, family="evil", client_id="evil"), NOW_S)
    assert (found.issuer, found.family, found.client_id) == ("api-gateway", "0" * 32, "backend")
    elsewhere = build_verifier((face_of(ours, installation=""),), 10).verify(face_token(ours), NOW_S)
    assert (elsewhere.family, elsewhere.client_id) == ("", ""), "what another issuer writes there means nothing"


@pytest.mark.parametrize(
    ("kind", "handle", "claim"),
    [
        (RevocationKind.TOKEN, token_handle(NAME, f"{'a' * 32}:{'0' * 32}:backend"), "jti"),
        (RevocationKind.FAMILY, "0" * 32, "family"),
        (RevocationKind.CLIENT, "backend", "client_id"),
        (RevocationKind.SUBJECT, token_handle(NAME, "ann"), "sub"),
        (RevocationKind.TENANT, "default", "tenant"),
    ],
)
def test_a_token_of_a_face_is_revoked_as_what_is_ours(kind: RevocationKind, handle: str, claim: str) -> None:
    ours = make_issuer()
    revoked = RevokedSet()
    verifier = build_verifier((face_of(ours),), 10, revoked=revoked)
    token = face_token(ours)
    assert verifier.verify(token, NOW_S).subject == "ann"
    revoked.take([Entry(handle_name(kind, handle), None)])
    with pytest.raises(TokenRevoked) as caught:
        verifier.verify(token, NOW_S)
    assert caught.value.claim == claim
