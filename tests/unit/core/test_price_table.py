"""The table knows a provider by the URL of its API, and a model by the names that it goes by."""

import pytest

from jotgate.core.price_table import Match, PricedModel, PriceTable, Provider
from jotgate.core.quotas import Price

NEW, OLD, REST, OTHER = Price(1, 1), Price(2, 2), Price(3, 3), Price(4, 4)
TABLE = PriceTable(
    "",
    (
        Provider(
            "first",
            r"https://api\.first\.example",
            (
                PricedModel(Match(equals="m-2026-01-02"), NEW),
                PricedModel(Match(any_of=(Match(equals="m"), Match(regex=r"^m-\d{2}$"))), OLD),
                PricedModel(Match(equals="sound"), None),
                PricedModel(Match(all_of=(Match(starts="m-"), Match(ends="-x"), Match(contains="large"))), REST),
            ),
            ("second",),
        ),
        Provider("second", r"https://second\.example", (PricedModel(Match(contains="o"), OTHER),)),
    ),
)


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("m", OLD),
        ("M", OLD),
        ("m-07", OLD),
        ("m-007", None),
        ("m-2026-01-02", NEW),
        ("m-20260102", NEW),
        ("m-large-x", REST),
        ("m-large-y", None),
        ("other", OTHER),
        ("sound", None),
    ],
)
def test_a_model_is_known_by_its_names(model: str, price: Price | None) -> None:
    """The first that fits counts, one without a price too; what is not there is looked for at the next provider."""
    assert TABLE.find("https://api.first.example/v1", model) == price


@pytest.mark.parametrize("url", ["http://127.0.0.1/v1", "https://proxy.example/https://api.first.example", ""])
def test_what_is_elsewhere_is_unknown(url: str) -> None:
    assert TABLE.find(url, "m") is None


def test_a_provider_that_others_fall_to_does_not_fall_to_them() -> None:
    assert TABLE.find("https://second.example", "m") is None
