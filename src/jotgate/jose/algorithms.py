"""The table of signature algorithms: all that the code needs to know about a JWS `alg`, one row each.

Code takes a row and never compares names, so that a key cannot be used with an algorithm that is not its own
(RFC 8725 s3.1). What has no row is refused: `none` above all. `EdDSA` does not say which curve, and RFC 9864 s2.2 has
given it up for `Ed25519`; it is read as that where it is allowed by name, and never written.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from msgspec import Struct


class Ecdsa(Struct, frozen=True):
    """RFC 7518 s3.4.

    `prime` is that of the field, `order` that of the group; `size` the length in bytes of a coordinate, of R and of S.
    """

    group: ec.EllipticCurve
    prime: int
    order: int
    size: int
    hash: HashAlgorithm


class Rsa(Struct, frozen=True):
    """RFC 7518 s3.3 and s3.5; the salt of PSS is as long as the hash, and no other length verifies."""

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


_HASHES: Final[Mapping[int, HashAlgorithm]] = MappingProxyType({256: SHA256(), 384: SHA384(), 512: SHA512()})
RSA_BITS_MIN: Final = 2_048  # RFC 7518 s3.3, s3.5; it leaves room for every hash and salt of PSS (RFC 8017 s9.1.1)


def _ecdsa(bits: int, crv: str, curve: Ecdsa) -> Algorithm:
    return Algorithm(
        name=f"ES{bits}",
        kty="EC",
        crv=crv,
        members=("crv", "kty", "x", "y"),
        key_bits_min=curve.group.key_size,
        signature_bytes=2 * curve.size,
        scheme=curve,
    )


def _rsa(name: str, padding: AsymmetricPadding, bits: int) -> Algorithm:
    return Algorithm(
        name=f"{name}{bits}",
        kty="RSA",
        crv=None,
        members=("e", "kty", "n"),
        key_bits_min=RSA_BITS_MIN,
        signature_bytes=None,
        scheme=Rsa(padding=padding, hash=_HASHES[bits]),
    )


def _pss(bits: int) -> PSS:
    return PSS(mgf=MGF1(_HASHES[bits]), salt_length=bits // 8)


def _hmac(bits: int) -> Algorithm:
    return Algorithm(
        name=f"HS{bits}",
        kty="oct",
        crv=None,
        members=("k", "kty"),
        key_bits_min=bits,
        signature_bytes=bits // 8,
        scheme=Hmac(hash=_HASHES[bits]),
    )


# FIPS 186-5 and SP 800-186 s3.2.1: the primes and the orders of the groups.
_P256: Final = Ecdsa(
    group=ec.SECP256R1(),
    prime=2**256 - 2**224 + 2**192 + 2**96 - 1,
    order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    size=32,
    hash=_HASHES[256],
)
_P384: Final = Ecdsa(
    group=ec.SECP384R1(),
    prime=2**384 - 2**128 - 2**96 + 2**32 - 1,
    order=2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    size=48,
    hash=_HASHES[384],
)
_P521: Final = Ecdsa(
    group=ec.SECP521R1(),
    prime=2**521 - 1,
    order=2**521 - 2**260 + 0xA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
    size=66,
    hash=_HASHES[512],
)
_ED25519: Final = Algorithm(
    name="Ed25519",
    kty="OKP",
    crv="Ed25519",
    members=("crv", "kty", "x"),
    key_bits_min=256,
    signature_bytes=64,
    scheme=Eddsa(size=32),
)
_ROWS: Final = (
    _ecdsa(256, "P-256", _P256),
    _ecdsa(384, "P-384", _P384),
    _ecdsa(512, "P-521", _P521),
    _ED25519,
    *(_rsa("RS", PKCS1v15(), bits) for bits in _HASHES),
    *(_rsa("PS", _pss(bits), bits) for bits in _HASHES),
    *(_hmac(bits) for bits in _HASHES),
)

ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType({row.name: row for row in _ROWS})
"""The rows by their own names: those that are written."""

READABLE: Final[Mapping[str, Algorithm]] = MappingProxyType({**ALGORITHMS, "EdDSA": _ED25519})
"""The rows by every name that an issuer's list, a token or a JWK may use."""
