"""Signing and verifying by key type: each class binds one key to one row of the algorithm table.

A key is checked when it is bound (RFC 7518 s3.2-3.4, RFC 8037 s2, RFC 8725 s3.4), so that nothing remains to
be decided when a signature is verified. Private parts have no string form and are not pickled.
"""

import hmac
from hashlib import sha256, sha384, sha512
from typing import Final, Protocol, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from jotgate.errors import KeyRefused
from jotgate.jose.algorithms import Algorithm, Ecdsa, Hmac, Rsa
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.public_marks import is_public_key
from jotgate.jose.weak_moduli import is_of_flawed_generator

RSA_BITS_MAX: Final = 8_192  # a longer modulus makes each verification a burden
RSA_EXPONENT_BITS_MAX: Final = 32
HMAC_DISTINCT_BYTES_MIN: Final = 8  # 32 random bytes have fewer with a chance of about 2^-140

_HASHES: Final = {"sha256": sha256, "sha384": sha384, "sha512": sha512}
_DER_HIGH: Final = 0x80

_ED25519_PRIME: Final = 2**255 - 19
_ED25519_D: Final = -121_665 * pow(121_666, -1, _ED25519_PRIME) % _ED25519_PRIME
_ED25519_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
_ED25519_SMALL_ORDER: Final = frozenset((0, 1, _ED25519_PRIME - 1, _ED25519_ORDER_8, _ED25519_PRIME - _ED25519_ORDER_8))


class Verifier(Protocol):
    """A key that verifies with one algorithm."""

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature is good; never an error, whatever the bytes are."""
        ...

    def public_members(self) -> dict[str, str]:
        """The required members of the public JWK; KeyRefused where no public form exists."""
        ...

    def public_pem(self) -> bytes:
        """The public key in PEM (SubjectPublicKeyInfo); KeyRefused where no public form exists."""
        ...


class Signer(Protocol):
    """A key that signs with one algorithm."""

    def sign(self, signing_input: bytes) -> bytes: ...

    def verifier(self) -> Verifier: ...

    def pem(self) -> bytes:
        """The private key as unencrypted PKCS #8; KeyRefused where there is no such form."""
        ...


@final
class EcVerifier:
    """ECDSA with a signature R‖S of fixed length (RFC 7518 s3.4)."""

    __slots__ = ("_frames", "_hash", "_key", "_mode", "_order", "_row", "_size", "_zero")

    def __init__(self, row: Algorithm, scheme: Ecdsa, key: ec.EllipticCurvePublicKey) -> None:
        if key.curve.name != scheme.group.name:
            raise KeyRefused(f"the key is not one for {row.name}")
        self._frames = _der_frames(scheme.size)
        self._hash = _HASHES[scheme.hash.name]
        self._key = key
        self._mode = ec.ECDSA(Prehashed(scheme.hash))
        self._order = scheme.order.to_bytes(scheme.size)
        self._row = row
        self._size = scheme.size
        self._zero = bytes(scheme.size)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        size, zero, order = self._size, self._zero, self._order
        if len(signature) != 2 * size:
            return False
        r, s = signature[:size], signature[size:]
        # r and s outside [1, n-1] are refused here and not left to the library (CVE-2022-21449). Both s and n-s are
        # good: RFC 7518 asks for no low s, so nothing may take the signature for a token's identity. Of the same
        # length and with the highest byte first, they compare as their numbers do.
        first, second = r[0], s[0]
        if first and second and r < order and s < order:  # As nearly always: their first bits decide what is around.
            head, middle = self._frames[(first >> 7) * 2 + (second >> 7)]
            der = head + r + middle + s
        elif zero < r < order and zero < s < order:
            der = dss_signature(r, s)
        else:
            return False
        try:
            self._key.verify(der, self._hash(signing_input).digest(), self._mode)
        except InvalidSignature:
            return False
        return True

    def public_members(self) -> dict[str, str]:
        point, size = self._key.public_numbers(), self._size
        crv = str(self._row.crv)
        return {
            "crv": crv,
            "kty": "EC",
            "x": _text(point.x.to_bytes(size)),
            "y": _text(point.y.to_bytes(size)),
        }

    def public_pem(self) -> bytes:
        return _spki(self._key)


