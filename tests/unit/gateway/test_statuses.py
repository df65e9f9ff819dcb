"""What a worker holds of other issuers' status lists: asked of control, kept as long as it says, and never guessed."""

import pytest
from msgspec.structs import replace

from jotgate.core.status_references import StatusFound, StatusQuestion
from jotgate.gateway.statuses import PATIENCE_S, Statuses
from jotgate.gateway.world import build_world
from jotgate.ports import Running
from jotgate.testing.ports import RecordingCaller, at_once
from tests.callers import NAME, request
from tests.stages import Stage

URI = "https://idp.example/lists/1"
QUESTION = StatusQuestion(NAME, URI, 7)
BODY = b'{"model":"a"}'


class Desk(Stage):
    """A gateway whose issuer's tokens stand in lists; `asked` is what control was asked."""

    def __init__(self, *, linked: bool = True) -> None:
        super().__init__()
        issuers = tuple(replace(one, status_lists=True) for one in self.world.snapshot.issuers)
        self.world = build_world(replace(self.world.snapshot, issuers=issuers), self.world.places, self.world)
        self.gateway.swap(self.world)
        self.asked: list[StatusQuestion] = []
        if linked:
            self.statuses: Statuses = self.gateway.look_up_statuses_by(self.asked.append, at_once)

    def bring(self, index: int = 7) -> tuple[RecordingCaller, Running | None]:
        """A call with a token that stands at this place."""
        token = self.issuer.with_claims(status={"status_list": {"idx": index, "uri": URI}})
        return self.ask(request(BODY, authorization=b"Bearer " + token))

    @property
    def sent(self) -> int:
        """How many calls an upstream has had."""
        return len(self.one.exchanges) + len(self.two.exchanges)


def test_a_call_waits_for_its_status_once_and_goes_on() -> None:
    desk = Desk()
    caller, running = desk.bring()
    assert (caller.state, running is not None, desk.asked, desk.sent) == ("waiting", True, [QUESTION], 0)
    desk.statuses.answered(QUESTION, StatusFound(0, 60.0))
    desk.bring()
    assert (desk.sent, desk.asked) == (2, [QUESTION])


def test_a_token_that_does_not_count_is_refused_and_each_place_is_its_own() -> None:
    desk = Desk()
    caller, _ = desk.bring()
    desk.statuses.answered(QUESTION, StatusFound(1, 60.0))
    assert caller.status == 401
    assert b"token_revoked" in caller.body
    desk.bring(8)
    assert desk.asked[-1] == replace(QUESTION, index=8)


def test_it_is_asked_for_again_when_it_is_old() -> None:
    desk = Desk()
    desk.bring()
    desk.statuses.answered(QUESTION, StatusFound(0, 60.0))
    desk.clock.advance(60)
    caller, _ = desk.bring()
    assert (caller.state, len(desk.asked)) == ("waiting", 2)
    desk.statuses.answered(QUESTION, StatusFound(1, 60.0))
    assert caller.status == 401


def test_what_is_not_known_is_503() -> None:
    desk = Desk()
    caller, _ = desk.bring()
    desk.statuses.answered(QUESTION, None)
    assert caller.status == 503
    assert b"issuer_unavailable" in caller.body
    late, _ = desk.bring()
    desk.clock.advance(PATIENCE_S)
    desk.gateway.check_deadlines()
    assert late.status == 503
    nobody, _ = Desk(linked=False).bring()
    assert nobody.status == 503


def test_control_that_was_started_again_is_asked_again() -> None:
    desk = Desk()
    desk.bring()
    desk.statuses.ask_again()
    assert desk.asked == [QUESTION, QUESTION]


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jotgate.gateway.statuses.HELD_MAX", 4)
    desk = Desk()
    for index in range(9):
        desk.statuses.answered(replace(QUESTION, index=index), StatusFound(0, 60.0))
    desk.bring(8)
    assert desk.asked == []
    desk.bring(0)
    assert desk.asked == [replace(QUESTION, index=0)]
