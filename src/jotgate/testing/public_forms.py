"""The forms in which a public key is found lying about; a confused verifier takes one for an HMAC secret."""

import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from jotgate.jose.keys import SigningKey, public_jwk, signing_key_to_pem, thumbprint
from jotgate.testing.forge import to_json

_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def public_forms(key: SigningKey) -> dict[str, bytes]:
    """The public key of an asymmetric key by the name of its form.

    Raises:
        KeyRefused: an HMAC key has no public key.
    """
    private = _private(key)
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = public_jwk(key.verification_key)
    return {
        "pem": pem,
        "pem_without_final_newline": pem.rstrip(),
        "pem_with_crlf": pem.replace(b"\n", b"\r\n"),
        "pem_after_newline": b"\n" + pem,
        "pem_after_space": b" " + pem,
        "pem_with_suffix": pem + b"suffix",
        "pem_with_prefix": b"prefix" + pem,
        "pem_with_two_newlines": pem + b"\n",
        "pem_with_space_behind": pem.rstrip() + b" ",
        "pem_with_nul_behind": pem + b"\0",
        "pem_with_bom": b"\xef\xbb\xbf" + pem,
        "pem_with_escaped_newlines": pem.replace(b"\n", b"\\n"),
        "pem_in_one_line": pem.replace(b"\n", b" "),
        "pem_twice": pem + pem,
        "certificate_pem": _certificate(private).public_bytes(Encoding.PEM),
        "pem_body": b"".join(pem.splitlines()[1:-1]),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "openssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "jwk": to_json(jwk),
        "jwk_of_thumbprint": _required(jwk),
        "jwk_with_spaces": json.dumps(jwk).encode(),
        "jwk_with_indents": json.dumps(jwk, indent=2).encode(),
        "jwks": to_json({"keys": [jwk]}),
    }


def bare_forms(key: SigningKey) -> dict[str, bytes]:
    """Further forms, which nothing marks as a public key.

    Raises:
        KeyRefused: an HMAC key has no public key.
    """
    private = _private(key)
    jwk = public_jwk(key.verification_key)
    forms = {
        "certificate_der": _certificate(private).public_bytes(Encoding.DER),
        "thumbprint": thumbprint(jwk).encode(),
        "kid": key.kid.encode(),
        "jwk_number": jwk["n" if "n" in jwk else "x"].encode(),
    }
    return forms | {f"raw_{name}": raw for name, raw in _raw_forms(private.public_key()).items()}


def _raw_forms(public: _Public) -> dict[str, bytes]:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return {
            "point": public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
            "compressed_point": public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        }
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"point": public.public_bytes_raw()}
    numbers = public.public_numbers()
    return {
        "pkcs1": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        "modulus": numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8),
    }


def _private(key: SigningKey) -> _Private:
    private = load_pem_private_key(signing_key_to_pem(key), password=None)
    assert isinstance(private, _Private)
    return private


def _required(jwk: dict[str, str]) -> bytes:
    """The JSON over which the thumbprint is computed (RFC 7638 s3)."""
    return to_json({name: jwk[name] for name in sorted(jwk) if name not in ("alg", "kid", "use")})


def _certificate(private: _Private) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    algorithm = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(private, algorithm)
