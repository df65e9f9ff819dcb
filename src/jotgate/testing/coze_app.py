"""The OAuth app of Coze's stand-in: its key pairs, and what it says of a JWT.

The JWT is read with `cryptography` alone, so that what jotgate signs is judged by other code than its own.
"""

import base64
import binascii
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from msgspec import Struct

from jotgate.testing.coze_told import APP_ID, CozeTold

KEYS_MAX: Final = 3
_LEEWAY_S: Final = 60
_Part = TypeVar("_Part")


class OAuthRefused(Exception):
    """A refusal of the token endpoint: `error_code`, text and status."""

    def __init__(self, error: str, message: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.message = message
        self.status = status


class Named(Struct, frozen=True):
    """What a JWT says of the session that its token is for."""

    session_name: str = ""
    session_context: msgspec.Raw = msgspec.Raw(b"")


class Claims(Struct, frozen=True):
    """The claims that Coze reads."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    session_name: str = ""


class _Header(Struct, frozen=True):
    alg: str
    kid: str
    typ: str = "JWT"


class CozeApp:
    """The app with up to three key pairs. JWTs are taken once each."""

    def __init__(self, told: CozeTold, own_host: Callable[[], str]) -> None:
        self._told = told
        self._own_host = own_host
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._used: set[str] = set()
        self.key_id = ""

    @property
    def private_key_pem(self) -> str:
        """The newest private key as PKCS #8 in PEM."""
        return _pem(self._keys[self.key_id])

    def add_key(self) -> tuple[str, str]:
        """Register another pair: its key ID and private PEM. Raises ValueError when there are three already."""
        if len(self._keys) >= KEYS_MAX:
            raise ValueError(f"the app has {KEYS_MAX} key pairs already: delete one")
        key = generate() if self._keys else _first_key()
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = sha256(public).hexdigest()[:43]
        self._keys[self.key_id] = key
        return self.key_id, _pem(key)

    def drop_key(self, key_id: str) -> None:
        """Delete a pair. Raises KeyError for an unknown one."""
        del self._keys[key_id]
        if self.key_id == key_id:
            self.key_id = next(reversed(self._keys), "")

    def key_id_of(self, token: str) -> str:
        """The `kid` that a JWT names; empty when it cannot be read."""
        try:
            return msgspec.json.decode(_decoded(token.partition(".")[0]), type=_Header).kid
        except (OAuthRefused, msgspec.DecodeError):
            return ""

    def claimed(self, token: str) -> Named:
        """What a JWT claims of its session, verified or not; nothing when it cannot be read."""
        try:
            return msgspec.json.decode(_decoded(token.split(".")[1]), type=Named)
        except (OAuthRefused, msgspec.DecodeError, IndexError):
            return Named()

    def verified(self, token: str) -> Claims:
        """The claims of a good JWT, which is spent by this. Raises OAuthRefused for any other."""
        if not token:
            raise _invalid("verify jwt empty error")
        parts = token.split(".")
        if len(parts) != 3:
            raise _invalid("invalid jwt: not three parts")
        header = _read(parts[0], _Header)
        if (header.alg, header.typ) != ("RS256", "JWT"):
            raise _invalid(f"invalid jwt: alg {header.alg}, typ {header.typ}")
        key = self._keys.get(header.kid)
        if key is None:
            raise _invalid("invalid jwt: kid not been registred")
        try:
            key.public_key().verify(
                _decoded(parts[2]), f"{parts[0]}.{parts[1]}".encode("ascii"), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature as error:
            raise _invalid("invalid jwt: signature") from error
        claims = _read(parts[1], Claims)
        self._judge(claims)
        self._used.add(claims.jti)
        return claims

    def _judge(self, claims: Claims) -> None:
        now_s = self._told.now_s()
        if claims.iss != APP_ID:
            raise _invalid("invalid jwt: iss")
        if claims.aud not in self._told.audiences | {self._own_host()}:
            raise _invalid("invalid jwt: aud")
        if claims.iat > now_s + _LEEWAY_S or claims.exp <= claims.iat or claims.exp <= now_s:
            raise _invalid("invalid jwt: token is expired or not valid yet")
        if not claims.jti:
            raise _invalid("invalid jwt: jti")
        if claims.jti in self._used:
            raise _invalid("invalid jwt: jti has been used")


def generate() -> rsa.RSAPrivateKey:
    """A new key of the size that Coze makes."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def _first_key() -> rsa.RSAPrivateKey:
    """The first key of every stand-in of this process: making one takes longer than most tests."""
    return generate()


def _invalid(message: str) -> OAuthRefused:
    return OAuthRefused("invalid_client", message, 401)


def _read(part: str, kind: type[_Part]) -> _Part:
    try:
        return msgspec.json.decode(_decoded(part), type=kind)
    except msgspec.DecodeError as error:
        raise _invalid(f"invalid jwt: {error}") from error


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("invalid jwt: not base64url") from error


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
