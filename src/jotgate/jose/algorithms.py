"""The table of signature algorithms: all that the code needs to know about a JWS `alg`, one row each.

Code takes a row and never compares names, so that a key cannot be used with an algorithm that is not its own
(RFC 8725 s3.1). What has no row is refused: `none` above all, and the ambiguous `EdDSA` (RFC 9864 s2.2).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from msgspec import Struct


class Ecdsa(Struct, frozen=True):
    """RFC 7518 s3.4. `order` is that of the group; `size` the length in bytes of a coordinate, of R and of S."""

    group: ec.EllipticCurve
    order: int
    size: int
    hash: HashAlgorithm


class Rsa(Struct, frozen=True):
    """RFC 7518 s3.3 and s3.5."""

    padding: AsymmetricPadding
    hash: HashAlgorithm


class Eddsa(Struct, frozen=True):
    """RFC 8037 s3.1. `size` is the length of a key in bytes."""

    size: int


class Hmac(Struct, frozen=True):
    """RFC 7518 s3.2."""

    hash: HashAlgorithm


class Algorithm(Struct, frozen=True):
    """One row.

    `key_bits_min` is the least size of a key. `signature_bytes` is the only length of a signature, or None
    where it is the length of the modulus. `members` are the required members of the public JWK (of the key
    itself for `oct`), sorted as RFC 7638 s3.2 wants them. `scheme` holds what the cryptographic operation
    needs.
    """

    name: str
    kty: Literal["EC", "OKP", "RSA", "oct"]
    crv: str | None
    members: tuple[str, ...]
    key_bits_min: int
    signature_bytes: int | None
    scheme: Ecdsa | Eddsa | Hmac | Rsa


_ROWS: Final = (
    Algorithm(
        name="ES256",
        kty="EC",
        crv="P-256",
        members=("crv", "kty", "x", "y"),
        key_bits_min=256,
        signature_bytes=64,
        scheme=Ecdsa(
            group=ec.SECP256R1(),
            order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
            size=32,
            hash=SHA256(),
        ),
    ),
    Algorithm(
        name="RS256",
        kty="RSA",
        crv=None,
        members=("e", "kty", "n"),
        key_bits_min=2048,
        signature_bytes=None,
        scheme=Rsa(padding=PKCS1v15(), hash=SHA256()),
    ),
    Algorithm(
        name="HS256",
        kty="oct",
        crv=None,
        members=("k", "kty"),
        key_bits_min=256,
        signature_bytes=32,
        scheme=Hmac(hash=SHA256()),
    ),
    Algorithm(
        name="Ed25519",
        kty="OKP",
        crv="Ed25519",
        members=("crv", "kty", "x"),
        key_bits_min=256,
        signature_bytes=64,
        scheme=Eddsa(size=32),
    ),
)

ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType({row.name: row for row in _ROWS})
