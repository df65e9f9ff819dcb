"""Reading, checking and signing claims; what RFC 7519 says of them is in tests/checklist/test_jwt.py."""

import pytest

from jotgate.errors import ClaimRefused, ConfigurationError, TokenExpired, TokenMalformed
from jotgate.jose import jws, jwt
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.jwt import Claims, Expectation
from jotgate.testing.forge import ABSENT, to_json
from tests import tokens

NOW_S = tokens.NOW_S


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_is_signed_is_verified(alg: str) -> None:
    claims = tokens.issuer(alg).claims(models=["echo"], act={"sub": "bob"})
    verified = tokens.verify(jwt.sign(claims, "at+jwt", tokens.key(alg)))
    assert verified.claims.raw == claims
    assert verified.key is tokens.key(alg).verification_key
    assert verified.header == {"typ": "at+jwt", "alg": alg, "kid": tokens.key(alg).kid}


def test_the_token_of_rfc7515_is_good_in_its_own_time() -> None:
    vector = tokens.vector("rfc7515_a3")
    claims = jwt.read_claims(jws.parse(vector["token"].encode()).payload)
    assert (claims.iss, claims.exp) == ("joe", 1_300_819_380)
    legacy = Expectation("joe", ("nobody",), ("JWT",), ("ES256",), required=frozenset(("iss", "exp")))
    with pytest.raises(ClaimRefused) as caught:
        jwt.check(claims, "JWT", legacy, 1_300_819_379)
    assert caught.value.claim == "aud"
    with pytest.raises(ClaimRefused) as caught:
        jwt.check(claims, None, legacy, 1_300_819_379)
    assert (caught.value.claim, caught.value.reason) == ("typ", "missing")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"issuer": ""}, "issuer"),
        ({"audiences": ("",)}, "audiences"),
        ({"types": ()}, "types"),
        ({"algorithms": ()}, "algorithms"),
        ({"algorithms": ("ES256", "none")}, "algorithms"),
        ({"algorithms": ("Ed448",)}, "algorithms"),
        ({"leeway_s": -1}, "leeway_s"),
        ({"leeway_s": 61}, "leeway_s"),
        ({"lifetime_max_s": 0}, "lifetime_max_s"),
        ({"lifetime_max_s": -1}, "lifetime_max_s"),
    ],
)
def test_an_expectation_that_would_not_hold_is_refused(changes: dict[str, object], path: str) -> None:
    good = {"issuer": "i", "audiences": ("a",), "types": ("at+jwt",), "algorithms": ("ES256",)}
    with pytest.raises(ConfigurationError) as caught:
        Expectation(**{**good, **changes})  # type: ignore[arg-type]
    assert [fault[0] for fault in caught.value.faults] == [path]


def test_all_faults_of_an_expectation_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Expectation("", ("",), (), (), 99, 0)
    assert len(caught.value.faults) == 6


def claims_with(**changes: object) -> Claims:
    """A good claims set, changed."""
    return jwt.read_claims(to_json(tokens.issuer().claims(**changes)))


def test_a_lifetime_is_bounded_from_iat_or_from_now() -> None:
    expected = tokens.expectation()
    day_s = expected.lifetime_max_s
    jwt.check(claims_with(exp=NOW_S + day_s), "at+jwt", expected, NOW_S)
    with pytest.raises(ClaimRefused, match="longer than 86400 seconds"):
        jwt.check(claims_with(exp=NOW_S + day_s + 1), "at+jwt", expected, NOW_S)
    with pytest.raises(ClaimRefused, match="longer than 86400 seconds"):
        jwt.check(claims_with(iat=NOW_S - day_s, exp=NOW_S + 1), "at+jwt", expected, NOW_S)
    legacy = Expectation(tokens.ISSUER, (tokens.AUDIENCE,), ("at+jwt",), ("ES256",), 0, day_s, frozenset())
    jwt.check(claims_with(iat=ABSENT, exp=NOW_S + day_s), "at+jwt", legacy, NOW_S)
    with pytest.raises(ClaimRefused, match="longer than 86400 seconds"):
        jwt.check(claims_with(iat=ABSENT, exp=NOW_S + day_s + 1), "at+jwt", legacy, NOW_S)
    with pytest.raises(ClaimRefused) as caught:
        jwt.check(claims_with(exp=ABSENT), "at+jwt", legacy, NOW_S)
    assert (caught.value.claim, caught.value.reason) == ("exp", "missing")


