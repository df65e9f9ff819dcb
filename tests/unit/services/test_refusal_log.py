"""Refusals are recorded, so many a minute of each key; the next record tells how many were left out."""

import pytest

from jotgate.errors import AuditUnavailable
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import KEYS_MAX, RECORDED_PER_MINUTE, RefusalLog
from jotgate.testing.ports import ManualClock
from tests.token_stage import EventLog


class Stage:
    def __init__(self) -> None:
        self.clock, self.audit = ManualClock(), EventLog()
        self.log = RefusalLog(Recorder(self.audit, self.clock), self.clock, "x.refused")

    def note(self, count: int, key: str = "") -> None:
        for _ in range(count):
            self.log.note(key, {"peer": "192.0.2.1"}, key)

    def left_out(self) -> list[object]:
        return [one.details.get("left_out") for one in self.audit.events]


def test_so_many_are_recorded_in_a_minute_and_the_next_tells_the_rest() -> None:
    stage = Stage()
    stage.note(RECORDED_PER_MINUTE + 5)
    assert stage.left_out() == [None] * RECORDED_PER_MINUTE
    stage.clock.advance(59.9)
    stage.note(1)
    assert len(stage.audit.events) == RECORDED_PER_MINUTE
    stage.clock.advance(0.1)
    stage.note(2)
    assert stage.left_out()[RECORDED_PER_MINUTE:] == [6, None]


def test_one_key_leaves_the_room_of_another_alone() -> None:
    stage = Stage()
    stage.note(RECORDED_PER_MINUTE + 5, "loud")
    stage.note(2, "quiet")
    assert [one.actor for one in stage.audit.events][-2:] == ["quiet", "quiet"]
    assert len(stage.audit.events) == RECORDED_PER_MINUTE + 2
    stage.clock.advance(60)
    stage.note(1, "quiet")
    stage.note(1, "loud")
    assert stage.left_out()[-2:] == [None, 5]


def test_what_all_keys_may_write_in_a_minute_is_bounded() -> None:
    stage = Stage()
    for place in range(KEYS_MAX + 50):
        stage.note(RECORDED_PER_MINUTE, str(place))
    assert len(stage.audit.events) == (KEYS_MAX + 1) * RECORDED_PER_MINUTE


def test_what_cannot_be_recorded_is_not_counted_as_recorded() -> None:
    stage = Stage()
    stage.audit.full = True
    with pytest.raises(AuditUnavailable):
        stage.note(1)
    stage.audit.full = False
    stage.note(1)
    assert len(stage.audit.events) == 1
