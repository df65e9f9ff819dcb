"""Keys that were made elsewhere: PEM or a JWK, private or public, as typed keys of one algorithm."""

from collections.abc import Callable
from typing import TypeVar

from jotgate.errors import KeyRefused, TokenMalformed
from jotgate.jose.algorithms import ALGORITHMS, Algorithm, Hmac
from jotgate.jose.encoding import parse_object
from jotgate.jose.keys import (
    SigningKey,
    VerificationKey,
    signing_key_from_jwk,
    signing_key_from_pem,
    signing_key_to_pem,
    thumbprint,
    verification_key_from_jwk,
)
from jotgate.jose.material import verifier_from_pem

_Key = TypeVar("_Key", SigningKey, VerificationKey)


def read_key(material: bytes, algorithm: str = "") -> SigningKey | VerificationKey:
    """The key in PEM (PKCS #8, or SubjectPublicKeyInfo) or in a JWK (RFC 7517).

    `algorithm` is needed where the key itself leaves it open, as RSA keys in PEM do. The `kid` of a private key is its
    thumbprint (RFC 7638), whatever a JWK says; a public JWK keeps its own.

    Raises:
        KeyRefused: it is no such key, is not one for `algorithm`, or is a shared secret.
    """
    if algorithm and (algorithm not in ALGORITHMS or isinstance(ALGORITHMS[algorithm].scheme, Hmac)):
        raise KeyRefused("the algorithm is not one for key pairs", hint=f"Use one of {', '.join(_pairs())}")
    if material.lstrip().startswith(b"{"):
        return _from_jwk(material, algorithm)
    if b"PRIVATE KEY" in material:
        return _one_of(algorithm, lambda row: signing_key_from_pem(material, row.name))
    return _one_of(algorithm, lambda row: _public(row, material))


def _from_jwk(material: bytes, algorithm: str) -> SigningKey | VerificationKey:
    try:
        jwk = parse_object(material, "JWK")
    except TokenMalformed as fault:
        raise KeyRefused(fault.message) from None
    if algorithm and jwk.setdefault("alg", algorithm) != algorithm:
        raise KeyRefused(f"the JWK's 'alg' is not {algorithm}")
    if jwk.get("kty") == "oct":
        raise KeyRefused("the JWK is a shared secret, and jotgate signs with key pairs")
    if "d" not in jwk:
        return verification_key_from_jwk(jwk)
    key = signing_key_from_jwk(jwk)
    return signing_key_from_pem(signing_key_to_pem(key), key.algorithm.name)


def _one_of(algorithm: str, read: Callable[[Algorithm], _Key]) -> _Key:
    """The key by the algorithm that is asked for, else by the only one that it can be a key for."""
    if algorithm:
        return read(ALGORITHMS[algorithm])
    found: list[_Key] = []
    last = KeyRefused("it holds no key")
    for name in _pairs():
        try:
            found.append(read(ALGORITHMS[name]))
        except KeyRefused as refusal:
            last = refusal
    if not found:
        raise last
    if len(found) > 1:
        names = ", ".join(key.algorithm.name for key in found)
        raise KeyRefused(f"the key can be one for {names}", hint="Say which with --algorithm")
    return found[0]


def _public(row: Algorithm, pem: bytes) -> VerificationKey:
    verifier = verifier_from_pem(row, pem)
    return VerificationKey(row, thumbprint(verifier.public_members()), verifier)


def _pairs() -> list[str]:
    return [name for name, row in ALGORITHMS.items() if not isinstance(row.scheme, Hmac)]
