"""The table of known prices: which provider an upstream's URL is of, and which of its models a name means."""

import re
from typing import Final

from msgspec import Struct

from jotgate.core.quotas import Price

_COMPACT_DATE: Final = re.compile(r"-(20[0-9]{2})([01][0-9])([0-3][0-9])\b")


class Match(Struct, frozen=True, omit_defaults=True):
    """Which names are meant; one member is set. Texts are in small letters, `regex` is searched for."""

    equals: str = ""
    starts: str = ""
    ends: str = ""
    contains: str = ""
    regex: str = ""
    any_of: "tuple[Match, ...]" = ()
    all_of: "tuple[Match, ...]" = ()


class PricedModel(Struct, frozen=True):
    """The models whose names fit, and what a call of them costs; None: it is not counted in tokens."""

    fits: Match
    price: Price | None


class Provider(Struct, frozen=True, omit_defaults=True):
    """One maker of prices. `url` is what the URLs of its API begin with, a regular expression.

    Models that are not its own may be those of `falls_to`, in this order.
    """

    name: str
    url: str
    models: tuple[PricedModel, ...]
    falls_to: tuple[str, ...] = ()


class PriceTable(Struct, frozen=True):
    """What is known; `notice` says from where."""

    notice: str = ""
    providers: tuple[Provider, ...] = ()

    def find(self, base_url: str, model: str) -> Price | None:
        """The price of a model, by the name that the upstream at this URL has for it; None: nobody knows."""
        provider = next((one for one in self.providers if re.match(one.url, base_url)), None)
        if provider is None:
            return None
        name = model.lower()
        asked = (provider, *(one for other in provider.falls_to for one in self.providers if one.name == other))
        models = [priced for one in asked for priced in one.models]
        for written in (name, _COMPACT_DATE.sub(r"-\1-\2-\3", name)):
            found = next((priced for priced in models if _fits(priced.fits, written)), None)
            if found is not None:
                return found.price
        return None


def _fits(match: Match, name: str) -> bool:
    if match.equals:
        return name == match.equals
    if match.any_of:
        return any(_fits(one, name) for one in match.any_of)
    if match.all_of:
        return all(_fits(one, name) for one in match.all_of)
    if match.regex:
        return re.search(match.regex, name) is not None
    if match.contains:
        return match.contains in name
    if match.starts:
        return name.startswith(match.starts)
    return bool(match.ends) and name.endswith(match.ends)
