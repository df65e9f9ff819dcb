"""Keys that PyJWT and joserfc verify with and jotgate does not; docs/tokens.md lists them."""

import warnings
from collections.abc import Callable, Mapping
from typing import Final

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws

from jotgate.errors import KeyRefused
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.jose.keys import signing_key_from_jwk, verification_key_from_jwk
from tests import tokens

Jwk = Mapping[str, str]


def rsa_1024() -> Jwk:
    numbers = rsa.generate_private_key(65_537, 1_024).private_numbers()  # noqa: S505 # weak is the point
    values = {"n": numbers.public_numbers.n, "e": 65_537, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    values |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    return {"kty": "RSA", "alg": "RS256", "kid": "weak"} | {name: tokens.uint(values[name]) for name in values}


def short_secret() -> Jwk:
    return {"kty": "oct", "alg": "HS256", "kid": "weak", "k": b64url_encode(b"short secret").decode()}


def secret_of_one_byte() -> Jwk:
    return {"kty": "oct", "alg": "HS256", "kid": "weak", "k": b64url_encode(b"a" * 64).decode()}


def second_form_of_a_point() -> Jwk:
    vector = tokens.vector("rfc7515_a4")["jwk"]
    x = int.from_bytes(b64url_decode(str(vector["x"]).encode()))
    return {
        **{name: str(value) for name, value in vector.items()},
        "alg": "ES512",
        "x": tokens.uint(x + 2**521 - 1, 66),
    }


def pyjwt_takes(jwk: Jwk) -> bool:
    key = pyjwt.PyJWK(dict(jwk))
    token = pyjwt.encode({}, key, jwk["alg"])
    return pyjwt.decode(token, key if jwk["kty"] == "oct" else public(key), [jwk["alg"]]) == {}


def public(key: pyjwt.PyJWK) -> rsa.RSAPublicKey:
    made: rsa.RSAPublicKey = key.key.public_key()
    return made


def joserfc_takes(jwk: Jwk) -> bool:
    key, algorithms = joserfc_jwk.import_key({**jwk}), [jwk["alg"]]
    token = joserfc_jws.serialize_compact({"alg": jwk["alg"]}, b"{}", key, algorithms)
    return joserfc_jws.deserialize_compact(token, key, algorithms).payload == b"{}"


WEAK: Final = (rsa_1024, short_secret, secret_of_one_byte, second_form_of_a_point)


@pytest.mark.parametrize("make", WEAK)
@pytest.mark.parametrize("takes", [pyjwt_takes, joserfc_takes])
def test_a_key_that_the_others_take_is_refused(make: Callable[[], Jwk], takes: Callable[[Jwk], bool]) -> None:
    jwk = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they warn of some and go on
        assert takes(jwk)
    with pytest.raises(KeyRefused):
        signing_key_from_jwk(jwk)
    with pytest.raises(KeyRefused):
        verification_key_from_jwk({name: jwk[name] for name in jwk.keys() - {"d", "p", "q", "dp", "dq", "qi"}})
