"""An upstream and its authorization server in one: it hands out tokens for assertions that it verifies, and takes them.

An assertion is taken once, and only by a key that it knows; a token until it ends or is revoked. What was refused once
and comes again is written down.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs

import msgspec

from jotgate.errors import JotgateError
from jotgate.jose import jwt
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet, SigningKey, generate, signing_key_from_pem, signing_key_to_pem
from jotgate.testing.upstream import Answer, Gate, Received, Step, UpstreamServer, unary

CLIENT_ID: Final = "gateway-client"
_REFUSED: Final = b'{"error":{"message":"no such token","type":"invalid_request_error","param":null,"code":null}}'
_ANSWER: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class TokenServer(UpstreamServer):
    """The server. Everything may be set from any thread.

    `life_s` is how long tokens live; while `deaf`, none is taken. `token_gate`: exchanges are answered when it is open.
    `tokens` are all that it has handed out, `shown` those that calls came with, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.life_s = 3_600
        self.deaf = False
        self.token_gate: Gate | None = None
        self.tokens: list[str] = []
        self.shown: list[str] = []
        self.assertions: list[str] = []
        self.kids: list[str] = []
        self.static_keys: set[str] = set()
        self._good: dict[str, float] = {}
        self._jtis: set[str | None] = set()
        self._keys: dict[str, SigningKey] = {}
        self._lock = threading.Lock()

    def add_key(self, kid: str) -> str:
        """Register a key pair; its private key in PEM."""
        pem = signing_key_to_pem(generate("RS256"))
        self._keys[kid] = signing_key_from_pem(pem, "RS256", kid)
        return pem.decode()

    def drop_key(self, kid: str) -> None:
        """Take assertions of this key no more."""
        del self._keys[kid]

    def revoke(self) -> None:
        """Take no token that was handed out so far."""
        self._good = {}

    @property
    def exchanges(self) -> int:
        """How many tokens were handed out."""
        return len(self.tokens)

    def ends_s(self) -> float:
        """When the newest token ends."""
        return self._good[self.tokens[-1]]

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        if request.target == "/token":
            answer = self._hand_out(parse_qs(request.body.decode()))
            return answer if self.token_gate is None else _held_back(self.token_gate, answer)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.shown.append(token)
        good = token in self.static_keys or self._good.get(token, 0.0) > time.time()
        return unary(msgspec.json.encode(_ANSWER)) if good and not self.deaf else unary(_REFUSED, 401)

    def _hand_out(self, form: dict[str, list[str]]) -> list[Step]:
        assertion = form.get("assertion", [""])[0]
        self.assertions.append(assertion)
        keys = KeySet([key.verification_key for key in self._keys.values()])
        expected = Expectation(
            CLIENT_ID, (f"{self.origin}/token",), ("JWT",), ("RS256",), required=frozenset({"iss", "sub", "aud", "exp"})
        )
        try:
            verified = jwt.verify(assertion.encode(), keys, expected, time.time())
        except JotgateError as refusal:
            return _refuse("invalid_client", refusal.message)
        if verified.claims.jti in self._jtis or verified.claims.jti is None:
            return _refuse("invalid_grant", "this assertion was used")
        self._jtis.add(verified.claims.jti)
        self.kids.append(verified.key.kid)
        token = f"at_{len(self.tokens)}_{'x' * 40}"
        self.tokens.append(token)
        self._good[token] = time.time() + self.life_s
        members = {"access_token": token, "token_type": "Bearer", "expires_in": self.life_s}
        return unary(msgspec.json.encode(members))


def _refuse(error: str, description: str) -> list[Step]:
    return unary(msgspec.json.encode({"error": error, "error_description": description}), 401)


def _held_back(gate: Gate, answer: list[Step]) -> Iterator[Step]:
    yield gate
    yield from answer
