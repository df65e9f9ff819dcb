"""The table that comes with jotgate can be read, and knows the models that everybody uses."""

from jotgate.core.quotas import Price
from jotgate.stores.price_table import read_price_table


def test_the_table_that_comes_along_knows_current_models() -> None:
    """What OpenAI asked for gpt-4o-mini in November 2026: 0.15 and 0.60 dollars for a million tokens."""
    table = read_price_table()
    small = table.find("https://api.openai.com/v1", "gpt-4o-mini")
    assert small is not None
    assert (small.input_pd, small.output_pd) == (150_000, 600_000)
    assert table.find("https://mine.openai.azure.com/openai/v1", "gpt-4o-mini") == small
    assert "MIT" in table.notice


def test_no_price_in_it_is_negative_and_tiers_stand_in_order_and_get_dearer() -> None:
    prices = [one.price for provider in read_price_table().providers for one in provider.models]
    assert len(prices) > 2_000
    assert all(sound(price) for price in prices if price is not None)


def sound(price: Price) -> bool:
    above = [tier.above for tier in price.tiers]
    inputs = [price.input_pd, *(tier.input_pd for tier in price.tiers)]
    return (
        above == sorted(set(above)) and inputs == sorted(inputs) and min(inputs[0], price.output_pd, price.call_pd) >= 0
    )
