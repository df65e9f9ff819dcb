"""A caller that hears of news and does not read costs a worker no more than one place for each kind."""

from jotgate.core.calls import ResponseHead
from jotgate.gateway.mcp_news import Listening
from jotgate.gateway.mcp_relay import McpRelay, Plan
from jotgate.gateway.relay import EVENT_STREAM
from jotgate.testing.ports import RecordingCaller
from tests.stages import Stage

TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"
OTHER = "notifications/resources/list_changed"


def test_a_caller_that_does_not_read_is_told_each_kind_once_when_it_reads_again() -> None:
    stage, caller = Stage(), RecordingCaller()
    stage.call()
    (call,) = stage.gateway.live
    assert call.place is not None
    listening = Listening(frozenset({TOOLS, PROMPTS}), None)
    plan = Plan(b"GET", b"", b"", waits=True)
    relay = McpRelay(call.call, caller, stage.clock, settle=lambda _: None, plan=plan)
    relay.attempted(call.place, listening)
    listening.relay = relay
    relay.received(ResponseHead(200, [(b"content-type", EVENT_STREAM)], None), b"", False)
    listening.tell(TOOLS)
    assert _told(caller) == [TOOLS]
    relay.caller_paused()
    for _ in range(1_000):
        listening.tell(PROMPTS)
        listening.tell(TOOLS)
        listening.tell(OTHER)
    stage.clock.advance(60.0)
    relay.check_deadlines(stage.clock.monotonic_s())
    assert _told(caller) == [TOOLS], "nothing is written to who does not read, no comment either"
    relay.caller_resumed()
    assert _told(caller) == [TOOLS, PROMPTS, TOOLS]
    relay.caller_resumed()
    listening.tell(TOOLS)
    assert _told(caller) == [TOOLS, PROMPTS, TOOLS, TOOLS]
    assert caller.state == "begun"


def _told(caller: RecordingCaller) -> list[str]:
    events = caller.body.decode().split("\n\n")
    return [next(name for name in (TOOLS, PROMPTS, OTHER) if name in event) for event in events if event]
