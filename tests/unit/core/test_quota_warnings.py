"""Who writes rules that meet no call, or limits money where no price is known, is told before calls are refused."""

import tomllib

from jotgate.core.config_reader import parse
from jotgate.core.price_table import PriceTable
from jotgate.core.quota_warnings import warn_of_quotas

_UPSTREAM = """
[[upstreams]]
name = "house"
kind = "openai"
base_url = "http://a/v1"
models = { large = "house-large", small = "house-small" }
"""


def warnings(text: str) -> list[str]:
    return warn_of_quotas(parse(tomllib.loads(_UPSTREAM + text)), PriceTable())


def quota(limit: str = "5 requests/day", further: str = "") -> str:
    return f'[[quotas]]\nname = "q"\nlimit = "{limit}"\n{further}\n'


def price(model: str) -> str:
    return f'[[prices]]\nmodel = "{model}"\ninput = 1.0\noutput = 2.0\n'


def test_rules_that_can_meet_calls_are_not_spoken_of() -> None:
    assert warnings("") == []
    assert warnings(quota()) == []
    assert warnings(quota(further='routes = ["large", "echo", "new-*"]\nmodels = ["small"]')) == []


def test_a_route_that_there_is_not_is_told_once() -> None:
    said = warnings(quota(further='routes = ["larg", "large"]\nmodels = ["larg"]'))
    assert said == ["the quota 'q' names 'larg', and there is no route of that name"]


def test_money_is_spoken_of_where_nobody_knows_the_price() -> None:
    (said,) = warnings(quota("5 USD/day"))
    assert "'house-large' at 'house', 'house-small' at 'house'" in said
    assert "[[prices]]" in said
    (said,) = warnings(quota("5 USD/day") + price("house-small"))
    assert "house-large" in said
    assert "house-small" not in said
    assert warnings(quota("5 USD/day") + price("house-small") + price("house-large")) == []


def test_money_is_not_spoken_of_for_routes_that_the_rule_does_not_meet() -> None:
    for further in ('routes = ["small"]', 'models = ["sm*"]', 'routes = ["echo"]'):
        assert all("house-large" not in one for one in warnings(quota("5 USD/day", further)))
    assert warnings(quota("5 USD/day", 'routes = ["echo"]')) == [], "what is built in costs nothing"
