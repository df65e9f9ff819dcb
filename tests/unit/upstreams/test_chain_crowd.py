"""Many chains at once leave nothing behind: no run, no place, no reservation, nothing for the garbage collector."""

import gc
import json
from collections.abc import Callable
from typing import Final

import pytest

from jotgate.core.audit import Charge
from jotgate.errors import UpstreamTorn
from jotgate.testing.ports import RecordingCaller
from tests.chaining import DONE, FOUND, WORKED, ChainStage, completion, event, usage_event
from tests.metering import quota

_MANY: Final = 100


def answer_all(stage: ChainStage, said: bytes) -> None:
    """Answer what was asked of `one` and is not answered, all of it alike."""
    asked, stage.one.exchanges[:] = stage.one.exchanges[:], []
    for exchange in asked:
        exchange.answer(200, said)


def test_a_hundred_chains_at_once_leave_nothing_and_are_charged_each_step() -> None:
    stage = ChainStage(quota(10_000_000), quota(200, "concurrent"))
    callers = [stage.chain()[0] for _ in range(_MANY)]
    assert len(stage.chains.live) == _MANY
    assert stage.balance().leased > 0
    answer_all(stage, completion(FOUND, (100, 20)))
    answer_all(stage, completion(WORKED, (200, 30)))
    for exchange in stage.one.exchanges:
        exchange.stream(event("A fjord "))
    assert all(b"A fjord " in caller.body for caller in callers)
    for exchange in stage.one.exchanges:
        exchange.tell(None, event("is a bay.", "stop") + usage_event(300, 40) + DONE, complete=True)
    assert {caller.state for caller in callers} == {"ended"}
    assert stage.at_rest()
    balance = stage.rest()
    assert (balance.leased, balance.posted) == (0, _MANY * 690)
    assert {record.charged for record in stage.trail.records} == {Charge(600, 90, 2_050_000)}
    assert stage.balance(1).leased == 0


def test_a_hundred_chains_that_end_in_every_way_leave_nothing() -> None:
    stage = ChainStage(quota(10_000_000), quota(200, "concurrent"))
    running = [stage.chain()[1] for _ in range(_MANY)]
    for leaver in running[:20]:
        leaver.caller_gone()
    for number, exchange in enumerate(stage.one.exchanges[20:40]):
        exchange.answer(200, completion('{"intent":""}' if number % 2 else FOUND))
    for exchange in stage.one.exchanges[40:60]:
        exchange.fail(UpstreamTorn("x"), written=True)
    for leaver in running[60:80]:
        leaver.caller_paused()
        leaver.caller_gone()
    stage.gateway.cancel_all()
    stage.run()
    assert stage.at_rest()
    balance = stage.rest()
    charged = [record.charged for record in stage.trail.records if record.charged is not None]
    assert (balance.leased, balance.posted) == (0, sum(one.tokens_in + one.tokens_out for one in charged))
    assert len(stage.trail.records) == _MANY
    assert stage.balance(1).leased == 0


def whole(stage: ChainStage, caller: RecordingCaller) -> None:
    stage.one.exchanges.pop().answer(200, completion(FOUND))
    stage.one.exchanges.pop().answer(200, completion(WORKED))
    last = stage.one.exchanges.pop()
    last.stream(event("Hi"))
    last.tell(None, usage_event(1, 1) + DONE, complete=True)
    assert caller.state == "ended"


def closed(stage: ChainStage, caller: RecordingCaller) -> None:
    stage.one.exchanges.pop().answer(200, completion('{"intent":""}'))
    assert json.loads(caller.body)["error"]["code"] == "chain_gate_closed"


def torn(stage: ChainStage, caller: RecordingCaller) -> None:
    stage.one.exchanges.pop().answer(200, completion(FOUND))
    stage.one.exchanges.pop().answer(200, completion(WORKED))
    last = stage.one.exchanges.pop()
    last.stream(event("Hi"))
    last.fail(UpstreamTorn("x"), written=True)
    assert caller.state == "aborted"


@pytest.mark.parametrize("end", [whole, closed, torn])
def test_no_chain_leaves_anything_for_the_collector(end: Callable[[ChainStage, RecordingCaller], None]) -> None:
    stage = ChainStage(quota(10_000_000))

    def one() -> None:
        caller, _ = stage.chain()
        end(stage, caller)
        stage.run()

    one()
    gc.collect()
    gc.disable()
    gc.freeze()  # What was there before is not looked at.
    try:
        for _ in range(10):
            one()
        assert gc.collect() == 0
    finally:
        gc.unfreeze()
        gc.enable()
