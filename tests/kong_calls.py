"""Requests to both ports of Kong's stand-in, and tokens for it: those that we make, and any others."""

import base64
import hmac
import http.client
import json
from typing import Any, Final
from urllib.parse import quote

from jotgate.core.kong_tokens import HS256, KongClaims, Minted, mint_with_pair, mint_with_secret
from jotgate.testing.kong import Kong
from jotgate.testing.kong_told import CHAT_PATH, MODEL
from jotgate.testing.kong_values import Row

CHAT: Final = {"model": MODEL, "messages": [{"role": "user", "content": "test"}]}
OCTETS: Final = b"a secret of two and thirty bytes"
"""A secret that both alphabets of base64 write alike."""
SECRET: Final = base64.b64encode(OCTETS).decode("ascii")
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
NOT_FOUND: Final = (404, {"message": "Not found"})
NO_METHOD: Final = (405, {"message": "Method not allowed"})


class Answered:
    """An answer: its status, its headers, and its body as JSON if it is that."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.raw = response.read()
        self.body: Any = json.loads(self.raw) if self.raw and JSON in (self.headers["Content-Type"] or "") else None

    @property
    def told(self) -> tuple[int, Any]:
        """Status and body."""
        return self.status, self.body


class KongCalls:
    """Requests to a stand-in."""

    def __init__(self, kong: Kong) -> None:
        self.kong = kong

    def admin(self, method: str, path: str, body: object = None, kind: str = JSON, **headers: str) -> Answered:
        """A request to the Admin API; bytes go as they are, all else as JSON."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return _call(self.kong.api.port, method, path, raw, fields | ({"Content-Type": kind} if raw else {}))

    def told(self, method: str, path: str, body: object = None, kind: str = JSON) -> tuple[int, Any]:
        """Status and body of such a request."""
        return self.admin(method, path, body, kind).told

    def chat(self, token: str | None = None, query: str = "", method: str = "POST", **headers: str) -> Answered:
        """The document's call at the gateway, with this token in `Authorization`."""
        fields = {"Content-Type": JSON} | ({"Authorization": f"Bearer {token}"} if token is not None else {})
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return _call(self.kong.gateway.port, method, CHAT_PATH + query, json.dumps(CHAT).encode(), fields)


def _call(port: int, method: str, target: str, body: bytes | None, fields: dict[str, str]) -> Answered:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request(method, target, body, fields)
        return Answered(client.getresponse())
    finally:
        client.close()


def minted(kong: Kong, username: str, algorithm: str = HS256, life_s: int = 600) -> tuple[str, Row]:
    """A token as we make it, and its credential at Kong."""
    consumer = next((row for row in kong.consumers if row["username"] == username), None)
    consumer = consumer or kong.add("consumers", username=username, custom_id=f"id-of-{username}")
    now_s = int(kong.now_s())
    claims = KongClaims(iss=username, kid=f"key-{len(kong.credentials)}-{username}", exp=now_s + life_s, iat=now_s)
    made = mint_with_secret(claims, OCTETS) if algorithm == HS256 else mint_with_pair(claims, algorithm)
    return made.token.reveal(), _credential(kong, consumer, claims.kid, algorithm, made)


def _credential(kong: Kong, consumer: Row, key: str, algorithm: str, made: Minted) -> Row:
    known = {"rsa_public_key": made.public_key_pem} if made.secret is None else {"secret": made.secret.reveal()}
    return kong.add("jwt_secrets", consumer={"id": consumer["id"]}, key=key, algorithm=algorithm, **known)


def encoded(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def forged(claims: object, secret: bytes = OCTETS, **header: object) -> str:
    """A token by HMAC whatever it says; claims and header are JSON, or bytes as they are."""
    head = {"alg": "HS256", "typ": "JWT", **header}
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, claims)]
    signed = ".".join(map(encoded, parts))
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def escaped(text: str) -> str:
    """A name as a part of a path, or as the value of a query."""
    return quote(text, safe="")


def violated(fields: dict[str, Any], told: str) -> tuple[int, dict[str, Any]]:
    """A violation of a schema."""
    return 400, {"code": 2, "name": "schema violation", "message": told, "fields": fields}
