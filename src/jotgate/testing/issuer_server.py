"""Somebody else's issuer on loopback: publishes its keys, mints tokens, rotates, and fails in every way it is told to.

`answers` says what stands at a path instead of what belongs there, in the steps of `testing.upstream`. What was asked
is in `requests`.
"""

import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Final

import msgspec

from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.threads import in_thread
from jotgate.testing.upstream import Answer, Received, UpstreamServer, unary

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/keys"
_TAG_CHARS: Final = 12


class IssuerServer(UpstreamServer):
    """The issuer; use it with `async with`, or in a thread with `issuer_in_thread`. Its first key is published.

    `path` is what its URL ends in, without a slash at the end. `published` are the keys of its JWK Set, the last one
    of which signs. `lines` are further header lines of the JWK Set; `tags`: it has an ETag, and is answered by 304.
    """

    def __init__(
        self, *, algorithm: str = "ES256", path: str = "", tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        super().__init__(tls=tls, host=host)
        self.path = path
        self.algorithm = algorithm
        self.published = [self.make_key()]
        self.key = self.published[0]
        self.answers: dict[str, Answer] = {}
        self.lines: tuple[bytes, ...] = ()
        self.tags = False
        self.discovery: dict[str, object] = {}

    @property
    def issuer(self) -> str:
        """Its URL, which is the `iss` of its tokens."""
        return self.origin + self.path

    @property
    def jwks_url(self) -> str:
        """Where its keys are."""
        return self.issuer + JWKS_PATH

    @property
    def key_fetches(self) -> int:
        """How often its keys were asked for."""
        return self.count(self.path + JWKS_PATH)

    def count(self, target: str) -> int:
        """How often this path was asked for."""
        return sum(1 for request in self.requests if request.target == target)

    def make_key(self) -> SigningKey:
        """A key that nobody knows yet."""
        return generate(self.algorithm)

    def rotate(self, *, drop: bool = False) -> SigningKey:
        """Publish a new key, and sign with it from now on; `drop`: the others are published no more."""
        key = self.make_key()
        self.published = [key] if drop else [*self.published, key]
        self.key = key
        return key

    def mint(self, audience: str, *, key: SigningKey | None = None, **claims: object) -> str:
        """A good access token (RFC 9068) for this audience, signed with the newest key or with this one."""
        maker = TestIssuer(key or self.key, self.issuer, audience, time.time())
        return maker.token(**claims).decode("ascii")

    def maker(self, audience: str) -> TestIssuer:
        """What makes every wrong token, by name, around the key that signs now."""
        return TestIssuer(self.key, self.issuer, audience, time.time())

    def jwks(self) -> bytes:
        """The JWK Set as it is published now."""
        return KeySet([key.verification_key for key in self.published]).to_jwks()

    def metadata(self) -> Mapping[str, object]:
        """The discovery document (OpenID Connect Discovery 1.0 s3), with what `discovery` says otherwise."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": self.jwks_url,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.algorithm],
            **self.discovery,
        }

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        scripted = self.answers.get(request.target)
        if scripted is not None:
            return scripted
        if request.target == self.path + DISCOVERY_PATH:
            return unary(msgspec.json.encode(self.metadata()))
        if request.target == self.path + JWKS_PATH:
            return self._keys(request)
        return unary(b'{"error":"not_found"}', 404)

    def _keys(self, request: Received) -> Answer:
        jwks = self.jwks()
        if not self.tags:
            return unary(jwks, 200, *self.lines)
        tag = f'"{sha256(jwks).hexdigest()[:_TAG_CHARS]}"'
        line = b"ETag: " + tag.encode("ascii")
        if request.headers.get("if-none-match") == tag:
            return [
                b"HTTP/1.1 304 Not Modified\r\n" + b"".join(b"%b\r\n" % one for one in (line, *self.lines)) + b"\r\n"
            ]
        return unary(jwks, 200, line, *self.lines)


def issuer_in_thread(
    *, algorithm: str = "ES256", path: str = "", tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AbstractContextManager[IssuerServer]:
    """The same issuer with a loop and a thread of its own, for tests that have no loop.

    An outage is `server.do(server.refuse())` and `server.do(server.hang_up())`, its end `server.do(server.accept())`.
    """
    return in_thread(IssuerServer(algorithm=algorithm, path=path, tls=tls, host=host))
