"""`[[prices]]` says what a model costs, exactly as it is written, and goes before the table."""

import tomllib

import pytest

from jotgate.core.compiler import Materials, compile_snapshot
from jotgate.core.config_reader import parse
from jotgate.core.key_life import OwnKeys
from jotgate.core.price_table import Match, PricedModel, PriceTable, Provider
from jotgate.core.quotas import Price
from jotgate.core.snapshot import Snapshot
from jotgate.errors import ConfigurationError

UPSTREAMS = """
[[upstreams]]
name = "one"
kind = "openai"
base_url = "https://api.known.example/v1"
models = { small = "m-small", large = "m-large" }

[[upstreams]]
name = "two"
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
models = { small = "m-small" }
"""
KNOWN = Provider(
    "known", r"https://api\.known\.example", (PricedModel(Match(starts="m-"), Price(1_000_000, 2_000_000)),)
)


def compiled(text: str) -> Snapshot:
    config = parse(tomllib.loads(UPSTREAMS + text))
    table = PriceTable("", (KNOWN,))
    return compile_snapshot(config, "http://i", OwnKeys(b"{}", ("ES256",)), 1, Materials(prices=table))


def prices(text: str = "") -> dict[tuple[str, str], Price | None]:
    """The price of each attempt of each alias."""
    return {(route.alias, one.upstream): one.price for route in compiled(text).routes for one in route.attempts}


def test_the_table_knows_an_upstream_by_its_url_and_what_is_built_in_costs_nothing() -> None:
    assert prices() == {
        ("echo", "echo"): Price(0, 0),
        ("small", "one"): Price(1_000_000, 2_000_000),
        ("large", "one"): Price(1_000_000, 2_000_000),
        ("small", "two"): None,
    }


def test_an_entry_of_one_upstream_goes_before_one_of_all_and_that_before_the_table() -> None:
    found = prices(
        """
        [[prices]]
        model = "m-small"
        input = 3
        output = 4.5
        [[prices]]
        upstream = "two"
        model = "m-small"
        input = 0
        output = 0
        """
    )
    assert found["small", "one"] == Price(3_000_000, 4_500_000)
    assert found["small", "two"] == Price(0, 0)
    assert found["large", "one"] == Price(1_000_000, 2_000_000)


def test_a_number_counts_as_it_is_written_and_is_rounded_up() -> None:
    """0.1 has no exact form in a float, and 0.1 dollars for a million tokens are 100,000 picodollars for each."""
    found = prices(
        """
        [[prices]]
        upstream = "echo"
        model = "echo"
        input = 0.1
        output = 0.0000011
        call = 0.005
        """
    )
    assert found["echo", "echo"] == Price(100_000, 2, 5_000_000_000)


@pytest.mark.parametrize(
    ("text", "path", "fault"),
    [
        ('upstream = "tow"\nmodel = "m-small"\ninput = 1\noutput = 1', "prices[0].upstream", "did you mean 'two'?"),
        ('model = "small"\ninput = 1\noutput = 1', "prices[0].model", "did you mean 'm-small'?"),
        ('upstream = "two"\nmodel = "m-large"\ninput = 1\noutput = 1', "prices[0].model", "not what it calls a model"),
        ('model = "m-small"\ninput = -1\noutput = 1', "prices[0].input", "from 0 to 1000000"),
        ('model = "m-small"\ninput = nan\noutput = 1', "prices[0].input", "from 0 to 1000000"),
        ('model = "m-small"\ninput = inf\noutput = 1', "prices[0].input", "from 0 to 1000000"),
        ('model = "m-small"\ninput = "1"\noutput = 1', "prices[0].input", "from 0 to 1000000"),
        ('model = "m-small"\noutput = 1', "prices[0].input", "is missing"),
        ('model = "m-small"\ninput = 1\noutput = 1\ncached = 1', "prices[0].cached", "is not a setting"),
    ],
)
def test_an_entry_that_prices_nothing_is_a_fault(text: str, path: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        prices(f"[[prices]]\n{text}")
    assert [(where, fault in what) for where, what in caught.value.faults] == [(path, True)]


def test_a_second_price_of_a_model_is_a_fault() -> None:
    entry = '[[prices]]\nmodel = "m-small"\ninput = 1\noutput = 1\n'
    with pytest.raises(ConfigurationError) as caught:
        prices(entry + entry)
    ((path, what),) = caught.value.faults
    assert (path, "prices[0]" in what) == ("prices[1].model", True)


def test_prices_that_are_no_tables_are_a_fault() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"prices": 1})
    assert [path for path, _ in caught.value.faults] == ["prices"]
