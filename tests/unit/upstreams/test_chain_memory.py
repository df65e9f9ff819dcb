"""What is kept of a chain that has ended: nothing, whatever it was called with."""

import gc
import tracemalloc

from tests.chaining import DONE, FOUND, WORKED, ChainStage, completion, event, usage_event

_CALLS = 40
_BODY_BYTES = 20_000


def call(stage: ChainStage) -> None:
    """One call to its end, with a conversation that would be noticed if it stayed."""
    caller, running = stage.chain(metadata={"padding": "x" * _BODY_BYTES})
    assert len(stage.chains.live) == 1
    for answer in (FOUND, WORKED):
        stage.one.exchanges.pop().answer(200, completion(answer))
    last = stage.one.exchanges.pop()
    last.stream(event("Hi"))
    last.tell(None, usage_event(1, 1) + DONE, complete=True)
    assert caller.state == "ended"
    stage.trail.lines.clear()
    del running


def test_weak_001_7_no_memory_grows_with_the_calls() -> None:
    """The original kept the state of each call for ever, under a name that it never used again."""
    stage = ChainStage()
    call(stage)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(_CALLS):
            call(stage)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stage.chains.live == set()
    assert stage.gateway.live == set()
    assert after - before < _BODY_BYTES * _CALLS / 10
