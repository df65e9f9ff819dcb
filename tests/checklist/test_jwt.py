"""Rows JWT-01 to JWT-10 and JWE-01 of the token checklist (RFC 7519, RFC 9068), one test for each row."""

import json
from typing import Final

import pytest

from jotgate.errors import (
    ClaimRefused,
    Code,
    ConfigurationError,
    TokenError,
    TokenExpired,
    TokenImmature,
    TokenMalformed,
)
from jotgate.jose import jwt
from jotgate.jose.algorithms import ALGORITHMS, READABLE
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jwt import ACCESS_TOKEN_CLAIMS, Claims, Expectation
from jotgate.testing.forge import ABSENT, to_json
from tests import tokens

NOW_S: Final = tokens.NOW_S
LEEWAYS: Final = pytest.mark.parametrize("leeway_s", [0, 1, 60])


def refused_claim(**changes: object) -> tuple[str, str]:
    """Which claim is refused, and why, in a token with changed claims and a good signature."""
    with pytest.raises(ClaimRefused) as caught:
        tokens.verify(tokens.issuer().with_claims(**changes))
    return caught.value.claim, caught.value.reason


def test_JWT_01_a_claims_set_is_a_json_object() -> None:
    forge = tokens.issuer()
    good = to_json(forge.claims())
    for payload in (
        b"[" + good + b"]",
        b"[]",
        b'"claims"',
        b"null",
        b"true",
        b"1",
        b"1.5",
        b"",
        b" ",
        b"{",
        good + good,
    ):
        assert tokens.refusal(forge.seal(forge.header(), payload)) == Code.TOKEN_MALFORMED, payload
    assert tokens.verify(forge.seal(forge.header(), b" \r\n" + good + b"\t")).claims.raw == json.loads(good)


@pytest.mark.parametrize("claim", sorted(ACCESS_TOKEN_CLAIMS | {"scope", "nbf", "models"}))
def test_JWT_02_a_claim_name_stands_there_once(claim: str) -> None:
    forge = tokens.issuer()
    claims = forge.claims(nbf=NOW_S, models=["echo"])
    value = to_json(claims[claim])
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in claim).encode()
    once = to_json({name: claims[name] for name in claims if name != claim})[:-1]
    tokens.verify(forge.seal(forge.header(), once + b',"' + claim.encode() + b'":' + value + b"}"))
    for second in (claim.encode(), escaped):
        for other in (value, b"null", b'"mallory"'):
            twice = to_json(claims)[:-1] + b',"' + second + b'":' + other + b"}"
            assert tokens.refusal(forge.seal(forge.header(), twice)) == Code.TOKEN_MALFORMED
            first = b'{"' + second + b'":' + other + b"," + to_json(claims)[1:]
            assert tokens.refusal(forge.seal(forge.header(), first)) == Code.TOKEN_MALFORMED
    nested = to_json(claims)[:-1] + b',"act":{"a":{"sub":"x","sub":"x"}}}'
    assert tokens.refusal(forge.seal(forge.header(), nested)) == Code.TOKEN_MALFORMED


@pytest.mark.parametrize("claim", ["iss", "sub", "jti", "client_id"])
@pytest.mark.parametrize(
    "value", [1, 1.5, True, None, [], ["a"], {}, {"a": 1}, "", "a\0b", "a\nb", "\u202ea"], ids=repr
)
def test_JWT_03_names_are_strings(claim: str, value: object) -> None:
    assert refused_claim(**{claim: value}) == (claim, "invalid")


@pytest.mark.parametrize(
    "value", [1, True, None, [], {}, [1], [None], [tokens.AUDIENCE, 1], [[tokens.AUDIENCE]]], ids=repr
)
def test_JWT_03_aud_is_a_string_or_an_array_of_strings(value: object) -> None:
    assert refused_claim(aud=value) == ("aud", "invalid")


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_JWT_03_times_are_finite_numbers(claim: str) -> None:
    forge = tokens.issuer()
    wrong: list[object] = [str(NOW_S), "", True, False, None, [], [NOW_S], {}]
    for value in wrong:
        assert refused_claim(**{claim: value}) == (claim, "invalid"), value
    rest = to_json(forge.claims(**{claim: ABSENT}))[:-1] + b',"' + claim.encode() + b'":'
    for literal in (
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e400",
        b"1" + b"0" * 400,
        b"9" * 5_000,
        b"0x1",
        b"01",
    ):
        assert tokens.refusal(forge.seal(forge.header(), rest + literal + b"}")) == Code.TOKEN_MALFORMED, literal
    for good in (NOW_S, NOW_S + 0.0, NOW_S - 0.5):
        tokens.verify(forge.with_claims(**{"exp": NOW_S + 60, claim: good + (60 if claim == "exp" else 0)}))


