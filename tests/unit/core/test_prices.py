"""A call costs what its upstream asks for it, rounded up once, and never less."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.prices import cost_nd, dearest, for_call
from jotgate.core.quotas import Price, Rates

# 2.50 and 10 US dollars for a million tokens, and twice that beyond 200,000 tokens of input.
TIERED = Price(2_500_000, 10_000_000, tiers=(Rates(5_000_000, 20_000_000, 200_000),))
EXTRAS = Price(
    1_000_000,
    4_000_000,
    extras={"media": Rates(32_000_000, 64_000_000), "cache": Rates(2_000_000, 0), "fast": Rates(2_000_000, 8_000_000)},
)
RATE = st.integers(0, 10**9)
TOKENS = st.integers(0, 10**7)


def test_a_million_tokens_cost_what_the_table_says() -> None:
    assert cost_nd(Price(2_500_000, 10_000_000), 1_000_000, 0) == 2_500_000_000
    assert cost_nd(Price(2_500_000, 10_000_000), 0, 1_000_000) == 10_000_000_000


def test_it_is_rounded_up_once_for_a_call() -> None:
    """A token of 39,000 picodollars is 39 nanodollars; of 39,001 one is 40, and a thousand are 39,001."""
    assert [cost_nd(Price(39_001, 0), tokens, 0) for tokens in (0, 1, 1_000)] == [0, 40, 39_001]
    assert cost_nd(Price(1, 1, 1), 1, 1) == 1


def test_beyond_a_tier_all_tokens_cost_more() -> None:
    assert cost_nd(TIERED, 200_000, 1_000) == 200_000 * 2_500 + 1_000 * 10_000
    assert cost_nd(TIERED, 200_001, 1_000) == 200_001 * 5_000 + 1_000 * 20_000


@given(RATE, RATE, RATE, TOKENS, TOKENS)
def test_the_cost_is_exact(input_pd: int, output_pd: int, call_pd: int, tokens: int, more: int) -> None:
    found = cost_nd(Price(input_pd, output_pd, call_pd), tokens, more)
    assert (found - 1) * 1_000 < tokens * input_pd + more * output_pd + call_pd <= found * 1_000


@given(TOKENS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(tokens: int, output: int, more: int) -> None:
    assert cost_nd(TIERED, tokens, output) <= cost_nd(TIERED, tokens + more, output)
    assert cost_nd(TIERED, tokens, output) <= cost_nd(TIERED, tokens, output + more)


@pytest.mark.parametrize(
    ("body", "rates"),
    [
        (b'{"messages":[{"role":"user","content":"Say \\"audio\\": now"}]}', (1_000_000, 4_000_000)),
        (b'{"service_tier":"default"}', (1_000_000, 4_000_000)),
        (b'{"service_tier":"auto"}', (2_000_000, 8_000_000)),
        (b'{"service_tier" : "priority"}', (2_000_000, 8_000_000)),
        (b'{"service_tier":null}', (2_000_000, 8_000_000)),
        (b'{"content":[{"type":"input_audio","input_audio":{}}]}', (32_000_000, 64_000_000)),
        (b'{"content":[{"type":"input_audio","input\\u005faudio":{}}]}', (32_000_000, 64_000_000)),
        (b'{"cache_control":{"type":"ephemeral","ttl":"1h"}}', (2_000_000, 4_000_000)),
        (b'{"cache_control":{"type":"ephemeral"}}', (1_000_000, 4_000_000)),
    ],
)
def test_what_costs_more_is_found_in_the_body(body: bytes, rates: tuple[int, int]) -> None:
    price = for_call(EXTRAS, body)
    assert (price.input_pd, price.output_pd) == rates


def test_a_call_that_may_go_to_several_upstreams_costs_at_most_the_dearest() -> None:
    bound = dearest([TIERED, EXTRAS, Price(1, 30_000_000, 7)])
    assert bound is not None
    assert (bound.input_pd, bound.output_pd, bound.call_pd) == (5_000_000, 30_000_000, 7)
    assert for_call(bound, b'{"audio":{}}').input_pd == 32_000_000
    assert dearest([TIERED]) is TIERED


def test_one_unknown_price_makes_the_dearest_unknown() -> None:
    assert dearest([TIERED, None]) is None
    assert dearest([]) is None


@given(st.lists(st.sampled_from([TIERED, EXTRAS, Price(7, 9, 2)]), min_size=1), TOKENS, TOKENS)
def test_no_price_is_above_the_dearest(prices: list[Price], tokens: int, more: int) -> None:
    bound = dearest(prices)
    assert bound is not None
    assert all(cost_nd(price, tokens, more) <= cost_nd(bound, tokens, more) for price in prices)
    assert cost_nd(bound, 0, 0) == ceil(bound.call_pd / 1_000)