def test_a_token_issued_after_its_end_is_refused_within_the_leeway_too() -> None:
    expected = tokens.expectation(leeway_s=60)
    jwt.check(claims_with(iat=NOW_S, exp=NOW_S), "at+jwt", expected, NOW_S)
    with pytest.raises(ClaimRefused) as caught:
        jwt.check(claims_with(iat=NOW_S + 1, exp=NOW_S), "at+jwt", expected, NOW_S)
    assert (caught.value.claim, caught.value.reason) == ("iat", "invalid")


def test_times_far_away_decide_and_do_not_overflow() -> None:
    expected = tokens.expectation()
    with pytest.raises(TokenExpired):
        jwt.check(claims_with(exp=-(10**18)), "at+jwt", expected, NOW_S)
    with pytest.raises(ClaimRefused):
        jwt.check(claims_with(exp=10**18), "at+jwt", expected, NOW_S)
    with pytest.raises(ClaimRefused):
        jwt.check(claims_with(exp=1.7e308), "at+jwt", expected, NOW_S)


def test_the_first_missing_claim_by_name_is_told() -> None:
    raw = to_json({"exp": NOW_S + 60})
    with pytest.raises(ClaimRefused) as caught:
        jwt.check(jwt.read_claims(raw), "at+jwt", tokens.expectation(), NOW_S)
    assert (caught.value.claim, caught.value.reason) == ("aud", "missing")


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "",
        "at+jwt ",
        "at+jwt;v=1",
        "text/at+jwt",
        "application/",
        "application/application/at+jwt",
        "\u212at+jwt",
    ],
)
def test_another_type_is_refused(typ: str) -> None:
    with pytest.raises(ClaimRefused) as caught:
        jwt.check(claims_with(), typ, tokens.expectation(), NOW_S)
    assert (caught.value.claim, caught.value.reason) == ("typ", "mismatch")


def test_expected_types_are_media_types_too() -> None:
    expected = Expectation(tokens.ISSUER, (tokens.AUDIENCE,), ("application/AT+jwt", "token"), ("ES256",))
    for typ in ("at+jwt", "Application/At+Jwt", "TOKEN"):
        jwt.check(claims_with(), typ, expected, NOW_S)
    with pytest.raises(ClaimRefused):
        jwt.check(claims_with(), "to\u212aen", expected, NOW_S)  # the Kelvin sign is no ASCII letter


@pytest.mark.parametrize("scope", ["ai", "ai chat.completions", "a,b", "!", "urn:x:y#z"])
def test_a_scope_is_a_list_in_one_string(scope: str) -> None:
    assert claims_with(scope=scope).scope == scope
    assert claims_with(scope=ABSENT).scope is None


@pytest.mark.parametrize(
    "scope", ["", " ", " ai", "ai ", "a  b", "a\tb", 'a"b', "a\\b", "é", "a\n", ["ai"], {}, 1, None]
)
def test_a_scope_of_another_form_is_refused(scope: object) -> None:
    with pytest.raises(ClaimRefused) as caught:
        claims_with(scope=scope)
    assert (caught.value.claim, caught.value.reason) == ("scope", "invalid")


def test_absent_claims_are_none() -> None:
    assert jwt.read_claims(b"{}") == Claims(raw={})


@pytest.mark.parametrize("cty", ["JWT", "jwt", "application/jwt", "Application/JWT"])
def test_a_nested_token_is_refused(cty: str) -> None:
    with pytest.raises(TokenMalformed, match="nested"):
        tokens.verify(tokens.issuer().with_header(cty=cty))
    assert tokens.verify(tokens.issuer().with_header(cty="json")).claims.sub == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "\ud800"},
        {"sub": "a\nb"},
        {"exp": "tomorrow"},
        {"aud": []},
        {"x": float("nan")},
        {"x": ...},
        {"scope": ""},
    ],
    ids=repr,
)
def test_claims_that_would_be_refused_are_not_signed(changes: dict[str, object]) -> None:
    with pytest.raises((ClaimRefused, TokenMalformed)):
        jwt.sign(tokens.issuer().claims(**changes), "at+jwt", tokens.key())


def test_peeking_shows_what_nothing_vouches_for() -> None:
    forge = tokens.issuer()
    token = tokens.with_signature(forge.with_claims(exp=1), b"")
    header, claims = jwt.peek_unverified(token)
    assert header == forge.header()
    assert claims["exp"] == 1
    for raw in (b"", b"a.b.c", forge.seal(forge.header(), b"[]")):
        with pytest.raises(TokenMalformed):
            jwt.peek_unverified(raw)
