"""Tokens are issued under the installation's name, and recorded before they are handed out."""

import asyncio
import json
from collections.abc import Callable, Iterable

import pytest

from jotgate.core.claims import Issued, TokenRequest
from jotgate.core.durable import Issuance
from jotgate.core.revocations import Entry
from jotgate.errors import AuditUnavailable, IssuanceHeld, SignatureInvalid
from jotgate.jose import jwt
from jotgate.jose.keys import generate
from jotgate.ports import Signer, Signers
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import RevokedSet
from tests.signers import OneSigner

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


def issue(
    log: MemoryLog,
    entropy: CountedEntropy,
    request: TokenRequest,
    signers: Signers | None = None,
    revoked: RevokedSet | None = None,
) -> Issued:
    """A token of an issuer with a fresh key."""
    clock = FixedClock()
    signers = signers or OneSigner(generate("ES256"))
    recorder = Recorder(log, clock)
    issuer = TokenIssuer(
        issuer="http://i",
        signers=signers,
        clock=clock,
        entropy=entropy,
        recorder=recorder,
        issuable=Issuable(revoked or RevokedSet(), lambda: 5),
    )
    return asyncio.run(issuer.issue(request.grant("http://i"), actor="jotgate-cli"))


def test_a_token_says_what_was_asked_and_its_id_is_unforeseeable() -> None:
    entropy = CountedEntropy()
    issued = issue(MemoryLog(), entropy, TokenRequest("me", 60, ("models",), ("m",)))
    header, claims = jwt.peek_unverified(issued.token.encode())
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "ES256"
    assert (claims["sub"], claims["scope"], claims["models"]) == ("me", "models", ["m"])
    assert claims["exp"] == issued.expires_at_s == 1_800_000_060
    assert claims["jti"] == issued.token_id
    assert entropy.asked * 8 >= 128


def test_the_event_is_on_file_and_holds_no_token() -> None:
    log = MemoryLog()
    issued = issue(log, CountedEntropy(), TokenRequest("me"))
    assert log.flushed == 1
    event = json.loads(log.lines[0])
    assert (event["kind"], event["event"], event["subject"]) == ("event", "token.issued", "me")
    assert event["details"]["jti"] == issued.token_id
    assert event["details"]["scope"] == "ai"
    assert event["at"] == int(_NOW_S * 1_000_000)
    assert issued.token.encode() not in log.lines[0]
    assert issued.token.rpartition(".")[2].encode() not in log.lines[0]


def test_what_cannot_be_recorded_is_not_issued() -> None:
    with pytest.raises(AuditUnavailable):
        issue(MemoryLog(broken=True), CountedEntropy(), TokenRequest("me"))


def test_what_is_issued_is_kept_with_its_key_and_its_end() -> None:
    signers = OneSigner(key := generate("Ed25519"))
    issued = issue(MemoryLog(), CountedEntropy(), TokenRequest("me", 60), signers)
    (row,) = signers.rows
    assert (row.token_id, row.subject, row.kid) == (issued.token_id, "me", key.kid)
    assert (row.issued_at_s, row.expires_at_s) == (1_800_000_000, 1_800_000_060)


def test_a_signature_that_does_not_verify_leaves_nothing() -> None:
    class WrongSigner(OneSigner):
        """Whoever signs has another key than it says."""

        async def signer(self, expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
            signer = await super().signer(expires_at_s, row)

            class Other:
                key = generate("ES256").verification_key
                local = False

                async def sign(self, signing_input: bytes) -> bytes:
                    return await signer.sign(signing_input)

            return Other()

    log, signers = MemoryLog(), WrongSigner(generate("ES256"))
    with pytest.raises(SignatureInvalid):
        issue(log, CountedEntropy(), TokenRequest("me"), signers)
    assert log.lines == []


def test_what_its_key_or_its_subject_is_met_by_is_not_issued_and_leaves_no_event() -> None:
    key, now_s = generate("ES256"), int(_NOW_S)
    for name in (f"key http://i {key.kid}", "subject http://i me", "client jotgate-cli", "tenant default"):
        log, revoked = MemoryLog(), RevokedSet()
        revoked.take([Entry(name, None, before_s=now_s - 5)])  # The leeway: what is issued now is met, and no later.
        with pytest.raises(IssuanceHeld) as caught:
            issue(log, CountedEntropy(), TokenRequest("me"), OneSigner(key), revoked)
        assert (caught.value.retry_after_s, log.lines) == (1, []), name
        revoked = RevokedSet()
        revoked.take([Entry(name, None, before_s=now_s - 6)])
        assert issue(log, CountedEntropy(), TokenRequest("me"), OneSigner(key), revoked).token
