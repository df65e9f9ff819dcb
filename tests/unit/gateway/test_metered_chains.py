"""A chain that quotas meet reserves what all its steps may use, and is charged what each did use."""

import json
from random import Random

import pytest

from jotgate.core.audit import Charge
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from jotgate.testing.ports import ScriptedExchange
from tests.chaining import DONE, FOUND, SETTINGS, WORKED, ChainStage, body_of, completion, event, usage_event
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
    assert 300 < found.tokens_in <= 300 + len(last.outbound.body)
    assert found.overrun == 0


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
    stage = ChainStage(quota(5_000), text=long)
    caller, last = stage.to_last_step()
    for _ in range(60):
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


def lose(exchange: ScriptedExchange) -> None:
    """Break off, so that nobody knows whether it was done."""
    exchange.fail(UpstreamTorn("gone"), written=True)


def test_a_further_try_is_within_what_was_reserved_and_no_more_are_made_than_are() -> None:
    free, met = ChainStage(), ChainStage(quota(1_000_000))
    for stage in (free, met):
        stage.chain(stream=False)
        lose(stage.one.last)
        lose(stage.two.last)
        stage.pass_time(2)
    assert (len(free.one.exchanges), len(free.two.exchanges)) == (2, 1), "as often as the settings say"
    assert (len(met.one.exchanges), len(met.two.exchanges)) == (1, 1)
    assert (met.trail.only.status, met.trail.only.code) == (502, "upstream_torn")
    found = charged(met)
    assert found is not None
    assert (found.tokens_out, found.overrun) == (2 * 50, 0)


def test_what_earlier_steps_left_serves_for_further_tries() -> None:
    stage = ChainStage(quota(1_000_000))
    caller, _ = stage.chain(stream=False)
    stage.one.last.answer(200, completion(FOUND, (20, 1)))
    stage.one.last.answer(200, completion("no", (20, 1)))
    lose(stage.one.last)
    stage.two.last.answer(200, completion(WORKED, (20, 1)))
    lose(stage.one.last)
    stage.pass_time(1)
    stage.one.last.answer(200, completion("A bay.", (20, 4)))
    assert caller.status == 200
    found = charged(stage)
    assert found is not None
    assert (found.tokens_out, found.overrun) == (1 + 1 + 60 + 1 + 70 + 4, 0)


def test_a_repair_that_would_not_fit_is_not_asked_for() -> None:
    stage = ChainStage(quota(1_000_000))
    caller, _ = stage.chain()
    lose(stage.one.last)
    stage.two.last.answer(200, completion("no", (5_000, 50)))
    assert caller.status == 502
    assert (stage.trail.only.code, len(stage.two.exchanges)) == ("chain_output_invalid", 1)


class Whims:
    """Answers the asks of one call by whim, as upstreams do that are honest about what they used."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)  # noqa: S311 - no secret comes of it
        self.limit = self._chance.choice((2_000, 4_000, 1_000_000))
        self.stage = ChainStage(quota(self.limit))
        self._streams = self._chance.random() < 0.5
        self.caller, self._running = self.stage.begin(body_of(stream=self._streams))

    def run(self) -> None:
        """Answer until the call has ended."""
        seen = set()
        for _ in range(60):
            asked = [one for port in (self.stage.one, self.stage.two) for one in port.exchanges if id(one) not in seen]
            for one in asked:
                seen.add(id(one))
                self._answer(one)
            if self.caller.state == "ended" or not self.stage.gateway.live:
                return
            if self._running is not None and self._chance.random() < 0.03:
                self._running.caller_gone()
                return
            self.stage.pass_time(1)

    def _answer(self, asked: ScriptedExchange) -> None:
        chance, body = self._chance, json.loads(asked.outbound.body)
        whim = chance.random()
        if whim < 0.45:
            asked.fail(UpstreamTorn("gone"), written=True)
            return
        if whim < 0.5:
            asked.answer(503, b"{}")
            return
        ceiling = body["max_completion_tokens"]
        used = None if chance.random() < 0.3 else (len(asked.outbound.body) - 90, ceiling)
        if body.get("stream"):
            asked.stream(event("A bay.", "stop"))
            asked.tell(None, usage_event(used[0], 9) + DONE if used else DONE, complete=True)
            return
        names = str(body.get("response_format"))
        text = "no" if whim < 0.65 else WORKED if "confidence" in names else FOUND if "intent" in names else "A bay."
        asked.answer(200, completion(text, used))


@pytest.mark.parametrize("seed", range(100))
def test_whatever_upstreams_do_a_chain_uses_no_more_than_it_reserved(seed: int) -> None:
    whims = Whims(seed)
    whims.run()
    assert whims.stage.at_rest()
    balance = whims.stage.rest()
    (record,) = whims.stage.trail.records
    assert record.charged is None or record.charged.overrun == 0
    assert (balance.leased, balance.debt) == (0, 0)
    assert balance.posted <= whims.limit
