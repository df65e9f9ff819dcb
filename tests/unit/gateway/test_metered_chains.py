"""A chain that quotas meet reserves what all its steps may use, and is charged what each did use."""

import json

import pytest

from jotgate.core.audit import Charge
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from tests.chaining import DONE, FOUND, SETTINGS, WORKED, ChainStage, completion, event, usage_event
from tests.metering import quota


def charged(stage: ChainStage) -> Charge | None:
    """What the only call was charged, after it is seen that the ledger has the same and nothing else is held."""
    balance = stage.rest()
    found = stage.trail.only.charged
    assert balance.leased == 0
    assert balance.posted == (0 if found is None else found.tokens_in + found.tokens_out)
    return found


def test_a_chain_is_refused_whose_steps_would_not_fit_its_quota_together() -> None:
    stage = ChainStage(quota(150))
    caller, _ = stage.begin(json.dumps({"model": "c", "messages": [{"role": "user", "content": "x"}]}).encode())
    assert caller.status == 429
    assert stage.one.exchanges == []


def test_all_steps_are_charged_by_what_they_used() -> None:
    stage = ChainStage(quota(1_000_000))
    caller, last = stage.to_last_step(stream=False)
    last.answer(200, completion("A bay.", (300, 40)))
    assert caller.status == 200
    assert charged(stage) == Charge(600, 90, 2_050_000)


def test_a_closed_gate_costs_the_steps_that_were_done() -> None:
    stage = ChainStage(quota(1_000_000))
    caller, _ = stage.chain()
    stage.one.last.answer(200, completion('{"intent":""}', (100, 20)))
    assert caller.status == 422
    assert charged(stage) == Charge(100, 20, 200_000)


def test_a_chain_that_reached_nobody_costs_nothing() -> None:
    stage = ChainStage(quota(1_000_000), text=SETTINGS.replace("tries = 3", "tries = 1"))
    stage.chain()
    stage.one.last.fail(UpstreamUnavailable("no connection"), written=False)
    assert charged(stage) is None


def test_who_leaves_pays_for_the_steps_that_were_done_and_for_the_one_that_ran() -> None:
    stage = ChainStage(quota(1_000_000))
    _, running = stage.chain()
    stage.one.last.answer(200, completion(FOUND, (100, 20)))
    sent = len(stage.one.last.outbound.body)
    running.caller_gone()
    found = charged(stage)
    assert found is not None
    assert (found.tokens_in, found.tokens_out) == (100 + sent, 20 + 60)


def test_a_stream_that_breaks_off_costs_no_less_than_what_was_said() -> None:
    stage = ChainStage(quota(1_000_000))
    _, last = stage.to_last_step()
    last.stream(event("A fjord"))
    last.fail(UpstreamTorn("x"), written=True)
    found = charged(stage)
    assert found is not None
    assert 50 + 7 <= found.tokens_out <= 50 + 70
    assert found.tokens_in == 300 + len(last.outbound.body)


def test_the_usage_that_nobody_asked_for_is_kept_back_from_a_metered_stream() -> None:
    stage = ChainStage(quota(1_000_000))
    caller, last = stage.to_last_step()
    last.stream(event("Hi", "stop"))
    last.tell(None, usage_event(300, 40) + DONE, complete=True)
    assert b"prompt_tokens" not in caller.body
    assert charged(stage) == Charge(600, 90, 2_050_000)


@pytest.mark.parametrize("ceiling", [None, 5])
def test_the_ceiling_of_the_answer_is_that_of_the_last_step(ceiling: int | None) -> None:
    stage = ChainStage(quota(1_000_000))
    stage.to_last_step(stream=False, **({} if ceiling is None else {"max_tokens": ceiling}))
    assert [stage.body(number)["max_completion_tokens"] for number in range(3)] == [50, 60, ceiling or 70]


def test_a_stream_reserves_on_as_it_grows_beyond_its_first_step() -> None:
    long = SETTINGS.replace("max_tokens = 70", "max_tokens = 5000")
    stage = ChainStage(quota(10_000), text=long)
    caller, last = stage.to_last_step()
    last.stream(event("word ") * 2_500)
    stage.run()
    last.tell(None, usage_event(300, 2_500) + DONE, complete=True)
    assert caller.state == "ended"
    found = charged(stage)
    assert found is not None
    assert (found.tokens_in, found.tokens_out) == (600, 2_550)


def test_a_stream_is_cut_when_its_quota_is_spent() -> None:
    long = SETTINGS.replace("max_tokens = 70", "max_tokens = 5000")
    stage = ChainStage(quota(3_600), text=long)
    caller, last = stage.to_last_step()
    for _ in range(40):
        if last.aborted:
            break
        last.tell(None, event("word ") * 100, complete=False) if caller.state == "begun" else last.stream(
            event("word ") * 100
        )
        stage.run()
    assert last.aborted
    assert b'"code":"quota_exceeded"' in caller.body
    assert stage.at_rest()
    assert WORKED.encode() not in caller.body
