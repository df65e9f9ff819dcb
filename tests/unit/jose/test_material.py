"""Key material from outside: every fault of a JWK or a PEM is a KeyRefused that repeats nothing of it."""

from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from jotgate.errors import KeyRefused
from jotgate.jose.algorithms import ALGORITHMS
from jotgate.jose.keys import generate, signing_key_from_jwk, signing_key_from_pem, signing_key_to_pem
from jotgate.jose.material import random_octets, verifier_from_members
from tests import tokens

VECTORS: Final = Path(__file__).parents[2] / "vectors" / "keys"


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_a_private_key_goes_through_pem_unchanged(alg: str) -> None:
    key = tokens.key(alg)
    pem = signing_key_to_pem(key)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    again = signing_key_from_pem(pem, alg)
    assert again.kid == key.kid
    assert signing_key_to_pem(again) == pem
    assert key.verification_key.verify(b"input", again.sign(b"input"))
    assert signing_key_from_pem(pem, alg, kid="named").verification_key.kid == "named"


@pytest.mark.parametrize("alg", tokens.ASYMMETRIC)
def test_a_pem_for_another_algorithm_is_refused(alg: str) -> None:
    pem = signing_key_to_pem(tokens.key(alg))
    kty, crv = ALGORITHMS[alg].kty, ALGORITHMS[alg].crv
    for other in (row.name for row in ALGORITHMS.values() if (row.kty, row.crv) != (kty, crv)):
        with pytest.raises(KeyRefused, match=f"not one for {other}"):
            signing_key_from_pem(pem, other)
    with pytest.raises(KeyRefused, match="not one that jotgate knows"):
        signing_key_from_pem(pem, "EdDSA")


def test_a_pem_of_another_curve_or_kind_is_refused() -> None:
    foreign: list[tuple[ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | x25519.X25519PrivateKey, str]] = [
        (ec.generate_private_key(ec.SECP384R1()), "ES256"),
        (ec.generate_private_key(ec.SECP256K1()), "ES256"),
        (ed448.Ed448PrivateKey.generate(), "Ed25519"),
        (x25519.X25519PrivateKey.generate(), "Ed25519"),
    ]
    for key, alg in foreign:
        with pytest.raises(KeyRefused):
            signing_key_from_pem(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), alg)


def test_an_rsa_key_for_pss_alone_is_not_used_without_it() -> None:
    """RFC 4055 s1.2: `id-RSASSA-PSS` in a key forbids PKCS #1 v1.5, and the library reads it as any RSA key."""
    pem = (VECTORS / "rsassa_pss.pem").read_bytes()
    for alg in ("PS256", "PS384", "PS512"):
        key = signing_key_from_pem(pem, alg)
        assert key.verification_key.verify(b"input", key.sign(b"input"))
    for alg in ("RS256", "RS384", "RS512"):
        with pytest.raises(KeyRefused, match="PSS"):
            signing_key_from_pem(pem, alg)
        with pytest.raises(KeyRefused, match="PSS"):
            signing_key_from_pem(b"a comment before it\n" + pem, alg)


def test_what_is_no_readable_private_key_is_refused() -> None:
    pem = signing_key_to_pem(tokens.key())
    key = load_pem_private_key(pem, password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for raw in (b"", b"secret", pem[:-40], pem[:60], locked, public, pem.replace(b"M", b"\xff"), b"\0" * 100):
        with pytest.raises(KeyRefused, match="no private key that can be read") as caught:
            signing_key_from_pem(raw, "ES256")
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_new_key_signs_what_it_verifies_and_no_two_are_the_same(alg: str) -> None:
    one, other = generate(alg), generate(alg)
    assert one.kid != other.kid
    assert one.algorithm is one.verification_key.algorithm is ALGORITHMS[alg]
    assert one.kid == one.verification_key.kid
    assert one.verification_key.verify(b"input", one.sign(b"input"))
    assert not other.verification_key.verify(b"input", one.sign(b"input"))


def test_an_oct_key_is_read_with_a_kid_and_never_as_a_public_key() -> None:
    members = {"kty": "oct", "alg": "HS256", "kid": "shared", "k": tokens.uint(int.from_bytes(bytes(range(1, 33))))}
    key = signing_key_from_jwk(members)
    assert key.kid == "shared"
    with pytest.raises(KeyRefused, match="no key ID"):
        signing_key_from_jwk({name: members[name] for name in ("kty", "alg", "k")})
    for k in ("", "AAAA", "A" * 43 + "=", None):
        with pytest.raises(KeyRefused):
            signing_key_from_jwk(members | {"k": k})
    with pytest.raises(KeyRefused, match="no public form"):
        verifier_from_members(ALGORITHMS["HS256"], members)


def test_an_rsa_key_of_three_primes_is_refused() -> None:
    members = tokens.vector("rfc7515_a2")["jwk"] | {"alg": "RS256"}
    with pytest.raises(KeyRefused, match="two primes"):
        signing_key_from_jwk(members | {"oth": []})


def test_numbers_have_the_fewest_bytes() -> None:
    members = tokens.jwk("RS256")
    assert "fewest bytes" in tokens.key_refusal(members | {"e": "AAEAAQ"})
    assert "fewest bytes" in tokens.key_refusal(members | {"e": ""})
    assert "numbers" in tokens.key_refusal(members | {"n": "Ag"})


@pytest.mark.parametrize("size", [0, 1, 16, 31, 32, 33, 64, 100])
def test_random_octets_are_as_many_as_asked_for_and_differ(size: int) -> None:
    made = random_octets(size)
    assert len(made) == size
    assert size < 16 or made != random_octets(size)
