"""The certificates of Casdoor's stand-in and what they sign; made and read with `cryptography` alone."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1()}
ALGORITHMS: Final = ("RS256", "RS512", "ES256", "ES384")


class Cert:
    """One certificate of Casdoor: its name, which is the `kid` of its tokens, its algorithm and its key."""

    def __init__(self, name: str, algorithm: str, *, fresh: bool = False) -> None:
        self.name = name
        self.algorithm = algorithm
        if algorithm.startswith("RS"):
            self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = _new_rsa() if fresh else _first_rsa()
        else:
            self._key = ec.generate_private_key(_CURVES[algorithm])
        self._der = _certificate(self._key, name)

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public key as Casdoor publishes it."""
        told = {"use": "sig", "kid": self.name, "alg": self.algorithm, "x5c": [base64.b64encode(self._der).decode()]}
        if isinstance(self._key, rsa.RSAPrivateKey):
            numbers = self._key.public_key().public_numbers()
            return {"kty": "RSA", **told, "n": _number(numbers.n), "e": _number(numbers.e)}
        point = self._key.public_key().public_numbers()
        size = (self._key.curve.key_size + 7) // 8
        return {
            "kty": "EC",
            **told,
            "crv": {256: "P-256", 384: "P-384"}[self._key.curve.key_size],
            "x": encoded(point.x.to_bytes(size)),
            "y": encoded(point.y.to_bytes(size)),
        }

    def sign(self, claims: Mapping[str, Any], **header: object) -> str:
        """A JWT with these claims; members of its header may be others."""
        head = {"alg": self.algorithm, "kid": self.name, "typ": "JWT", **header}
        signed = f"{encoded(_json(head))}.{encoded(_json(claims))}"
        return f"{signed}.{encoded(self._signature(signed.encode('ascii')))}"

    def reads(self, token: str) -> dict[str, Any] | None:
        """The claims of a JWT that this certificate signed; None for every other text."""
        parts = token.split(".")
        try:
            head, claims, signature = (_decoded(part) for part in parts)
            told: dict[str, Any] = json.loads(claims)
            if json.loads(head).get("alg") != self.algorithm:
                return None
            self._verify(signature, f"{parts[0]}.{parts[1]}".encode("ascii"))
        except (ValueError, InvalidSignature):
            return None
        return told

    @property
    def _hash(self) -> hashes.HashAlgorithm:
        return _HASHES[self.algorithm[2:]]

    def _signature(self, signed: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(signed, padding.PKCS1v15(), self._hash)
        size = (self._key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(self._hash)))
        return r.to_bytes(size) + s.to_bytes(size)

    def _verify(self, signature: bytes, signed: bytes) -> None:
        if isinstance(self._key, rsa.RSAPrivateKey):
            self._key.public_key().verify(signature, signed, padding.PKCS1v15(), self._hash)
            return
        half = len(signature) // 2
        pair = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        self._key.public_key().verify(pair, signed, ec.ECDSA(self._hash))


def encoded(raw: bytes) -> str:
    """Bytes in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8))


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


@cache
def _first_rsa() -> rsa.RSAPrivateKey:
    """The first RSA key of every stand-in of this process: making one takes longer than most tests."""
    return _new_rsa()


def _new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def _certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, name: str) -> bytes:
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(named).issuer_name(named).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=7300))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
