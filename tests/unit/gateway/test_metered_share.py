"""Many streams without a ceiling share a quota to its end: none is refused while much of it is left."""

from typing import Final

from jotgate.core.routes import MeteringRules
from tests.metering import TICK_S, MeteredStage, quota

STREAMS: Final = 64
QUOTA: Final = 1_000_000
TOKENS: Final = 32
"""So many tokens come to each stream in a tick, in one event: 128 in a second."""


def test_no_stream_of_many_is_refused_before_nine_tenths_are_spent() -> None:
    stage = MeteredStage(quota(QUOTA), rules=MeteringRules(), upstreams={"one": {"total_timeout_s": 3_600.0}})
    for _ in range(STREAMS):
        stage.begin()
    exchanges = tuple(stage.one.exchanges)
    for exchange in exchanges:
        exchange.stream(b"")
    event = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % (b"tok " * TOKENS)
    spent = 0
    while not any(exchange.aborted for exchange in exchanges):
        for exchange in exchanges:
            if not (exchange.paused or exchange.aborted):
                exchange.tell(None, event, complete=False)
                spent += TOKENS
                stage.run()
        stage.wait(TICK_S)
        stage.run()

    assert 0.9 * QUOTA <= spent <= QUOTA
    assert stage.balance().debt == 0
