"""However calls end, each settles once, nothing stays reserved, and no quota is spent beyond what is booked as debt."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from jotgate.core.calls import ResponseHead
from jotgate.core.routes import MeteringRules, QuotaSpent
from jotgate.errors import UpstreamTorn, UpstreamUnavailable
from jotgate.gateway.metered import MeteredRelay
from jotgate.testing.ports import ScriptedExchange
from tests.metering import DONE, EVENT, MeteredStage, quota, usage

BODIES = (
    b'{"model":"a"}',
    b'{"model":"b","max_tokens":7,"n":2}',
    b'{"model":"a","stream":true}',
    b'{"model":"b","stream":true,"max_tokens":40}',
)
PAGE = b"application/json"

Ending = Callable[[MeteredStage, ScriptedExchange], object]


def stop(exchange: ScriptedExchange, piece: bytes) -> None:
    exchange.tell(None, piece, complete=True)


def unary(tokens: int) -> Ending:
    body = b'{"usage":{"prompt_tokens":4,"completion_tokens":%d}}' % tokens
    return lambda _, exchange: exchange.answer(200, body)


def streamed(events: int, tokens: int | None, *, ends: bool) -> Ending:
    def tell(stage: MeteredStage, exchange: ScriptedExchange) -> None:
        exchange.stream(EVENT * events)
        stage.run()
        if ends and not exchange.aborted:
            stop(exchange, DONE if tokens is None else usage(4, tokens) + DONE)

    return tell


ENDINGS: tuple[Ending, ...] = (
    unary(5),
    unary(500),
    lambda _, exchange: exchange.answer(200, b"no usage at all"),
    lambda _, exchange: exchange.answer(400, b"{}"),
    lambda _, exchange: exchange.answer(503, b"{}"),
    lambda _, exchange: exchange.answer(401, b"{}"),
    lambda _, exchange: exchange.tell(ResponseHead(302, [], 0), b"", complete=False),
    lambda _, exchange: exchange.stream(b"{", content_type=PAGE, length=99),
    streamed(3, 3, ends=True),
    streamed(70, None, ends=True),
    streamed(300, 300, ends=True),
    streamed(20, None, ends=False),
    lambda _, exchange: exchange.fail(UpstreamTorn("x"), written=True),
    lambda _, exchange: exchange.fail(UpstreamUnavailable("x"), written=False),
)
LAST: tuple[Callable[[MeteredStage, MeteredRelay], object], ...] = (
    lambda _, relay: relay.caller_gone(),
    lambda _, relay: relay.cancel(),
    lambda stage, _: stage.tick(90),
    lambda _, relay: relay.failed(UpstreamTorn("x"), True),
)

Call = tuple[int, list[int], int]


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(
        st.tuples(
            st.integers(0, len(BODIES) - 1),
            st.lists(st.integers(0, len(ENDINGS) - 1), min_size=1, max_size=2),
            st.integers(0, len(LAST) - 1),
        ),
        min_size=1,
        max_size=8,
    ),
    spent=st.sampled_from(["cut", "finish", "soft"]),
    retry_unsafe=st.booleans(),
    outage=st.integers(0, 8),
    interleaved=st.booleans(),
)
def test_any_ending_settles_once_and_leaves_nothing_reserved(
    calls: list[Call], spent: QuotaSpent, retry_unsafe: bool, outage: int, interleaved: bool
) -> None:
    rules = MeteringRules(output_ceiling=50, output_step=32, quota_spent=spent)
    stage = MeteredStage(
        quota(700), quota(6, "requests"), quota(3, "concurrent"), rules=rules, retry_unsafe=retry_unsafe
    )
    left: list[Call] = []
    for number, call in enumerate(calls):
        stage.down = number == outage
        stage.begin(BODIES[call[0]])
        left.append(call)
        if not interleaved:
            finish(stage, left)
    finish(stage, left)
    stage.down = False
    stage.tick(12)
    stage.gateway.cancel_all()
    stage.tick(70)
    assert not stage.gateway.live
    assert not stage.gateway.metered.waits
    records = stage.trail.records
    assert len(records) == len(calls)
    tokens, requests, slots = (stage.balance(place) for place in range(3))
    assert (tokens.leased, requests.leased, slots.leased) == (0, 0, 0)
    charges = [one.charged for one in records if one.charged is not None]
    assert len(charges) <= requests.posted <= 6
    if not requests.lost:  # As for tokens, below.
        assert requests.posted == len(charges)
    assert slots.posted == 0
    used = sum(one.tokens_in + one.tokens_out for one in charges)
    assert used <= tokens.posted <= 700 + tokens.debt
    if not tokens.lost:  # Else the store was away for longer than a lease lasts, and posted all of it.
        assert tokens.posted == used


def finish(stage: MeteredStage, left: list[Call]) -> None:
    """End every call that runs, each in its own way."""
    while left:
        _, endings, last = left.pop(0)
        stage.tick(2)
        relay = next((one for one in stage.gateway.live if isinstance(one, MeteredRelay)), None)
        if relay is None:
            continue
        for place in endings:
            exchange = relay.exchange
            if not isinstance(exchange, ScriptedExchange) or exchange.aborted or relay not in stage.gateway.live:
                break
            ENDINGS[place](stage, exchange)
            stage.run()
            if relay.exchange is exchange:
                break
        stage.tick()
        if relay in stage.gateway.live:
            LAST[last](stage, relay)
        stage.run()
