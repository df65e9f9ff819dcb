"""Puts tokens together that jotgate itself would never make: any header, any payload, any signature."""

import hmac
import json
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from jotgate.jose.encoding import b64url_encode
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE
from jotgate.jose.keys import SigningKey

LIFETIME_S: Final = 600


class Absent:
    """Stands for a member that is left out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


def assemble(header: bytes, payload: bytes, signature: bytes) -> bytes:
    """The three parts in base64url with dots between them, whatever they are."""
    return b".".join(map(b64url_encode, (header, payload, signature)))


def to_json(members: object) -> bytes:
    """Compact JSON with what strict JSON has not: NaN, Infinity and escaped lone surrogates."""
    return json.dumps(members, separators=(",", ":")).encode()


class Forge:
    """Makes tokens around one signing key, which is that of the verifier who shall refuse them.

    `now_s` is in seconds since the epoch. Wherever members are given, `ABSENT` leaves one out.
    """

    def __init__(self, key: SigningKey, issuer: str, audience: str, now_s: float) -> None:
        self.key = key
        self.issuer = issuer
        self.audience = audience
        self.now_s = int(now_s)

    def header(self, **changes: object) -> dict[str, object]:
        """The header of a good token, changed."""
        return _changed({"typ": ACCESS_TOKEN_TYPE, "alg": self.key.algorithm.name, "kid": self.key.kid}, changes)

    def claims(self, **changes: object) -> dict[str, object]:
        """The claims of a good access token (RFC 9068 s2.2), changed."""
        good = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": self.audience,
            "exp": self.now_s + LIFETIME_S,
            "iat": self.now_s,
            "jti": uuid4().hex,
            "client_id": "jotgate-cli",
            "scope": "ai",
        }
        return _changed(good, changes)

    def seal(self, header: Mapping[str, object] | bytes, payload: object | bytes) -> bytes:
        """A token with a good signature over whatever stands in it; bytes are taken as they are."""
        raw_header = header if isinstance(header, bytes) else to_json(header)
        raw_payload = payload if isinstance(payload, bytes) else to_json(payload)
        signing_input = b64url_encode(raw_header) + b"." + b64url_encode(raw_payload)
        return signing_input + b"." + b64url_encode(self.key.sign(signing_input))

    def seal_with_secret(self, secret: bytes, alg: str = "HS256", **header: object) -> bytes:
        """A token that says HS256, HS384 or HS512, with the HMAC of the good claims under any secret."""
        raw_header, raw_payload = to_json(self.header(alg=alg, **header)), to_json(self.claims())
        signing_input = b64url_encode(raw_header) + b"." + b64url_encode(raw_payload)
        return signing_input + b"." + b64url_encode(hmac.digest(secret, signing_input, f"sha{alg[2:]}"))

    def with_claims(self, **changes: object) -> bytes:
        """A good signature over changed claims."""
        return self.seal(self.header(), self.claims(**changes))

    def with_header(self, **changes: object) -> bytes:
        """A good signature under a changed header."""
        return self.seal(self.header(**changes), self.claims())


def _changed(good: dict[str, object], changes: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}
