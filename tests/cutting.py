"""Streams through a gateway that follows what is revoked, and what their callers see when they are cut."""

import json
from typing import Final

from jotgate.core.revocations import Entry
from jotgate.core.snapshot import Limits
from jotgate.gateway.live_calls import TICKS_PER_S
from jotgate.gateway.relay import Relay
from jotgate.gateway.waits import Soon
from jotgate.testing.ports import ManualClock, RecordingCaller, at_once
from tests.callers import NAME
from tests.stages import Stage

EVENT: Final = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
TICK_S: Final = 1 / TICKS_PER_S
SUBJECT: Final = f"subject {NAME} alice"


class Streams(Stage):
    """The stage, whose gateway follows what is revoked."""

    def __init__(self, clock: ManualClock | None = None, soon: Soon = at_once, limits: Limits | None = None) -> None:
        super().__init__(limits, clock, soon)
        self.revoked = self.world.verifier.revoked
        self.revoked.follow(self.gateway.cuts.revoked)

    def stream(self, body: bytes = b'{"model":"a","stream":true}', **claims: object) -> RecordingCaller:
        """A call whose answer has begun."""
        caller, _ = self.call(body, **claims)
        (self.one if b'"a"' in body else self.two).last.stream(EVENT)
        return caller

    def revoke(self, *names: str, before_s: int | None = None) -> None:
        self.revoked.take([Entry(name, None, before_s) for name in names])

    def only(self) -> Relay:
        (relay,) = self.gateway.live
        return relay


def token_name(jti: str) -> str:
    return f"token {NAME} {jti}"


def told(caller: RecordingCaller) -> dict[str, object]:
    """The error event that is the last of a stream that was cut."""
    assert caller.state == "aborted"
    assert caller.body.startswith(EVENT)
    event = caller.body.removeprefix(EVENT)
    assert event.startswith(b"\n\ndata: ")
    assert event.endswith(b"\n\n")
    found = json.loads(event.strip().removeprefix(b"data: "))["error"]
    assert isinstance(found, dict)
    return found
