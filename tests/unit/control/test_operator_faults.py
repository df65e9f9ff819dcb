"""What control cannot foresee is told as `internal`, without a word of what happened inside."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

import pytest
from starlette.types import Message

from jotgate.control.operator import build_operator
from jotgate.control.public import build_public
from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder
from jotgate.core.issuers import Issuer
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.key_orders import KeyAnswer, KeyOrder
from jotgate.core.key_set import KeySetDocument
from jotgate.core.principals import Verified
from jotgate.core.status import Status
from jotgate.errors import Code
from jotgate.gateway.world import build_verifier
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.key_seeking import SeekingVerifier
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import RevokedSet
from jotgate.testing.ports import ManualClock
from tests.signers import OneSigner

_SECRET: Final = "what stands inside"


class NoEntropy:
    """Chance that fails."""

    def random_bytes(self, count: int) -> bytes:
        raise OSError(_SECRET)


class NoLog:
    """An audit log that is never reached."""

    def append(self, lines: Iterable[bytes]) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def sync(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def status() -> Status:
    raise RuntimeError(_SECRET)


async def tend_issuers(order: IssuerOrder) -> IssuerAnswer:
    raise RuntimeError(_SECRET)


async def fetch_nothing(issuer: str) -> KeysOutcome:
    raise NotImplementedError


async def tend_keys(order: KeyOrder) -> KeyAnswer:
    raise RuntimeError(_SECRET)


def operator(key: SigningKey) -> Any:
    """The operator's application, whose issuer and status fail."""
    clock = ManualClock()
    issuer = Issuer(
        name="jotgate",
        issuer="http://i",
        audiences=("http://i",),
        algorithms=("ES256",),
        types=(ACCESS_TOKEN_TYPE,),
        jwks=KeySet([key.verification_key]).to_jwks(),
    )
    tokens = TokenIssuer(
        issuer="http://i",
        signers=OneSigner(key),
        clock=clock,
        entropy=NoEntropy(),
        recorder=Recorder(NoLog(), clock),
        issuable=Issuable(RevokedSet(), lambda: 5),
    )
    verifier = build_verifier((issuer,), 2)
    seeking = SeekingVerifier(lambda: verifier, fetch_nothing, clock)

    async def verify(token: bytes) -> Verified:
        return Verified(await seeking.verify(token))

    return build_operator(tokens, verify, status, tend_keys, issuers=tend_issuers)


async def ask(application: Any, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, list[Any]]:
    """One request: status, body and headers. The application raises after its answer, for the server's log."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    with pytest.raises((RuntimeError, OSError), match=_SECRET):
        await application(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent), sent[0]["headers"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/status", b""),
        ("POST", "/tokens", b'{"subject":"me","ttl_s":60}'),
        ("POST", "/keys", b'{"action":"list"}'),
    ],
)
def test_the_operator_is_told_the_code_and_nothing_else(method: str, path: str, body: bytes) -> None:
    answered, content, _ = asyncio.run(ask(operator(generate("ES256")), method, path, body))
    assert answered == 500
    assert json.loads(content) == {"error": {"code": Code.INTERNAL, "message": "control failed", "hint": ""}}


def test_callers_are_told_the_code_in_the_native_form() -> None:
    def key_set() -> KeySetDocument:
        raise RuntimeError(_SECRET)

    application = build_public(key_set)
    answered, content, headers = asyncio.run(ask(application, "GET", "/.well-known/jwks.json"))
    assert answered == 500
    error = json.loads(content)["error"]
    assert (error["code"], error["type"]) == (Code.INTERNAL, "server_error")
    assert _SECRET.encode() not in content
    assert (b"cache-control", b"no-store") in headers
