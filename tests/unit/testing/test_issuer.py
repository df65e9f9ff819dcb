"""The issuer of wrong tokens: its good ones are good, and each wrong one meets exactly its refusal."""

import pytest

from jotgate.errors import Code, KeyRefused, TokenError
from jotgate.jose import jwt
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet
from jotgate.testing.issuer import TestIssuer, wrong_tokens
from tests import tokens

URL = "http://127.0.0.1:8080"


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("leeway_s", [0, 5, 60])
def test_each_wrong_token_meets_its_refusal(alg: str, leeway_s: int) -> None:
    key = tokens.key(alg)
    expected = Expectation(URL, (URL,), ("at+jwt",), (alg,), leeway_s)
    keys = KeySet([key.verification_key])
    good = TestIssuer(key, URL, URL, tokens.NOW_S)
    assert jwt.verify(good.token(sub="bob"), keys, expected, tokens.NOW_S).claims.sub == "bob"
    met: set[str] = set()
    for name, (token, code) in wrong_tokens(key, URL, URL, tokens.NOW_S).items():
        with pytest.raises(TokenError) as caught:
            jwt.verify(token, keys, expected, tokens.NOW_S + 3)
        assert (name, caught.value.code) == (name, code)
        assert caught.value.status == 401
        met.add(code)
    assert met == {
        *(Code.TOKEN_MALFORMED, Code.ALGORITHM_REFUSED, Code.KEY_UNKNOWN, Code.SIGNATURE_INVALID),
        *(Code.CLAIM_REFUSED, Code.TOKEN_EXPIRED, Code.TOKEN_IMMATURE, Code.TOKEN_ENCRYPTED),
    }


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_wrong_tokens_fit_into_a_header_field_and_cover_the_attack_list(alg: str) -> None:
    wrong = wrong_tokens(tokens.key(alg), URL, URL, tokens.NOW_S)
    for name, (token, _) in wrong.items():
        assert all(0x21 <= byte <= 0x7E for byte in token), name
        assert 0 < len(token) <= 20_000, name
    rows = {name.partition("_")[0] for name in wrong}
    assert rows >= {
        *("A01", "A01b", "A03", "A06", "B01", "B02", "B03", "B05", "B06", "B07", "B09"),
        *("C01", "C04", "C06", "C07", "C08", "C09", "C10", "C11", "C12", "AT04", "JWT10"),
        *(f"D{number:02}" for number in range(1, 12)),
    }
    assert ("A02" in rows) is (alg in tokens.ASYMMETRIC)
    assert len({token for token, _ in wrong.values()}) == len(wrong)


def test_refusals_repeat_nothing_of_the_token() -> None:
    forge = tokens.issuer()
    mark = "marker-7f3a"
    marked = [
        forge.with_header(alg=mark),
        forge.with_header(kid=mark),
        forge.with_header(typ=mark),
        forge.with_header(crit=[mark]),
        *(forge.with_claims(**{claim: mark}) for claim in ("iss", "aud", "exp", "nbf")),
        *(forge.with_claims(**{claim: [mark]}) for claim in ("sub", "jti", "scope", "client_id")),
        forge.seal(forge.header(), mark.encode()),
        forge.seal(mark.encode(), forge.claims()),
        f"{mark}.{mark}.{mark}!".encode(),
    ]
    for token in marked:
        with pytest.raises(TokenError) as caught:
            tokens.verify(token)
        assert mark not in f"{caught.value} {caught.value.hint} {caught.value.debug}"
        assert caught.value.__cause__ is None


def test_an_hmac_key_has_no_public_form_to_be_confused_with() -> None:
    named = wrong_tokens(tokens.key("HS256"), URL, URL, tokens.NOW_S)
    assert not [name for name in named if name.startswith("A02") or "public_key" in name]
    with pytest.raises(KeyRefused):
        tokens.issuer("HS256").hs256_with_public_key()
