"""Many calls that lack the same units are asked for together: behind a slow ledger none waits for its turn."""

from typing import Final

from tests.metering import MeteredStage, quota

CALLS: Final = 32


def answer_all(stage: MeteredStage) -> None:
    """Have control answer what it was asked so far, and everything follow that follows."""
    for _ in range(len(stage.asked)):
        stage.asked.popleft()()
    while stage.turns.waiting:
        stage.turns.waiting.popleft()()


def test_all_that_wait_are_let_through_within_three_rounds() -> None:
    """They say which quotas meet them, grant what the first of them wants, and what all others do."""
    stage = MeteredStage(quota(1_000_000))
    stage.mute = True
    for _ in range(CALLS):
        stage.begin()
    assert stage.one.exchanges == []

    for _ in range(3):
        answer_all(stage)

    assert len(stage.one.exchanges) == CALLS


def test_all_streams_that_wait_for_a_step_get_it_by_the_next_answers() -> None:
    stage = MeteredStage(quota(1_000_000))
    for _ in range(CALLS):
        stage.begin()
    streams = tuple(stage.one.exchanges)
    for exchange in streams:
        exchange.stream(b"")
    stage.mute = True
    event = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
    for exchange in streams:
        exchange.tell(None, event * 60, complete=False)
        stage.run()
    assert all(exchange.paused for exchange in streams)

    for _ in range(2):
        answer_all(stage)

    assert not any(exchange.paused for exchange in streams)
