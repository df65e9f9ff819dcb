"""Keys from elsewhere: each form that people have, under one algorithm, and nothing else."""

import json

import pytest
from cryptography.hazmat.primitives import serialization

from jotgate.errors import KeyRefused
from jotgate.jose.imports import read_key
from jotgate.jose.keys import SigningKey, VerificationKey, generate, public_jwk, signing_key_to_pem


def public_pem(key: SigningKey) -> bytes:
    private = serialization.load_pem_private_key(signing_key_to_pem(key), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "Ed25519", "RS256", "PS512"])
def test_a_private_and_a_public_key_in_pem_are_known_by_the_thumbprint(algorithm: str) -> None:
    key = generate(algorithm)
    private = read_key(signing_key_to_pem(key), algorithm)
    assert isinstance(private, SigningKey)
    public = read_key(public_pem(key), algorithm)
    assert isinstance(public, VerificationKey)
    assert private.kid == public.kid == key.kid
    assert public.verify(b"x", private.sign(b"x"))


def test_the_algorithm_is_asked_for_where_the_key_leaves_it_open() -> None:
    elliptic, rsa = generate("ES384"), generate("RS256")
    assert read_key(signing_key_to_pem(elliptic)).algorithm.name == "ES384"
    for material in (signing_key_to_pem(rsa), public_pem(rsa)):
        with pytest.raises(KeyRefused, match="RS256, RS384, RS512, PS256, PS384, PS512"):
            read_key(material)
    with pytest.raises(KeyRefused, match="not one for ES256"):
        read_key(signing_key_to_pem(elliptic), "ES256")


def test_a_public_jwk_keeps_its_kid() -> None:
    jwk = public_jwk(generate("ES256").verification_key) | {"kid": "theirs"}
    found = read_key(json.dumps(jwk).encode())
    assert isinstance(found, VerificationKey)
    assert found.kid == "theirs"
    del jwk["alg"]
    assert read_key(json.dumps(jwk).encode(), "ES256").algorithm.name == "ES256"
    with pytest.raises(KeyRefused, match="'alg' is not ES384"):
        read_key(json.dumps(jwk | {"alg": "ES256"}).encode(), "ES384")


@pytest.mark.parametrize(
    ("material", "algorithm", "reason"),
    [
        (b"", "", "no public key"),
        (b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "", "no private key"),
        (b"{", "", "JWK"),
        (b'{"kty":"oct","k":"AAAA"}', "", "shared secret"),
        (b"{}", "HS256", "not one for key pairs"),
        (b"{}", "none", "not one for key pairs"),
    ],
)
def test_anything_else_is_refused(material: bytes, algorithm: str, reason: str) -> None:
    with pytest.raises(KeyRefused, match=reason):
        read_key(material, algorithm)
