"""How Kong reads a JWT and judges its signature: with every place where it is kinder, or less kind, than a standard.

Signatures are judged with `cryptography` alone, so that what jotgate signs is judged by other code than its own.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import Struct

from jotgate.testing.kong_entities import ALGORITHMS

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_SIGNATURE_BYTES: Final = {"ES256": 64, "ES384": 96, "ES512": 132, "PS256": 256, "PS384": 256, "PS512": 256}
_Public = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class BadToken(Exception):
    """A token that cannot be read: the words that come behind `Bad token; `."""


class Unexpected(Exception):
    """An assertion of Kong that fails, which is a 500 and tells nothing; the text stands in its log."""


class KongToken(Struct, frozen=True):
    """A token as Kong reads it. Header and claims are whatever JSON stands there; Lua looks members up in both."""

    header: Any
    claims: Any
    signature: bytes
    signed: bytes

    def claim(self, name: str) -> Any:
        """A member of the claims. Raises Unexpected where Lua cannot look one up."""
        return member(self.claims, name)


def member(value: Any, name: str) -> Any:
    """What Lua finds under a name: nothing in lists and texts, a fault in numbers and booleans."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list | str):
        return None
    raise Unexpected(f"attempt to index a {type(value).__name__} value")


def read_token(text: str) -> KongToken:
    """Read a token. Raises BadToken, and Unexpected for a header in which nothing can be looked up."""
    parts = text.split(".", 2)
    try:
        header, claims = (_json(part) for part in parts[:2])
        # Without a third part there is nothing to decode, which is a fault of the same kind.
        signature = decoded(parts[2])
    except (ValueError, IndexError, RecursionError) as error:
        raise BadToken("invalid JSON") from error
    alg = member(header, "alg")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise BadToken("invalid alg")
    if claims is None or claims is False:
        raise BadToken("invalid claims")
    if signature is None:
        raise BadToken("invalid signature")
    return KongToken(header, claims, signature, f"{parts[0]}.{parts[1]}".encode("latin-1", "replace"))


def decoded(text: str) -> bytes | None:
    """Base64url as Kong decodes it: with or without padding, whatever stands behind that; None for other letters."""
    body = text.split("=", 1)[0]
    if not _ALPHABET.fullmatch(body) or len(body) % 4 == 1:
        return None
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))


def judged(token: KongToken, key: bytes) -> bool:
    """Whether the signature is that of this secret or PEM. Raises Unexpected where Kong asserts."""
    alg = token.header["alg"]
    if alg.startswith("HS"):
        digest = hmac.new(key, token.signed, getattr(hashlib, f"sha{alg[2:]}")).digest()
        return digest == token.signature  # Kong compares so too, not in constant time.
    public = _public(key)
    size = _SIGNATURE_BYTES.get(alg)
    if size is not None and len(token.signature) != size:
        raise Unexpected(f"Signature must be {size} bytes.")
    try:
        _verify(alg, public, token)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _verify(alg: str, public: _Public, token: KongToken) -> None:
    """Judge by what the key is: OpenSSL does so, whatever the name of the algorithm has promised."""
    if isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        if alg != "EdDSA":
            raise InvalidSignature
        public.verify(token.signature, token.signed)
        return
    if alg == "EdDSA":
        raise InvalidSignature
    digest = _HASHES[alg[2:]]
    if isinstance(public, rsa.RSAPublicKey):
        if alg.startswith("PS"):
            pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.AUTO)
            public.verify(token.signature, token.signed, pss, digest)
        else:
            public.verify(token.signature, token.signed, padding.PKCS1v15(), digest)
        return
    if alg.startswith("PS"):
        raise InvalidSignature
    public.verify(_der(token.signature) if alg.startswith("ES") else token.signature, token.signed, ec.ECDSA(digest))


def _der(raw: bytes) -> bytes:
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _public(pem: bytes) -> _Public:
    for load in (load_pem_public_key, lambda text: load_pem_private_key(text, None).public_key()):
        try:
            key = load(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if isinstance(key, _Public):
            return key
    raise Unexpected("Consumer Public Key is Invalid")


def _json(part: str) -> Any:
    raw = decoded(part)
    if raw is None:
        raise ValueError("not base64url")
    return json.loads(raw.decode("utf-8", "surrogateescape"))
