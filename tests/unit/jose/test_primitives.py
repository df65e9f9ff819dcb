"""Keys bound to one algorithm: published signatures, checks at binding, and secrets without a string form."""

import copy
import itertools
import pickle

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from jotgate.errors import KeyRefused
from jotgate.jose import jws
from jotgate.jose.algorithms import ALGORITHMS, Hmac
from jotgate.jose.keys import SigningKey, hmac_key, signing_key_from_jwk, signing_key_to_pem
from jotgate.jose.primitives import HmacKey, check_rsa_numbers, dss_signature
from jotgate.testing.public_forms import public_forms
from tests import tokens

SECRET = b"a long shared secret with 64 bytes or more, which SHA-512 asks for"


@pytest.mark.parametrize(
    "name",
    ["rfc7515_a1", "rfc7515_a2", "rfc7515_a3", "rfc7515_a4", "rfc7520_4_2", "rfc7520_4_3", "rfc8037_a"],
)
def test_published_signatures_are_good_and_are_made_again(name: str) -> None:
    vector = tokens.vector(name)
    key = signing_key_from_jwk(vector["jwk"] | {"alg": vector["alg"], "kid": "vector"})
    parsed = jws.parse(vector["token"].encode())
    assert key.verification_key.verify(parsed.signing_input, parsed.signature)
    assert not key.verification_key.verify(parsed.signing_input + b"x", parsed.signature)
    made = key.sign(parsed.signing_input)
    assert key.verification_key.verify(parsed.signing_input, made)
    if vector["alg"] not in {"ES256", "ES512", "PS384"}:  # their vectors were made with a random nonce or salt
        assert made == parsed.signature


@pytest.mark.parametrize("size", [32, 48, 66])
def test_the_der_form_of_an_ecdsa_signature_is_the_canonical_one(size: int) -> None:
    bits = 521 if size == 66 else size * 8
    edges = (1, 127, 128, 255, 256, 2**15, 2 ** (bits - 9), 2 ** (bits - 8) - 1, 2 ** (bits - 1) - 1, 2**bits - 1)
    for r, s in itertools.product(edges, edges):
        assert dss_signature(r.to_bytes(size), s.to_bytes(size)) == encode_dss_signature(r, s)


@pytest.mark.parametrize(("section", "crv", "size"), [("5", "P-256", 32), ("6", "P-384", 48), ("7", "P-521", 66)])
def test_ecdsa_is_deterministic_as_rfc6979_has_it(section: str, crv: str, size: int) -> None:
    vector = tokens.json_vector(f"rfc6979_a2_{section}")
    members = {name: tokens.uint(int(vector[name], 16), size) for name in ("d", "x", "y")}
    key = signing_key_from_jwk({"kty": "EC", "crv": crv, **members})
    for message, signature in (("sample", vector["sample"]), ("test", vector["test"])):
        assert key.sign(message.encode()).hex() == signature.lower()


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_private_part_has_a_string_form_or_is_pickled(alg: str) -> None:
    key = tokens.key(alg) if alg in tokens.ASYMMETRIC else hmac_key(SECRET, alg, "kid")
    for value in (key, key.primitive, key.verification_key, key.verification_key.primitive):
        texts = [repr(value), str(value), f"{value}", f"{value!s:>10}"]
        for text in texts:
            assert "secret" not in text
            assert len(text) < 200
        with pytest.raises(TypeError):
            pickle.dumps(value)
        with pytest.raises(TypeError):
            msgspec.json.encode(value)
    if alg not in tokens.ASYMMETRIC:
        with pytest.raises(TypeError):
            copy.deepcopy(key.primitive)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_shows_algorithm_and_kid_only(alg: str) -> None:
    key = tokens.key(alg)
    assert repr(key) == f"SigningKey(alg={alg}, kid={key.kid})"
    assert repr(key.verification_key) == f"VerificationKey(alg={alg}, kid={key.kid})"


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_a_public_key_is_no_hmac_secret(alg: str) -> None:
    for secret in public_forms(tokens.key(alg)).values():
        with pytest.raises(KeyRefused, match="public key"):
            hmac_key(secret, "HS256", "kid")
    with pytest.raises(KeyRefused, match="public key"):
        hmac_key(signing_key_to_pem(tokens.key(alg)), "HS256", "kid")


def test_rsa_numbers_have_bounds_of_our_own() -> None:
    row, n = ALGORITHMS["RS256"], 2**2047 + 1
    for good_n, good_e in ((n, 3), (n, 65_537), (n, 2**32 - 1), (2**8192 - 1, 3)):
        check_rsa_numbers(row, good_n, good_e)
    for bad_n in (0, 1, 2**2047 - 1, 2**8192 + 1):
        with pytest.raises(KeyRefused, match="2048 to 8192 bits"):
            check_rsa_numbers(row, bad_n, 3)
    with pytest.raises(KeyRefused, match="even"):
        check_rsa_numbers(row, n + 1, 3)
    for bad_e in (-1, 0, 1, 2, 4, 65_536, 2**32 + 1):
        with pytest.raises(KeyRefused, match="exponent"):
            check_rsa_numbers(row, n, bad_e)


@pytest.mark.parametrize("secret", [bytes(64), b" " * 64, b"a" * 64, b"password" * 8, b"0123456" * 8], ids=repr)
def test_a_secret_of_a_few_repeated_bytes_is_refused(secret: bytes) -> None:
    with pytest.raises(KeyRefused, match="repeated bytes"):
        hmac_key(secret, "HS256", "kid")


def test_a_secret_of_eight_different_bytes_is_taken() -> None:
    key = hmac_key(b"01234567" * 8, "HS256", "kid")
    assert key.verification_key.verify(b"input", key.sign(b"input"))


def test_hmac_is_bound_to_its_row() -> None:
    row = ALGORITHMS["HS256"]
    assert isinstance(row.scheme, Hmac)
    key = HmacKey(row, row.scheme, SECRET)
    assert key.verifier() is key
    assert not key.verify(b"input", b"")
    assert not key.verify(b"input", key.sign(b"input")[:-1])
    assert key.verify(b"input", key.sign(b"input"))


def test_verifying_never_raises_whatever_the_bytes_are() -> None:
    keys: list[SigningKey] = [tokens.key(alg) for alg in ALGORITHMS]
    for key in keys:
        for signature in (
            b"",
            b"\0",
            b"\xff" * 64,
            b"\0" * 64,
            b"\xff" * 256,
            b"\0" * 256,
            b"\0" * 255 + b"\1",
            b"\xff" * 32,
        ):
            assert not key.verification_key.verify(b"", signature)


@pytest.mark.parametrize(("alg", "size"), [("ES256", 32), ("ES384", 48), ("ES512", 66)])
def test_signatures_are_good_whatever_byte_their_numbers_begin_with(alg: str, size: int) -> None:
    """DER writes a number by its first bits; of an ES512 signature the first byte is 0 or 1."""
    key = tokens.key(alg)
    begins: set[tuple[int, int]] = set()
    for number in range(200):
        message = b"message %d" % number
        signature = key.sign(message)
        assert key.verification_key.verify(message, signature)
        assert not key.verification_key.verify(message + b".", signature)
        begins.add((signature[0] >> 7, signature[size] >> 7))
    assert len(begins) == (1 if alg == "ES512" else 4)
