"""Holders of keys who prove it by DPoP (RFC 9449), also wrongly."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

from msgspec.json import encode

from jotgate.core.dpop import access_token_hash
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey, generate, public_jwk, thumbprint

_numbers: Final = itertools.count(1)


class Holder:
    """Somebody with a key."""

    def __init__(self, alg: str = "ES256") -> None:
        self.key: SigningKey = generate(alg)
        members = public_jwk(self.key.verification_key)
        self.jwk: dict[str, str] = {name: members[name] for name in self.key.algorithm.members}
        self.jkt = thumbprint(self.jwk)

    def prove(
        self,
        method: str,
        url: str,
        now_s: float,
        token: str | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A proof for one request; members of the header and claims that are given None are left out."""
        said: dict[str, Any] = {"jti": f"proof-{next(_numbers)}", "htm": method, "htu": url, "iat": int(now_s)}
        if token is not None:
            said["ath"] = access_token_hash(token.encode())
        head = {"typ": "dpop+jwt", "alg": self.key.algorithm.name, "jwk": self.jwk, **(header or {})}
        return self.sign(_without_none(head), encode(_without_none({**said, **claims})))

    def sign(self, header: Mapping[str, Any], payload: bytes) -> str:
        """What this key signs, whatever the header says."""
        signing_input = b64url_encode(encode(header)) + b"." + b64url_encode(payload)
        return (signing_input + b"." + b64url_encode(self.key.sign(signing_input))).decode()


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
