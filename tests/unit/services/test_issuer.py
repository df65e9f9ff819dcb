"""Tokens are issued under the installation's name, and recorded before they are handed out."""

import json
from collections.abc import Iterable

import pytest

from jotgate.core.claims import TokenRequest
from jotgate.errors import AuditUnavailable
from jotgate.jose import jwt
from jotgate.jose.keys import generate
from jotgate.services.issuer import TokenIssuer
from jotgate.services.recorder import Recorder

_NOW_S = 1_800_000_000.5


class FixedClock:
    """A clock that stands."""

    def now_s(self) -> float:
        return _NOW_S

    def monotonic_s(self) -> float:
        return 0.0


class CountedEntropy:
    """Chance that can be told: zero bytes, and how many were asked for."""

    asked = 0

    def random_bytes(self, count: int) -> bytes:
        self.asked = count
        return bytes(count)


class MemoryLog:
    """An audit log that may be broken."""

    def __init__(self, *, broken: bool = False) -> None:
        self.lines: list[bytes] = []
        self.flushed = 0
        self.broken = broken

    def append(self, lines: Iterable[bytes]) -> None:
        self.lines += lines

    def flush(self) -> None:
        if self.broken:
            raise AuditUnavailable("the disk is full")
        self.flushed = len(self.lines)

    def sync(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def issuer_with(log: MemoryLog, entropy: CountedEntropy) -> TokenIssuer:
    """An issuer with a fresh key."""
    clock = FixedClock()
    recorder = Recorder(log, clock)
    return TokenIssuer(issuer="http://i", key=generate("ES256"), clock=clock, entropy=entropy, recorder=recorder)


def test_a_token_says_what_was_asked_and_its_id_is_unforeseeable() -> None:
    entropy = CountedEntropy()
    issued = issuer_with(MemoryLog(), entropy).issue(TokenRequest("me", 60, ("models",), ("m",)))
    header, claims = jwt.peek_unverified(issued.token.encode())
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "ES256"
    assert (claims["sub"], claims["scope"], claims["models"]) == ("me", "models", ["m"])
    assert claims["exp"] == issued.expires_at_s == 1_800_000_060
    assert claims["jti"] == issued.token_id
    assert entropy.asked * 8 >= 128


def test_the_event_is_on_file_and_holds_no_token() -> None:
    log = MemoryLog()
    issued = issuer_with(log, CountedEntropy()).issue(TokenRequest("me"))
    assert log.flushed == 1
    event = json.loads(log.lines[0])
    assert (event["kind"], event["event"], event["subject"]) == ("event", "token.issued", "me")
    assert event["details"]["jti"] == issued.token_id
    assert event["details"]["scope"] == "ai"
    assert event["at"] == int(_NOW_S * 1_000_000)
    assert issued.token.encode() not in log.lines[0]
    assert issued.token.rpartition(".")[2].encode() not in log.lines[0]


def test_what_cannot_be_recorded_is_not_issued() -> None:
    issuer = issuer_with(MemoryLog(broken=True), CountedEntropy())
    with pytest.raises(AuditUnavailable):
        issuer.issue(TokenRequest("me"))
