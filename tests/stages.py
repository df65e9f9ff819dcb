"""A gateway over scripted upstreams, and calls on their way through it."""

from typing import Final

from jotgate.core.calls import Request
from jotgate.core.routes import Upstream
from jotgate.core.snapshot import Limits
from jotgate.errors import JotgateError
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.records import CallRecorder
from jotgate.gateway.waits import Soon
from jotgate.ports import Running
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock, MemoryTrail, RecordingCaller, ScriptedPort, at_once
from tests.callers import make_issuer, make_world, request

FIRST_BYTE_S: Final = 20.0
IDLE_S: Final = 10.0
TOTAL_S: Final = 60.0
_ISSUER: Final = make_issuer()


class Stage:
    """A gateway with two upstreams, `one` and `two`: alias `a` is tried at both, `b` at `two` alone.

    Without `limits` it judges every wrong token, however many come.
    """

    def __init__(self, limits: Limits | None = None, clock: ManualClock | None = None, soon: Soon = at_once) -> None:
        self.clock = clock or ManualClock()
        self.trail = MemoryTrail()
        self.one = ScriptedPort()
        self.two = ScriptedPort()
        self.issuer: TestIssuer = _ISSUER
        recorder = CallRecorder(clock=self.clock, trail=self.trail, instance="w0")
        self.gateway = Gateway(clock=self.clock, recorder=recorder, instance="w0", soon=soon)
        self.world = make_world(
            self.issuer,
            {"one": self.one, "two": self.two},
            {"a": ("one", "two"), "b": ("two",)},
            limits=limits or Limits(failed_attempts=0),
            upstream=Upstream(
                "",
                "openai",
                "http://127.0.0.1:1/v1",
                first_byte_timeout_s=FIRST_BYTE_S,
                idle_timeout_s=IDLE_S,
                total_timeout_s=TOTAL_S,
            ),
        )
        self.gateway.swap(self.world)

    def ask(self, asked: Request) -> tuple[RecordingCaller, Running | None]:
        """Put a request through, as the edge does."""
        caller = RecordingCaller()
        try:
            answer = self.gateway.open(asked)
        except JotgateError as refusal:
            self.gateway.refuse(asked, refusal, caller)
            return caller, None
        return caller, answer(caller)

    def call(self, body: bytes = b'{"model":"a","stream":true}', **claims: object) -> tuple[RecordingCaller, Running]:
        """Put a good call through."""
        caller, running = self.ask(request(body, authorization=b"Bearer " + self.issuer.token(**claims)))
        assert running is not None, caller.body
        return caller, running

    def wait(self, span_s: float) -> None:
        """Let time pass, control be heard, and the gateway look at its deadlines."""
        self.clock.advance(span_s)
        self.gateway.control_seen()
        self.gateway.check_deadlines()