@LEEWAYS
def test_JWT_04_a_token_is_expired_from_exp_on(leeway_s: int) -> None:
    token = tokens.issuer().with_claims(exp=NOW_S + 600)
    edge_s = NOW_S + 600 + leeway_s
    tokens.verify(token, now_s=edge_s - 1, leeway_s=leeway_s)
    tokens.verify(token, now_s=edge_s - 0.001, leeway_s=leeway_s)
    for now_s in (edge_s, edge_s + 0.001, edge_s + 1, edge_s + 10**9, float("inf"), float("nan")):
        assert tokens.refusal(token, now_s=now_s, leeway_s=leeway_s) == Code.TOKEN_EXPIRED


@LEEWAYS
def test_JWT_05_a_token_is_good_from_nbf_on(leeway_s: int) -> None:
    token = tokens.issuer().with_claims(nbf=NOW_S + 300)
    edge_s = NOW_S + 300 - leeway_s
    tokens.verify(token, now_s=edge_s, leeway_s=leeway_s)
    tokens.verify(token, now_s=edge_s + 1, leeway_s=leeway_s)
    for now_s in (edge_s - 0.001, edge_s - 1):
        assert tokens.refusal(token, now_s=now_s, leeway_s=leeway_s) == Code.TOKEN_IMMATURE


@LEEWAYS
def test_JWT_06_a_token_is_not_issued_in_the_future(leeway_s: int) -> None:
    token = tokens.issuer().with_claims(iat=NOW_S + 300, exp=NOW_S + 900)
    edge_s = NOW_S + 300 - leeway_s
    tokens.verify(token, now_s=edge_s, leeway_s=leeway_s)
    for now_s in (edge_s - 0.001, edge_s - 1, NOW_S - 10**6):
        assert tokens.refusal(token, now_s=now_s, leeway_s=leeway_s) == Code.TOKEN_IMMATURE


def test_JWT_07_leeway_is_0_to_60_seconds() -> None:
    def with_leeway(leeway_s: int) -> Expectation:
        return Expectation(tokens.ISSUER, (tokens.AUDIENCE,), ("at+jwt",), ("ES256",), leeway_s)

    for leeway_s in (0, 5, 60):
        assert with_leeway(leeway_s).leeway_s == leeway_s
    for leeway_s in (-1, 61, 3_600):
        with pytest.raises(ConfigurationError, match="leeway_s: is not 0 to 60 seconds"):
            with_leeway(leeway_s)
    assert Expectation(tokens.ISSUER, (tokens.AUDIENCE,), ("at+jwt",), ("ES256",)).leeway_s == 5


def near_misses(name: str) -> list[str]:
    """Strings that a careless comparison takes for this one."""
    return [
        *(name[:-1], name[1:], name + "/", name + ".example", name.upper(), name.swapcase(), " " + name, name + " "),
        *(name + "\u200b", name + "?", name + "#", name + "%00", f"{name},{name}", f"{name} {name}", "", "x", "*"),
        name.replace("a", "\u0430"),
        name.replace("https", "http"),
    ]


def test_JWT_08_the_audience_is_compared_as_a_whole() -> None:
    for value in near_misses(tokens.AUDIENCE):
        assert refused_claim(aud=value) == ("aud", "mismatch"), value
        assert refused_claim(aud=[value]) == ("aud", "mismatch"), value
        assert refused_claim(aud=[value, "other"]) == ("aud", "mismatch"), value
    assert refused_claim(aud=ABSENT) == ("aud", "missing")
    forge = tokens.issuer()
    assert tokens.verify(forge.with_claims(aud=[tokens.AUDIENCE])).claims.aud == (tokens.AUDIENCE,)
    assert tokens.verify(forge.with_claims(aud=["other", tokens.AUDIENCE])).claims.aud == ("other", tokens.AUDIENCE)


def test_JWT_09_the_issuer_is_compared_as_a_whole() -> None:
    for value in near_misses(tokens.ISSUER):
        claim, reason = refused_claim(iss=value)
        assert (claim, reason) in {("iss", "mismatch"), ("iss", "invalid")}, value
    assert refused_claim(iss=ABSENT) == ("iss", "missing")
    assert refused_claim(iss=tokens.AUDIENCE) == ("iss", "mismatch")
    assert refused_claim(iss=[tokens.ISSUER]) == ("iss", "invalid")


@pytest.mark.parametrize("claim", ["iss", "sub", "aud"])
def test_JWT_10_a_claim_in_the_header_is_the_one_in_the_claims(claim: str) -> None:
    forge = tokens.issuer()
    good = forge.claims()[claim]
    assert tokens.verify(forge.with_header(**{claim: good})).header[claim] == good
    others: list[object] = ["other", f"{good}/", "", None, 1, [good], {claim: good}]
    for other in others:
        with pytest.raises(ClaimRefused) as caught:
            tokens.verify(forge.with_header(**{claim: other}))
        assert (caught.value.claim, caught.value.reason) == (claim, "mismatch"), other
    with pytest.raises(ClaimRefused):
        tokens.verify(forge.seal(forge.header(**{claim: good}), forge.claims(**{claim: ABSENT})))


