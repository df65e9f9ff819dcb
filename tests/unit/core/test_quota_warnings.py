"""Who writes rules that meet no call, or limits money where no price is known, is told before calls are refused."""

import tomllib

from jotgate.core.config_reader import parse
from jotgate.core.limit_texts import read_limit
from jotgate.core.price_table import PriceTable
from jotgate.core.quota_warnings import warn_of_limits, warn_of_quotas
from jotgate.core.quotas import Level

_UPSTREAM = """
[[upstreams]]
name = "house"
kind = "openai"
base_url = "http://a/v1"
models = { large = "house-large", small = "house-small" }
"""
_SERVER = '\n[[mcp.servers]]\nname = "files"\nurl = "https://files.example/mcp"\n'


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


def test_a_path_that_proxies_ask_about_is_a_route_and_no_model() -> None:
    decisions = '[decisions]\nproxies = ["127.0.0.1"]\n[[decisions.paths]]\nname = "reports"\n'
    assert warnings(decisions + quota(further='routes = ["reports"]')) == []
    assert len(warnings(decisions + quota(further='models = ["reports"]'))) == 1


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


def test_what_counts_tools_is_spoken_of_while_nothing_calls_them() -> None:
    for text in (quota("10 tool_calls/day"), quota(further='per = ["principal", "tool"]')):
        (said,) = warnings(text)
        assert "the settings name no MCP server" in said
        assert warnings(text + _SERVER) == []


def test_a_server_is_a_route_that_a_rule_may_name() -> None:
    assert warnings(quota("10 tool_calls/day", 'routes = ["mcp:files"]') + _SERVER) == []
    (said,) = warnings(quota("10 tool_calls/day", 'routes = ["mcp:flies"]') + _SERVER)
    assert "there is no route of that name" in said


def test_who_sets_limits_is_told_what_they_do_not_meet() -> None:
    def told(level: Level, name: str, *texts: str) -> list[str]:
        return warn_of_limits(level, name, map(read_limit, texts), {"small"}, ["'m' at 'u'"])

    assert told("principal", "alice", "5 requests/day") == []
    assert told("model", "small", "5 requests/day") == []
    (said,) = told("model", "smal", "5 requests/day")
    assert "no route named 'smal'" in said
    (said,) = told("principal", "alice", "5 USD/month")
    assert "'m' at 'u'" in said
    assert "[[prices]]" in said
    assert told("principal", "alice", "5 tool_calls") == []
    assert told("model", "smal") == [], "limits that were cleared meet nothing"


def test_of_many_models_without_a_price_some_are_named() -> None:
    (said,) = warn_of_limits("tenant", "acme", [read_limit("5 USD")], set(), [f"'m{n}' at 'u'" for n in range(11)])
    assert "'m7' at 'u' and 3 more" in said
