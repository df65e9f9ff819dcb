"""`[[prices]]` as values: what an operator says that a model costs, and what that means."""

from collections.abc import Callable, Iterable, Mapping, Set
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Final

from msgspec import Meta, Struct

from jotgate.core.faults import Fault, advice, shown
from jotgate.core.price_table import PriceTable
from jotgate.core.quotas import Price
from jotgate.core.tables import read_table

EVERY: Final = ""
"""In place of an upstream: all that have the model."""

PriceFinder = Callable[[str, str], Price | None]
"""The price of a model, by an upstream's name and the name that this upstream has for the model; None: unknown."""

_Dollars = Annotated[float, Meta(description="a number of US dollars from 0 to 1000000", ge=0, le=1_000_000)]
_TOKEN_PD: Final = 1_000_000
"""Picodollars for a token of what costs a dollar for a million."""
_CALL_PD: Final = 1_000_000_000_000


class PriceEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[prices]]`: what a model costs at an upstream, in US dollars; `input` and `output` for a million tokens."""

    upstream: Annotated[str, Meta(description="an upstream's name in quotes", max_length=64)] = EVERY
    model: Annotated[
        str, Meta(description="a model's name, 1 to 256 characters without spaces", pattern=r"^[!-~]{1,256}\Z")
    ]
    input: _Dollars
    output: _Dollars
    call: _Dollars = 0


def read_prices(value: object, faults: list[Fault]) -> dict[str, PriceEntry]:
    """The sound entries by their path, such as `prices[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("prices", f"is {shown(value)}, and must be tables, each headed [[prices]]"))
        return {}
    entries: dict[str, PriceEntry] = {}
    for index, item in enumerate(value):
        entry = read_table(PriceEntry, item, f"prices[{index}]", faults)
        if entry is not None:
            entries[f"prices[{index}]"] = entry
    return entries


def check_prices(prices: Mapping[str, PriceEntry], known: Mapping[str, Set[str]]) -> list[Fault]:
    """The faults of entries, by path, that price nothing, or something twice. `known` are the upstreams' models."""
    faults: list[Fault] = []
    first: dict[tuple[str, str], str] = {}
    everywhere = frozenset(model for models in known.values() for model in models)
    for path, entry in prices.items():
        if entry.upstream and entry.upstream not in known:
            faults.append((f"{path}.upstream", f"is no upstream; {advice(entry.upstream, sorted(known))}"))
            continue
        models = known[entry.upstream] if entry.upstream else everywhere
        if entry.model not in models:
            fault = "is no upstream's own name of a model; " if not entry.upstream else "is not what it calls a model; "
            faults.append((f"{path}.model", fault + advice(entry.model, sorted(models))))
        said = (entry.upstream, entry.model)
        if first.setdefault(said, path) != path:
            faults.append((f"{path}.model", f"has a price in {first[said]} already; write it in one place"))
    return faults


def price_finder(entries: Iterable[PriceEntry], base_urls: Mapping[str, str], table: PriceTable) -> PriceFinder:
    """Whoever knows prices: the entries, those of one upstream first, then the table by the upstreams' URLs.

    An upstream without a URL is built in and costs nothing.
    """
    said = {(entry.upstream, entry.model): _price(entry) for entry in entries}

    def find(upstream: str, model: str) -> Price | None:
        for name in (upstream, EVERY):
            if (name, model) in said:
                return said[name, model]
        base_url = base_urls.get(upstream, "")
        return table.find(base_url, model) if base_url else Price(0, 0)

    return find


def _price(entry: PriceEntry) -> Price:
    return Price(_up(entry.input, _TOKEN_PD), _up(entry.output, _TOKEN_PD), _up(entry.call, _CALL_PD))


def _up(dollars: float, picodollars: int) -> int:
    """A number as it was written, and not as it is held, in picodollars."""
    return int((Decimal(repr(dollars)) * picodollars).to_integral_value(ROUND_CEILING))
