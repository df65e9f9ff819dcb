"""A call that quotas meet leaves nothing that only the garbage collector could take away, however it ends."""

import gc
from collections.abc import Callable

import pytest

from jotgate.errors import UpstreamTorn
from jotgate.testing.ports import ScriptedExchange
from tests.metering import DONE, EVENT, MeteredStage, quota, usage

UNARY = b'{"model":"a"}'
STREAM = b'{"model":"a","stream":true}'


def whole_stream(exchange: ScriptedExchange) -> None:
    exchange.stream(EVENT * 90)
    exchange.tell(None, usage(3, 90) + DONE, complete=True)


def torn_stream(exchange: ScriptedExchange) -> None:
    exchange.stream(EVENT * 90)
    exchange.fail(UpstreamTorn("x"), written=True)


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (UNARY, lambda exchange: exchange.answer(200, b'{"usage":{"prompt_tokens":3,"completion_tokens":5}}')),
        (UNARY, lambda exchange: exchange.answer(400, b"{}")),
        (STREAM, whole_stream),
        (STREAM, torn_stream),
    ],
    ids=["answered", "refused", "streamed", "torn"],
)
def test_no_call_leaves_anything(body: bytes, end: Callable[[ScriptedExchange], None]) -> None:
    stage = MeteredStage(quota(1_000_000), quota(100, "concurrent"))

    def one() -> None:
        stage.begin(body, jti="t-1")
        end(stage.one.exchanges.pop())
        stage.run()

    one()
    gc.collect()
    gc.disable()
    gc.freeze()  # What was there before is not looked at.
    try:
        for _ in range(20):
            one()
        assert gc.collect() == 0
    finally:
        gc.unfreeze()
        gc.enable()


def test_no_call_that_waited_in_vain_leaves_anything() -> None:
    stage = MeteredStage(quota(1, "concurrent"))
    stage.begin(UNARY, jti="t-1")

    def one() -> None:
        caller, _ = stage.begin(UNARY, jti="t-1")
        stage.tick(11)
        assert caller.status == 429

    one()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        one()
        assert gc.collect() == 0
    finally:
        gc.unfreeze()
        gc.enable()
