"""Key material: new keys, JWK members, PEM. What comes out is checked and bound to one algorithm.

The bytes are untrusted until then: every fault, whatever the library says about it, is a KeyRefused that
names the member at fault and never its value.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PSS
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from jotgate.errors import KeyRefused, TokenMalformed
from jotgate.jose.algorithms import Algorithm, Ecdsa, Eddsa, Rsa
from jotgate.jose.encoding import b64url_decode
from jotgate.jose.primitives import (
    EcSigner,
    EcVerifier,
    HmacKey,
    OkpSigner,
    OkpVerifier,
    RsaSigner,
    RsaVerifier,
    Signer,
    Verifier,
)

PRIVATE_MEMBERS: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"))

_RSA_EXPONENT: Final = 65_537
_RANDOM_BITS: Final = 256
_PSS_ONLY: Final = bytes.fromhex("06092a864886f70d01010a")  # id-RSASSA-PSS (RFC 4055 s3.1) in DER


def generate_signer(row: Algorithm) -> Signer:
    """Make a key of the row's least size from the operating system's randomness."""
    scheme = row.scheme
    if isinstance(scheme, Ecdsa):
        return EcSigner(row, scheme, ec.generate_private_key(scheme.group))
    if isinstance(scheme, Rsa):
        return RsaSigner(row, scheme, rsa.generate_private_key(_RSA_EXPONENT, row.key_bits_min))
    if isinstance(scheme, Eddsa):
        return OkpSigner(row, ed25519.Ed25519PrivateKey.generate())
    return HmacKey(row, scheme, random_octets(row.key_bits_min // 8))


def random_octets(size: int) -> bytes:
    """Bytes from the generator that makes all other keys here."""
    return b"".join(AESGCM.generate_key(_RANDOM_BITS) for _ in range(-(-size * 8 // _RANDOM_BITS)))[:size]


def verifier_from_members(row: Algorithm, jwk: Mapping[str, object]) -> Verifier:
    """Read the public members of a JWK whose `kty` and `crv` are the row's (RFC 7518 s6, RFC 8037 s2).

    Raises:
        KeyRefused: a member is missing or malformed, or the key is none that the algorithm may use.
    """
    scheme = row.scheme
    try:
        if isinstance(scheme, Ecdsa):
            return EcVerifier(row, scheme, _ec_numbers(scheme, jwk).public_key())
        if isinstance(scheme, Rsa):
            return RsaVerifier(row, scheme, _rsa_numbers(jwk).public_key())
        if isinstance(scheme, Eddsa):
            return OkpVerifier(row, ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk, "x", scheme.size)))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused("the JWK's numbers are not those of a key") from None
    raise KeyRefused("an HMAC key has no public form")


def signer_from_members(row: Algorithm, jwk: Mapping[str, object]) -> Signer:
    """Read a private JWK; its private and its public members belong together, or it is refused.

    Raises:
        KeyRefused: as `verifier_from_members`, or the private part is missing or of another key.
    """
    scheme = row.scheme
    try:
        if isinstance(scheme, Ecdsa):
            secret = int.from_bytes(_octets(jwk, "d", scheme.size))
            numbers = ec.EllipticCurvePrivateNumbers(secret, _ec_numbers(scheme, jwk))
            return EcSigner(row, scheme, numbers.private_key())
        if isinstance(scheme, Rsa):
            return RsaSigner(row, scheme, _rsa_private_key(jwk))
        if isinstance(scheme, Eddsa):
            return OkpSigner(row, _okp_private_key(scheme, jwk))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused("the JWK's numbers are not those of a key, or its parts do not match") from None
    return HmacKey(row, scheme, _octets(jwk, "k"))


def signer_from_pem(row: Algorithm, pem: bytes) -> Signer:
    """Read an unencrypted private key in PEM (PKCS #8) for one algorithm.

    Raises:
        KeyRefused: it is not one, it is encrypted, or it is a key for another algorithm.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused(
            "the PEM holds no private key that can be read",
            hint="Give one unencrypted PKCS #8 private key: openssl pkcs8 -topk8 -nocrypt",
        ) from None
    scheme = row.scheme
    if isinstance(scheme, Ecdsa) and isinstance(key, ec.EllipticCurvePrivateKey):
        return EcSigner(row, scheme, key)
    if isinstance(scheme, Rsa) and isinstance(key, rsa.RSAPrivateKey):
        if _is_for_pss_only(pem) and not isinstance(scheme.padding, PSS):
            raise KeyRefused(f"the RSA key in the PEM is one for PSS, and {row.name} is not")
        return RsaSigner(row, scheme, key)
    if isinstance(scheme, Eddsa) and isinstance(key, ed25519.Ed25519PrivateKey):
        return OkpSigner(row, key)
    raise KeyRefused(f"the private key in the PEM is not one for {row.name}")


def verifier_from_pem(row: Algorithm, pem: bytes) -> Verifier:
    """Read a public key in PEM (SubjectPublicKeyInfo) for one algorithm.

    Raises:
        KeyRefused: it is not one, or it is a key for another algorithm.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused("the PEM holds no public key that can be read") from None
    scheme = row.scheme
    if isinstance(scheme, Ecdsa) and isinstance(key, ec.EllipticCurvePublicKey):
        return EcVerifier(row, scheme, key)
    if isinstance(scheme, Rsa) and isinstance(key, rsa.RSAPublicKey):
        return RsaVerifier(row, scheme, key)
    if isinstance(scheme, Eddsa) and isinstance(key, ed25519.Ed25519PublicKey):
        return OkpVerifier(row, key)
    raise KeyRefused(f"the public key in the PEM is not one for {row.name}")


def _is_for_pss_only(pem: bytes) -> bool:
    """Whether the key says of itself that it signs with PSS alone (RFC 4055 s1.2); the library does not tell."""
    body = pem.partition(b"-----BEGIN PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        return _PSS_ONLY in a2b_base64(body)[:64]
    except Base64Error:
        return False


def _ec_numbers(scheme: Ecdsa, jwk: Mapping[str, object]) -> ec.EllipticCurvePublicNumbers:
    x = int.from_bytes(_octets(jwk, "x", scheme.size))
    y = int.from_bytes(_octets(jwk, "y", scheme.size))
    if x >= scheme.prime or y >= scheme.prime:  # the library takes them modulo the prime: a point has one form
        raise KeyRefused("the JWK's coordinates are not those of a point of the curve")
    return ec.EllipticCurvePublicNumbers(x, y, scheme.group)


def _rsa_numbers(jwk: Mapping[str, object]) -> rsa.RSAPublicNumbers:
    return rsa.RSAPublicNumbers(e=_uint(jwk, "e"), n=_uint(jwk, "n"))


def _rsa_private_key(jwk: Mapping[str, object]) -> rsa.RSAPrivateKey:
    if "oth" in jwk:
        raise KeyRefused("an RSA key of more than two primes is not taken")
    return rsa.RSAPrivateNumbers(
        p=_uint(jwk, "p"),
        q=_uint(jwk, "q"),
        d=_uint(jwk, "d"),
        dmp1=_uint(jwk, "dp"),
        dmq1=_uint(jwk, "dq"),
        iqmp=_uint(jwk, "qi"),
        public_numbers=_rsa_numbers(jwk),
    ).private_key()


def _okp_private_key(scheme: Eddsa, jwk: Mapping[str, object]) -> ed25519.Ed25519PrivateKey:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(_octets(jwk, "d", scheme.size))
    if key.public_key().public_bytes_raw() != _octets(jwk, "x", scheme.size):
        raise KeyRefused("the JWK's private part is not that of its public part")
    return key


def _octets(jwk: Mapping[str, object], name: str, size: int | None = None) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise KeyRefused(f"the JWK member '{name}' is missing or not base64url")
    try:
        raw = b64url_decode(value.encode())
    except TokenMalformed:
        raise KeyRefused(f"the JWK member '{name}' is missing or not base64url") from None
    if size is not None and len(raw) != size:
        raise KeyRefused(f"the JWK member '{name}' is not of {size} bytes")
    return raw


def _uint(jwk: Mapping[str, object], name: str) -> int:
    """Base64urlUInt (RFC 7518 s2): no leading zero bytes, so that a number has one form."""
    raw = _octets(jwk, name)
    if not raw or raw[0] == 0:
        raise KeyRefused(f"the JWK member '{name}' is not a number of the fewest bytes")
    return int.from_bytes(raw)
