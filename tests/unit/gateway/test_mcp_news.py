"""A caller that hears of news and does not read costs a worker no more than one place for each kind."""

from typing import cast

from jotgate.core.calls import ResponseHead
from jotgate.gateway.mcp_news import Listening
from jotgate.gateway.mcp_relay import McpRelay

TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"


class _Told:
    """Keeps what a relay is told."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        assert head is None
        assert not complete
        self.pieces.append(piece)


def test_a_caller_that_does_not_read_is_told_each_kind_once_when_it_reads_again() -> None:
    told = _Told()
    listening = Listening(frozenset({TOOLS, PROMPTS}), None)
    listening.relay = cast(McpRelay, told)
    listening.tell(TOOLS)
    assert len(told.pieces) == 1
    listening.pause()
    for _ in range(1_000):
        listening.tell(PROMPTS)
        listening.tell(TOOLS)
        listening.tell("notifications/resources/list_changed")
    assert len(told.pieces) == 1
    listening.resume()
    assert [TOOLS.encode() in piece for piece in told.pieces] == [True, False, True]
    listening.resume()
    assert len(told.pieces) == 3