def test_JWE_01_nothing_is_decrypted() -> None:
    """No key, no `alg` and no `enc` of encryption exist here: a JWE is refused before a byte of it is decoded."""
    for alg in ("dir", "RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "A128KW", "ECDH-ES", "PBES2-HS256+A128KW", "A256GCMKW"):
        assert alg not in READABLE
        header = b64url_encode(to_json({"alg": alg, "enc": "A256GCM", "cty": "JWT", "p2c": 2**31}))
        assert tokens.refusal(header + b".a2V5.aXY.dGV4dA.dGFn") == Code.TOKEN_ENCRYPTED
        assert tokens.refusal(header + b"..aXY.dGV4dA.") == Code.TOKEN_ENCRYPTED
        assert tokens.refusal(b"=" + header + b".=.=.=.=") == Code.TOKEN_ENCRYPTED
        assert tokens.refusal(tokens.issuer().with_header(alg=alg)) == Code.ALGORITHM_REFUSED
        assert tokens.refusal(tokens.issuer().with_header(alg=alg, enc="A256GCM")) == Code.TOKEN_ENCRYPTED


# What RFC 9068 asks of our own tokens (rows AT-01 to AT-04) is decided by the same function.


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_AT_01_an_access_token_is_signed(alg: str) -> None:
    forge = tokens.issuer(alg)
    signing_input = forge.token().rpartition(b".")[0]
    assert tokens.refusal(signing_input + b".") == Code.SIGNATURE_INVALID
    assert tokens.refusal(tokens.issuer(alg).alg_none()) == Code.ALGORITHM_REFUSED
    assert tokens.verify(forge.token()).header["typ"] == "at+jwt"


def test_AT_02_rs256_signs_and_verifies_access_tokens() -> None:
    verified = jwt.verify(tokens.issuer("RS256").token(), tokens.all_keys(), tokens.expectation("RS256"), NOW_S)
    assert verified.key.algorithm.name == "RS256"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/at+JWT"])
def test_AT_03_typ_is_a_media_type(typ: str) -> None:
    assert tokens.verify(tokens.issuer().with_header(typ=typ)).header["typ"] == typ


@pytest.mark.parametrize("claim", sorted(ACCESS_TOKEN_CLAIMS))
def test_AT_04_each_required_claim_must_be_there(claim: str) -> None:
    assert frozenset(("iss", "exp", "aud", "sub", "client_id", "iat", "jti")) == ACCESS_TOKEN_CLAIMS
    assert refused_claim(**{claim: ABSENT}) == (claim, "missing")
    bare = tokens.issuer().with_claims(scope=ABSENT)
    assert tokens.verify(bare).claims.raw.keys() == ACCESS_TOKEN_CLAIMS  # these suffice


def test_check_is_a_function_of_its_arguments() -> None:
    """No clock and no signature: claims, type, expectation and now decide."""
    expected = tokens.expectation()
    raw = tokens.issuer().claims()
    claims = jwt.read_claims(to_json(raw))
    assert claims == Claims(
        raw=raw,
        iss=tokens.ISSUER,
        sub="alice",
        aud=(tokens.AUDIENCE,),
        exp=NOW_S + 600,
        iat=NOW_S,
        jti=str(raw["jti"]),
        client_id="jotgate-cli",
        scope="ai",
    )
    jwt.check(claims, "at+jwt", expected, NOW_S)
    with pytest.raises(TokenExpired):
        jwt.check(claims, "at+jwt", expected, NOW_S + 600)
    with pytest.raises(TokenImmature):
        jwt.check(claims, "at+jwt", expected, NOW_S - 1)
    with pytest.raises(ClaimRefused):
        jwt.check(claims, None, expected, NOW_S)


def test_the_first_fault_in_the_order_of_the_checks_is_the_stated_reason() -> None:
    """Form, algorithm, key, signature, claims: a token that is wrong in all of them is wrong for the first reason.

    The form of the claims set and of what is registered in it counts as form.
    """
    forge = tokens.issuer()
    wrong: dict[str, object] = {"iss": "https://other.example", "exp": 1}
    spoilt = forge.seal(forge.header(alg="Ed448", kid="other"), forge.claims(**wrong))
    assert tokens.refusal(spoilt + b"=") == Code.TOKEN_MALFORMED
    unread = forge.seal(forge.header(alg="Ed448", kid="other"), b'{"sub":"alice","sub":"bob"}')
    assert tokens.refusal(unread) == Code.TOKEN_MALFORMED
    mistyped = forge.seal(forge.header(alg="Ed448", kid="other"), forge.claims(exp="soon"))
    assert tokens.refusal(mistyped) == Code.CLAIM_REFUSED
    assert tokens.refusal(spoilt) == Code.ALGORITHM_REFUSED
    nobody = tokens.with_signature(forge.seal(forge.header(kid="other"), forge.claims(**wrong)), bytes(64))
    assert tokens.refusal(nobody) == Code.KEY_UNKNOWN
    unsigned = tokens.with_signature(forge.with_claims(**wrong), bytes(64))
    assert tokens.refusal(unsigned) == Code.SIGNATURE_INVALID
    assert tokens.refusal(forge.with_claims(**wrong)) == Code.CLAIM_REFUSED
    with pytest.raises(TokenMalformed):
        jwt.peek_unverified(spoilt + b"=")
    assert issubclass(TokenMalformed, TokenError)
