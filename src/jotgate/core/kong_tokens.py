"""The tokens that Kong's jwt plugin takes: what one says, what signs it, and what Kong has to know to verify it.

A token has a key of its own. Of a key pair Kong gets the public half, and the private half signs this one token and is
forgotten. A secret Kong gets in base64, since the document's plugin has `secret_is_base64`; Kong decodes that as
base64url, whatever alphabet it was written in, so a secret is one that both alphabets write alike.
"""

from base64 import b64encode
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.values import Secret
from jotgate.jose.encoding import b64url_encode, encode_object
from jotgate.jose.jws import attach
from jotgate.jose.keys import SigningKey, generate, hmac_key, verification_key_to_pem

KongAlgorithm = Literal["HS256", "ES256", "RS256", "EdDSA"]
"""What a token can be signed with, in Kong's names."""

SECRET_BYTES: Final = 32
HS256: Final = "HS256"
_NAMES: Final = {"EdDSA": "Ed25519"}
_APART: Final = frozenset("+/")
"""What base64url writes otherwise (RFC 4648 s5)."""


class KongClaims(Struct, frozen=True):
    """What a token says: the user as `iss`, the credential's key as `kid`, and its times (NumericDate)."""

    iss: str
    kid: str
    exp: int
    iat: int


class Minted(Struct, frozen=True):
    """A token, and what Kong verifies it with: a secret in base64, or a public key in PEM."""

    token: Secret
    secret: Secret | None
    public_key_pem: str | None


def survives(octets: bytes) -> bool:
    """Whether both alphabets of base64 write these bytes alike; a quarter of all 32 bytes are such."""
    return _APART.isdisjoint(b64encode(octets).decode("ascii"))


def mint_with_secret(claims: KongClaims, octets: bytes) -> Minted:
    """A token that is signed with a secret, of `SECRET_BYTES` bytes; Kong gets it in base64."""
    token = _sign(claims, HS256, hmac_key(octets, HS256, claims.kid))
    return Minted(token, Secret(b64encode(octets).decode("ascii")), None)


def mint_with_pair(claims: KongClaims, algorithm: str) -> Minted:
    """A token that is signed with a new key pair, whose private key is gone when this returns.

    That of RSA takes its time: a second, if it comes to the worst.
    """
    key = generate(_NAMES.get(algorithm, algorithm))
    return Minted(_sign(claims, algorithm, key), None, verification_key_to_pem(key.verification_key).decode("ascii"))


def _sign(claims: KongClaims, algorithm: str, key: SigningKey) -> Secret:
    """The token. Kong takes `EdDSA` (RFC 8037) and no other name for it, and a `kid` in either part."""
    header = {"alg": algorithm, "kid": claims.kid, "typ": "JWT"}
    told = {"iss": claims.iss, "kid": claims.kid, "exp": claims.exp, "iat": claims.iat}
    parts = (encode_object(header, "token's header"), encode_object(told, "claims set"))
    signing_input = b".".join(map(b64url_encode, parts))
    token = attach(signing_input, key.sign(signing_input), key.verification_key, trusted=True)
    return Secret(token.decode("ascii"))
