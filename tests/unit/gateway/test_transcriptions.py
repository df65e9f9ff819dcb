"""What an upstream writes down of what is said on a connection is reserved and charged, whatever else is said on it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from jotgate.core.websocket_handshake import Handshake
from jotgate.ports import Running
from jotgate.socket_ports import Socket, SocketBounds, SocketEvents
from jotgate.testing.ports import RecordingCaller
from tests.callers import request
from tests.metering import MeteredStage, quota

WRITTEN_DOWN = {"type": "realtime", "audio": {"input": {"transcription": {"model": "a"}}}}
SPENT = 4429


class Recorded:
    """One end of a WebSocket (socket_ports.Socket). Mutable: what it was sent, how it ended, how it was paced."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.code = 0
        self.paces = ["heard"]

    def send(self, message: bytes, *, text: bool = True) -> None:
        assert text
        self.sent.append(json.loads(message))

    def close(self, code: int, reason: str) -> None:
        assert reason is not None
        self.code = code

    def pause(self) -> None:
        self.paces.append("left waiting")

    def resume(self) -> None:
        self.paces.append("heard")


class _Page(RecordingCaller):
    """Who asked for it (socket_ports.SocketCaller)."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = Recorded()
        self.events: SocketEvents | None = None

    def switch(self, lines: bytes, bounds: SocketBounds, talk: Callable[[Socket], SocketEvents]) -> None:
        assert b"101" not in lines
        assert bounds.message_bytes
        self.events = talk(self.socket)


class Talking:
    """A connection that is open, on a stage."""

    def __init__(self, stage: MeteredStage) -> None:
        self.stage = stage
        self.page = _Page()
        asked = request(method=b"GET", path=b"/v1/realtime", authorization=b"Bearer " + stage.issuer.token())
        asked = structs.replace(asked, query=b"model=a", handshake=Handshake(b"x" * 24))
        running: Running | None = stage.gateway.open(asked)(self.page)
        stage.run()
        assert self.page.state == "waiting", self.page.body
        assert running is not None
        self.upstream = Recorded()
        self.said_upstream = stage.one.last.open(self.upstream)

    @property
    def code(self) -> int:
        """With which it was closed; 0: it is open."""
        return self.page.socket.code

    def hear(self, kind: str, **members: object) -> None:
        """The upstream says something."""
        self.said_upstream.said(json.dumps({"type": kind, **members}).encode(), text=True)
        self.stage.run()

    def say(self, kind: str, **members: object) -> None:
        """The client says something."""
        assert self.page.events is not None
        self.page.events.said(json.dumps({"type": kind, **members}).encode(), text=True)
        self.stage.run()

    def written_down(self, item: str, usage: object = None) -> None:
        """The upstream has written something down."""
        kind = "conversation.item.input_audio_transcription.completed"
        told = {} if usage is None else {"usage": usage}
        self.hear(kind, item_id=item, transcript="twelve bytes", **told)

    def leave(self) -> None:
        """The client closes it."""
        assert self.page.events is not None
        self.page.events.ended(1000)
        self.stage.run()


def spent(stage: MeteredStage, place: int = 0) -> int:
    """What is charged, once idle units have gone back."""
    stage.tick(9)
    return stage.balance(place).posted


def test_each_is_reserved_when_its_sound_is_committed_and_charged_what_the_upstream_says() -> None:
    stage = MeteredStage(quota(1_000), quota(5, "requests"))
    talking = Talking(stage)
    talking.hear("session.updated", session=WRITTEN_DOWN)
    talking.hear("input_audio_buffer.committed", item_id="one")
    talking.written_down("one", {"type": "tokens", "input_tokens": 30, "output_tokens": 4})
    talking.leave()
    assert (spent(stage), spent(stage, 1)) == (34, 1)
    record = stage.trail.records[-1]
    assert (record.tokens_in, record.tokens_out) == (30, 4)


@pytest.mark.parametrize("usage", [None, {"type": "duration", "seconds": 3}])
def test_what_counts_in_seconds_or_not_at_all_is_charged_the_cap_of_sound_and_the_text(usage: object) -> None:
    stage = MeteredStage(quota(1_000))
    talking = Talking(stage)
    talking.hear("session.created", session={"type": "transcription"})
    talking.hear("input_audio_buffer.committed", item_id="one")
    talking.written_down("one", usage)
    talking.leave()
    assert spent(stage) == 10 + len("twelve bytes")


def test_what_was_not_foreseen_is_charged_all_the_same() -> None:
    stage = MeteredStage(quota(40))
    talking = Talking(stage)
    talking.written_down("one", {"input_tokens": 30, "output_tokens": 4})
    assert talking.code == 0
    talking.leave()
    assert spent(stage) == 34


def test_a_connection_for_which_nothing_is_left_is_closed_when_sound_is_committed() -> None:
    stage = MeteredStage(quota(40))
    talking = Talking(stage)
    talking.hear("transcription_session.updated", session={"input_audio_transcription": {"model": "a"}})
    talking.hear("input_audio_buffer.committed", item_id="one")
    talking.written_down("one", {"input_tokens": 30, "output_tokens": 4})
    talking.hear("input_audio_buffer.committed", item_id="two")
    assert talking.code == SPENT
    assert talking.upstream.code
    assert spent(stage) == 34


def test_a_session_that_writes_nothing_down_reserves_nothing() -> None:
    stage = MeteredStage(quota(5))
    talking = Talking(stage)
    talking.hear("session.updated", session=WRITTEN_DOWN)
    talking.hear("session.updated", session={"type": "realtime", "audio": {"input": {"transcription": None}}})
    talking.hear("input_audio_buffer.committed", item_id="one")
    assert talking.code == 0
    talking.leave()
    assert spent(stage) == 0


def test_it_needs_no_place_beside_the_response_that_has_one() -> None:
    stage = MeteredStage(quota(1_000), quota(1, "concurrent"))
    talking = Talking(stage)
    talking.hear("session.updated", session=WRITTEN_DOWN)
    talking.hear("response.created", response={"id": "r"})
    talking.hear("input_audio_buffer.committed", item_id="one")
    talking.written_down("one", {"input_tokens": 30, "output_tokens": 4})
    talking.hear("response.done", response={"id": "r", "usage": {"input_tokens": 5, "output_tokens": 6}})
    talking.hear("response.created", response={"id": "s"})
    assert talking.code == 0
    talking.hear("response.done", response={"id": "s", "usage": {"input_tokens": 1, "output_tokens": 1}})
    talking.leave()
    assert spent(stage) == 34 + 11 + 2


def test_one_that_failed_is_charged_its_request_and_one_whose_end_nobody_heard_what_was_reserved() -> None:
    stage = MeteredStage(quota(1_000), quota(5, "requests"))
    talking = Talking(stage)
    talking.hear("session.updated", session=WRITTEN_DOWN)
    talking.hear("input_audio_buffer.committed", item_id="one")
    talking.hear("conversation.item.input_audio_transcription.failed", item_id="one")
    talking.hear("input_audio_buffer.committed", item_id="two")
    talking.leave()
    assert (spent(stage), spent(stage, 1)) == (110, 2)


def test_one_that_is_done_while_nobody_can_say_what_is_left_is_charged_when_they_can() -> None:
    stage = MeteredStage(quota(1_000))
    talking = Talking(stage)
    stage.metering.limits_changed()
    stage.mute = True
    talking.hear("session.updated", session=WRITTEN_DOWN)
    talking.hear("input_audio_buffer.committed", item_id="one")
    talking.written_down("one", {"input_tokens": 30, "output_tokens": 4})
    talking.leave()
    stage.mute = False
    assert spent(stage) == 34


def test_a_client_that_waits_for_units_is_not_heard_when_the_upstream_has_caught_up() -> None:
    stage = MeteredStage(quota(1_000))
    talking = Talking(stage)
    stage.metering.limits_changed()
    stage.mute = True
    talking.said_upstream.slowed()
    paces = talking.page.socket.paces
    assert paces[-1] == "left waiting"
    talking.say("response.create")
    talking.said_upstream.hastened()
    assert paces[-1] == "left waiting", "what it says now would be kept"
    stage.mute = False
    stage.run()
    assert paces[-1] == "heard"
    assert [one["type"] for one in talking.upstream.sent] == ["response.create"]
