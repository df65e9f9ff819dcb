"""Sample audit records and logs, and a clock that stands still until told otherwise."""

from typing import Final

from jotgate.core.audit import (
    FORMAT,
    START_DIGEST,
    CallRecord,
    CloseRecord,
    EventRecord,
    Link,
    OpenRecord,
    encode,
    frame,
)

INSTANCE: Final = "0123456789ab"
FIRST_FILE: Final = f"20261122T170758Z-{INSTANCE}-000001.log"
START_US: Final = 1_795_367_278_000_000
"""2026-11-22T17:07:58Z, the time in FIRST_FILE."""


class StillClock:
    """A clock that its owner sets."""

    def __init__(self, now_us: int = START_US) -> None:
        self.now_us = now_us

    def now_s(self) -> float:
        return self.now_us / 1_000_000

    def monotonic_s(self) -> float:
        return self.now_s()


def call(row: int, *, worker: str = "aaaaaaaaaaaa", at: int = START_US) -> CallRecord:
    """A short call record."""
    return CallRecord(at=at + row, worker=worker, row=row, operation="chat.completions", status=200, outcome="complete")


def call_lines(first: int, last: int) -> list[bytes]:
    """Encoded call records with these rows, both included."""
    return [encode(call(row)) for row in range(first, last + 1)]


def full_call() -> CallRecord:
    """A call record in which every field has something that the golden log has."""
    return CallRecord(
        at=START_US + 250_000,
        worker="aaaaaaaaaaaa",
        row=1,
        operation="chat.completions",
        status=502,
        outcome="torn",
        duration_us=12_345,
        request_id="req_01",
        peer="127.0.0.1",
        model="smollm2",
        upstream="local",
        subject="agent_001",
        client_id="jotgate-cli",
        issuer="http://127.0.0.1:8080",
        token="c2VydmVyLWdlbmVyYXRlZA",
        kid="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        code="upstream_torn",
        stream=True,
        tokens_in=12,
        tokens_out=34,
        bytes_in=410,
        bytes_out=5_200,
        policy="office-hours",
    )


def full_event() -> EventRecord:
    """An event record in which no field has its default."""
    return EventRecord(
        at=START_US + 500_000,
        event="token.issued",
        actor="operator",
        subject="agent_001",
        details={"jti": "c2VydmVyLWdlbmVyYXRlZA", "scope": "ai", "exp": 1_795_370_878},
    )


def open_line(*, segment: int = 1, previous: Link | None = None, version: int = FORMAT) -> bytes:
    """An encoded `open` record of INSTANCE."""
    return encode(OpenRecord(at=START_US, format=version, instance=INSTANCE, segment=segment, previous=previous))


def close_line(records: int) -> bytes:
    """An encoded `close` record."""
    return encode(CloseRecord(at=START_US + 9_000_000, records=records, reason="stopped"))


def log(*records: bytes) -> bytes:
    """The records as the bytes of a segment."""
    return frame(records, START_DIGEST)[0]


def sample_log(calls: int, *, closed: bool) -> bytes:
    """A good segment called FIRST_FILE: an open record, calls, and perhaps a close record."""
    records = [open_line(), *call_lines(1, calls)]
    return log(*records, *([close_line(calls + 1)] if closed else []))
