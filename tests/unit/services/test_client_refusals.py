"""Refused clients are recorded, sixty a minute; the next record tells how many were left out."""

import pytest

from jotgate.errors import AuditUnavailable
from jotgate.services.client_refusals import RECORDED_PER_MINUTE, ClientRefusals
from jotgate.services.recorder import Recorder
from jotgate.testing.ports import ManualClock
from tests.token_stage import EventLog


def test_what_is_recorded_and_what_is_counted() -> None:
    clock, log = ManualClock(), EventLog()
    refusals = ClientRefusals(Recorder(log, clock), clock)
    for _ in range(RECORDED_PER_MINUTE + 5):
        refusals.note("x" * 10_000, "none", "192.0.2.1")
    assert len(log.events) == RECORDED_PER_MINUTE
    assert len(log.events[0].actor) == 256
    assert log.events[0].details == {"method": "none", "peer": "192.0.2.1"}
    clock.advance(59.9)
    refusals.note("ci", "none", "")
    assert len(log.events) == RECORDED_PER_MINUTE
    clock.advance(0.1)
    refusals.note("ci", "none", "")
    refusals.note("ci", "none", "")
    assert [one.details.get("left_out") for one in log.events[RECORDED_PER_MINUTE:]] == [6, None]


def test_what_cannot_be_recorded_is_not_counted_as_recorded() -> None:
    clock, log = ManualClock(), EventLog()
    refusals = ClientRefusals(Recorder(log, clock), clock)
    log.full = True
    with pytest.raises(AuditUnavailable):
        refusals.note("ci", "none", "")
    log.full = False
    refusals.note("ci", "none", "")
    assert len(log.events) == 1