@final
class EcSigner:
    """ECDSA with deterministic nonces (RFC 6979; RFC 8725 s3.2)."""

    __slots__ = ("_key", "_mode", "_row", "_scheme")

    def __init__(self, row: Algorithm, scheme: Ecdsa, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._mode = ec.ECDSA(scheme.hash, deterministic_signing=True)
        self._row = row
        self._scheme = scheme

    def sign(self, signing_input: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(signing_input, self._mode))
        return r.to_bytes(self._scheme.size) + s.to_bytes(self._scheme.size)

    def verifier(self) -> EcVerifier:
        return EcVerifier(self._row, self._scheme, self._key.public_key())

    def pem(self) -> bytes:
        return _pkcs8(self._key)


def dss_signature(r: bytes, s: bytes) -> bytes:
    """The DER form (RFC 3279 s2.2.3) of a signature of two positive integers, of at most 66 bytes each."""
    # X.690 s8.3.2: no zeros in front, but for the one that keeps a first bit from being a minus sign.
    r, s = r.lstrip(b"\0"), s.lstrip(b"\0")
    if r[0] >= _DER_HIGH:
        r = b"\0" + r
    if s[0] >= _DER_HIGH:
        s = b"\0" + s
    size = len(r) + len(s) + 4
    head = b"\x30" if size < _DER_HIGH else b"\x30\x81"  # X.690 s8.1.3: where the length begins with a byte more
    return b"%b%c\x02%c%b\x02%c%b" % (head, size, len(r), r, len(s), s)


def _der_frames(size: int) -> tuple[tuple[bytes, bytes], ...]:
    """What stands before r and between r and s in `dss_signature`, if neither begins with a zero byte.

    Of the four the index is twice the first bit of r and the first bit of s.
    """
    frames = []
    for first in (b"\x01", b"\xff"):
        for second in (b"\x01", b"\xff"):
            r, s = first * size, second * size
            head, _, rest = dss_signature(r, s).partition(r)
            frames.append((head, rest.removesuffix(s)))
    return tuple(frames)


def check_rsa_numbers(row: Algorithm, n: int, e: int) -> None:
    """Refuse a modulus or an exponent out of bounds; the library's own bounds are wider and may change.

    Raises:
        KeyRefused: naming what is out of bounds; or the modulus is one whose factors can be computed.
    """
    if not row.key_bits_min <= n.bit_length() <= RSA_BITS_MAX:
        raise KeyRefused(f"an RSA key has {row.key_bits_min} to {RSA_BITS_MAX} bits, and this one does not")
    if n % 2 == 0:
        raise KeyRefused("the RSA modulus is even")
    if is_of_flawed_generator(n):
        raise KeyRefused(
            "the RSA key comes from a flawed generator, and its private part can be computed (CVE-2017-15361)",
            hint="Make a new key pair elsewhere, and take this one out of use",
        )
    if e < 3 or e % 2 == 0 or e.bit_length() > RSA_EXPONENT_BITS_MAX:
        raise KeyRefused(f"the RSA exponent is not odd, at least 3 and of at most {RSA_EXPONENT_BITS_MAX} bits")


@final
class RsaVerifier:
    """RSA; the modulus and the exponent are within bounds (RFC 7518 s3.3; RFC 8017 s3.1)."""

    __slots__ = ("_key", "_row", "_scheme", "_size")

    def __init__(self, row: Algorithm, scheme: Rsa, key: rsa.RSAPublicKey) -> None:
        numbers = key.public_numbers()
        check_rsa_numbers(row, numbers.n, numbers.e)
        self._key = key
        self._row = row
        self._scheme = scheme
        self._size = (key.key_size + 7) // 8

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != self._size:
            return False
        try:
            self._key.verify(signature, signing_input, self._scheme.padding, self._scheme.hash)
        except InvalidSignature:
            return False
        return True

    def public_members(self) -> dict[str, str]:
        numbers = self._key.public_numbers()
        return {"e": _minimal(numbers.e), "kty": "RSA", "n": _minimal(numbers.n)}

    def public_pem(self) -> bytes:
        return _spki(self._key)


@final
class RsaSigner:
    """RSA signatures; the private key was checked for consistency when it was loaded."""

    __slots__ = ("_key", "_row", "_scheme")

    def __init__(self, row: Algorithm, scheme: Rsa, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self._row = row
        self._scheme = scheme

    def sign(self, signing_input: bytes) -> bytes:
        return self._key.sign(signing_input, self._scheme.padding, self._scheme.hash)

    def verifier(self) -> RsaVerifier:
        return RsaVerifier(self._row, self._scheme, self._key.public_key())

    def pem(self) -> bytes:
        return _pkcs8(self._key)


@final
class OkpVerifier:
    """Ed25519 (RFC 8032 s5.1, RFC 8037); points off the curve or of small order are refused."""

    __slots__ = ("_key", "_row")

    def __init__(self, row: Algorithm, key: ed25519.Ed25519PublicKey) -> None:
        if not _is_sound_point(key.public_bytes_raw()):
            raise KeyRefused("the OKP key is not a usable point of the curve")
        self._key = key
        self._row = row

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != self._row.signature_bytes:
            return False
        try:
            self._key.verify(signature, signing_input)
        except InvalidSignature:
            return False
        return True

    def public_members(self) -> dict[str, str]:
        return {"crv": str(self._row.crv), "kty": "OKP", "x": _text(self._key.public_bytes_raw())}

    def public_pem(self) -> bytes:
        return _spki(self._key)


@final
class OkpSigner:
    """Ed25519 signatures."""

    __slots__ = ("_key", "_row")

    def __init__(self, row: Algorithm, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self._row = row

    def sign(self, signing_input: bytes) -> bytes:
        return self._key.sign(signing_input)

    def verifier(self) -> OkpVerifier:
        return OkpVerifier(self._row, self._key.public_key())

    def pem(self) -> bytes:
        return _pkcs8(self._key)


@final
class HmacKey:
    """HMAC (RFC 7518 s3.2): one secret both signs and verifies, and has neither a public form nor a PEM."""

    __slots__ = ("_hash", "_secret")

    def __init__(self, row: Algorithm, scheme: Hmac, secret: bytes) -> None:
        if len(secret) * 8 < row.key_bits_min:
            raise KeyRefused(
                f"an HMAC secret for {row.name} has at least {row.key_bits_min // 8} bytes",
                hint="Make one with: openssl rand -base64 48",
            )
        if len(set(secret)) < HMAC_DISTINCT_BYTES_MIN:
            raise KeyRefused("the HMAC secret is one of a few repeated bytes", hint="Use random bytes")
        if is_public_key(secret):
            raise KeyRefused("the HMAC secret has the form of a public key", hint="Use random bytes")
        self._hash = scheme.hash.name
        self._secret = secret

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("an HMAC key is not pickled")

    def sign(self, signing_input: bytes) -> bytes:
        return hmac.digest(self._secret, signing_input, self._hash)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(signing_input), signature)

    def verifier(self) -> "HmacKey":
        return self

    def public_members(self) -> dict[str, str]:
        raise KeyRefused("an HMAC key has no public form")

    def public_pem(self) -> bytes:
        raise KeyRefused("an HMAC key has no public form")

    def pem(self) -> bytes:
        raise KeyRefused("an HMAC key has no PEM form")


def _pkcs8(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        encoding=serialization.Encoding.PEM,
        format=serialization.PrivateFormat.PKCS8,
        encryption_algorithm=serialization.NoEncryption(),
    )


def _spki(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _text(raw: bytes) -> str:
    return b64url_encode(raw).decode()


def _minimal(number: int) -> str:
    """Base64urlUInt (RFC 7518 s2): the fewest bytes that hold the number."""
    return _text(number.to_bytes((number.bit_length() + 7) // 8))


def _is_sound_point(raw: bytes) -> bool:
    """Whether the bytes are the canonical form of an Ed25519 point whose order is not small.

    With a point of small order as its key, one signature is good for many messages. The library takes such
    keys.
    """
    y = int.from_bytes(raw, "little") & (2**255 - 1)  # the top bit is the sign of x
    if y >= _ED25519_PRIME or y in _ED25519_SMALL_ORDER:
        return False
    y_squared = y * y % _ED25519_PRIME
    x_squared = (y_squared - 1) * pow(_ED25519_D * y_squared + 1, -1, _ED25519_PRIME) % _ED25519_PRIME
    return pow(x_squared, (_ED25519_PRIME - 1) // 2, _ED25519_PRIME) == 1
