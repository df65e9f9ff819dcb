"""What a call costs, in nanodollars, by the price of its model; never less than the upstream asks for it.

Prices are in picodollars, and a call's cost is rounded up once. What upstreams give cheaper and do not tell, such as
input out of a cache, costs as any other.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from jotgate.core.quotas import Extra, Price, Rates

_PICODOLLARS: Final = 1_000
"""In one nanodollar."""

_EXTRAS: Final[Mapping[Extra, re.Pattern[bytes]]] = {
    "media": re.compile(rb'"(?:input_audio|audio|modalities|image|image_url|input_image|video_url|file)"\s*:'),
    "cache": re.compile(rb'"ttl"\s*:'),
    "fast": re.compile(rb'"service_tier"\s*:\s*(?!"(?:default|flex)")|"speed"\s*:'),
}
"""The members of a body that stand for what costs more. Quotes inside texts are escaped, so none is found there."""


def cost_nd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """What so many tokens of one call cost, in nanodollars, rounded up."""
    input_pd, output_pd = price.input_pd, price.output_pd
    for tier in price.tiers:
        if input_tokens > tier.above:
            input_pd, output_pd = tier.input_pd, tier.output_pd
    return -((input_tokens * input_pd + output_tokens * output_pd + price.call_pd) // -_PICODOLLARS)


def for_call(price: Price, body: bytes) -> Price:
    """The price as it is for a call with this JSON body: dearer where it asks for what costs more."""
    if not price.extras:
        return price
    text = _plain_names(body)
    found = [rates for extra, rates in price.extras.items() if _EXTRAS[extra].search(text)]
    return _at_least(price, found) if found else price


def dearest(prices: Iterable[Price | None]) -> Price | None:
    """A price that is not below any of these, for a call of which it is not known where it goes.

    None: one of them is not known, or there is none.
    """
    known: list[Price] = []
    for price in prices:
        if price is None:
            return None
        known.append(price)
    if len(known) <= 1:
        return known[0] if known else None
    extras = {
        extra: Rates(max(one.input_pd for one in rates), max(one.output_pd for one in rates))
        for extra in _EXTRAS
        if (rates := [price.extras[extra] for price in known if extra in price.extras])
    }
    all_rates = [rates for price in known for rates in (Rates(price.input_pd, price.output_pd), *price.tiers)]
    return Price(
        max(one.input_pd for one in all_rates),
        max(one.output_pd for one in all_rates),
        max(price.call_pd for price in known),
        extras=extras,
    )


def _at_least(price: Price, found: list[Rates]) -> Price:
    """The price with rates that are not below any of those that were found, in every tier."""
    input_pd = max(rates.input_pd for rates in found)
    output_pd = max(rates.output_pd for rates in found)
    return Price(
        max(price.input_pd, input_pd),
        max(price.output_pd, output_pd),
        price.call_pd,
        tuple(Rates(max(tier.input_pd, input_pd), max(tier.output_pd, output_pd), tier.above) for tier in price.tiers),
    )


def _plain_names(body: bytes) -> bytes:
    """The body with no letter escaped: a name that is written in another way is the same name."""
    if b"\\u" not in body:
        return body
    return msgspec.json.encode(msgspec.json.decode(body))
