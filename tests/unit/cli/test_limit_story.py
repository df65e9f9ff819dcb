"""Which limits the token of a call brought, as `jotgate explain` tells it."""

from pathlib import Path

import msgspec
import pytest

from jotgate.cli.limit_story import tell_limits
from jotgate.core.audit import CallRecord, Charge, EventRecord, encode
from jotgate.errors import Code
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import INSTANCE, START_US, StillClock, call

MET = msgspec.structs.replace(call(1), token="t1", charged=Charge())


def event(name: str, **details: str) -> EventRecord:
    return EventRecord(at=START_US, event=name, details=dict(details))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    writer = SegmentWriter(tmp_path, INSTANCE, StillClock())
    made = (
        event("token.issued", jti="t1", limits="500 requests; 1 USD (of t0)"),
        event("token.issued", jti="t2"),
        event("personal_token.created", jti="p1", limits="4 concurrent"),
        event("token.presented", jti="t1"),
    )
    writer.append([encode(one) for one in made])
    writer.close()
    return tmp_path


def told(log: Path, **changes: object) -> str:
    record: CallRecord = msgspec.structs.replace(MET, **changes)
    return tell_limits(log, record)


def test_what_a_token_brought_is_told_of_calls_that_a_quota_met(log: Path) -> None:
    assert told(log) == "500 requests; 1 USD (of t0)"
    assert told(log, token="p1") == "4 concurrent"
    for code in (Code.QUOTA_EXCEEDED, Code.QUOTA_UNAVAILABLE, Code.PRICE_UNKNOWN):
        assert told(log, charged=None, code=code) == "500 requests; 1 USD (of t0)"


def test_nothing_is_told_of_others(log: Path) -> None:
    assert told(log, charged=None) == "", "no quota met it"
    assert told(log, token="t2") == "", "it brought none"
    assert told(log, token="t3") == "", "it was made elsewhere"
    assert told(log, token="") == ""
