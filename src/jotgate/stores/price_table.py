"""Reads the table of known prices that comes with jotgate; `tools/prices.py` makes it."""

from importlib.resources import files

import msgspec

from jotgate.core.price_table import PriceTable


def read_price_table() -> PriceTable:
    """The table, read anew: control needs it when it compiles a snapshot, and not in between."""
    return msgspec.json.decode(files("jotgate.stores").joinpath("prices.json").read_bytes(), type=PriceTable)
