"""Knows a public key that was put where a secret belongs, in whatever form it was found lying about.

Only what no random bytes look like is known: a modulus, a compressed point, a point of Ed25519, a coordinate or a
thumbprint are as good as any others to whoever does not know the key.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from jotgate.jose.algorithms import ALGORITHMS, Ecdsa

_MARKS: Final = (b"-----BEGIN ", b"ssh-", b"ecdsa-sha2-", b'"kty"')

# Object identifiers in DER that say what key follows, in a SubjectPublicKeyInfo, a certificate and a PKCS #8 key.
_KEY_TYPES: Final = tuple(
    map(
        bytes.fromhex,
        (
            "06092a864886f70d010101",  # rsaEncryption (RFC 8017 appendix C)
            "06092a864886f70d01010a",  # id-RSASSA-PSS (RFC 4055 s3.1)
            "06072a8648ce3d0201",  # id-ecPublicKey (RFC 5480 s2.1.1)
            "300506032b6570",  # id-Ed25519 (RFC 8410 s3), with the sequence that it stands in
        ),
    )
)
_CURVES: Final = tuple(row.scheme for row in ALGORITHMS.values() if isinstance(row.scheme, Ecdsa))
_BLANK: Final = re.compile(rb"\s|\\[rn]|\0|\xef\xbb\xbf")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_HEX: Final = re.compile(rb"(?:0x)?((?:[0-9a-fA-F]{2}:?)+)")


def is_public_key(secret: bytes) -> bool:
    """Whether the bytes are a public key: as text (PEM, OpenSSH, JWK), in DER, as a point, or those in base64."""
    return any(mark in secret for mark in _MARKS) or any(map(_is_binary_key, _readings(secret)))


def _readings(secret: bytes) -> Iterator[bytes]:
    """The bytes, and what they stand for as base64 in both alphabets, with or without padding, and as hex."""
    yield secret
    text = _BLANK.sub(b"", secret)
    base64 = text.replace(b"-", b"+").replace(b"_", b"/")
    if _BASE64.fullmatch(base64):
        try:
            yield a2b_base64(base64.rstrip(b"=") + b"==")
        except Base64Error:
            pass
    if found := _HEX.fullmatch(text):
        yield bytes.fromhex(found[1].replace(b":", b"").decode())


def _is_binary_key(raw: bytes) -> bool:
    return any(one in raw for one in _KEY_TYPES) or _is_der(raw) or _is_point(raw)


def _is_der(raw: bytes) -> bool:
    try:
        load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _is_point(raw: bytes) -> bool:
    """Whether it is an uncompressed point of one of the curves (SEC 1 s2.3.3)."""
    for curve in _CURVES:
        if len(raw) == 1 + 2 * curve.size:
            try:
                ec.EllipticCurvePublicKey.from_encoded_point(curve.group, raw)
            except ValueError:
                continue
            return True
    return False
