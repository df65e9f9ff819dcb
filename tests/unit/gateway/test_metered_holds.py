"""A stream that waits for a step while its upstream makes on: it ends while what is made is still reserved."""

import json

import pytest

from jotgate.core.routes import MeteringRules
from jotgate.errors import UpstreamTorn
from jotgate.testing.ports import RecordingCaller
from tests.metering import EVENT, TICK_S, MeteredStage, quota

BIG = 10_000_000
STREAM = b'{"model":"a","stream":true,"stream_options":{"include_usage":true}}'
CEILING = 50_000
OTHER = b'{"model":"a","max_tokens":%d}' % CEILING
USUAL_PACES = [20, 83, 150, 390]


class Maker:
    """An upstream of so many tokens a second, whether or not they are read. Mutable: `made`, and what lies unread."""

    def __init__(self, stage: MeteredStage, pace: int) -> None:
        self.stage = stage
        self.pace = pace
        self.made = self.unread = 0
        self._since_tick_s = 0.0
        caller, _ = stage.begin(STREAM)
        self.caller: RecordingCaller = caller
        self.exchange = stage.one.last
        self.exchange.stopping = "asked"
        self.exchange.stream(b"")

    def go_on(self, span_s: float) -> None:
        """Let time pass, token for token, unless the stream is ended first."""
        for _ in range(int(span_s * self.pace)):
            if self.exchange.stopped:
                return
            self.stage.clock.advance(1 / self.pace)
            self._since_tick_s += 1 / self.pace
            self.made += 1
            self.unread += 1
            self._deliver()
            if self._since_tick_s >= TICK_S:
                self._since_tick_s -= TICK_S
                self.stage.wait(0.0)
                self.stage.run()
                self._deliver()

    def hear_out(self) -> None:
        """All that was made is read when the stream is over."""
        for _ in range(self.unread):
            self.exchange.tell(None, EVENT, complete=False)
        self.exchange.fail(UpstreamTorn("x"), written=True)

    def _deliver(self) -> None:
        while self.unread and not (self.exchange.paused or self.exchange.stopped):
            self.unread -= 1
            self.exchange.tell(None, EVENT, complete=False)
            self.stage.run()


def test_at_usual_paces_nothing_is_owed_when_no_answer_comes() -> None:
    for pace in USUAL_PACES:
        stage = MeteredStage(quota(BIG), rules=MeteringRules())
        maker = Maker(stage, pace)
        maker.go_on(8.0)
        stage.mute = True
        maker.go_on(120.0)
        assert maker.exchange.stopped, pace
        maker.hear_out()
        stage.mute = False
        stage.run()
        found = stage.trail.only.charged
        assert found is not None
        assert found.tokens_out >= maker.made
        assert found.overrun == 0, (pace, maker.made, found)
        assert b"quota_unavailable" in maker.caller.body


@pytest.mark.parametrize("left", [3, 14, 60, 200])
def test_at_usual_paces_nothing_is_owed_when_others_have_the_rest(left: int) -> None:
    for pace in USUAL_PACES:
        stage = MeteredStage(quota(len(OTHER) + CEILING + len(STREAM) + left), rules=MeteringRules())
        stage.begin(OTHER)
        maker = Maker(stage, pace)
        maker.go_on(20.0)
        assert maker.exchange.stopped, pace
        maker.hear_out()
        found = stage.trail.only.charged
        assert found is not None
        assert found.overrun == 0, (pace, maker.made, found)
        assert json.loads(maker.caller.body.rpartition(b"data: ")[2])["error"]["code"] == "quota_exceeded"
