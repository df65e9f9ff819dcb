"""What the author of `[[quotas]]` should know: rules that meet no call, and money where nobody knows the price."""

from collections.abc import Iterable, Sequence, Set
from typing import Final

from jotgate.core.compiler import compile_routes, price_routes
from jotgate.core.config import Config
from jotgate.core.mcp_tools import server_route
from jotgate.core.policy_values import ANYTHING
from jotgate.core.price_table import PriceTable
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Level, Limit
from jotgate.core.routes import Route

_NAMED_MAX: Final = 8
_REFUSED: Final = "calls there that it meets are refused until [[prices]] says it"
_NO_TOOLS: Final = "the settings name no MCP server"


def warn_of_quotas(config: Config, table: PriceTable) -> list[str]:
    """Warnings about the rules of a sound configuration, in their order; `table` is what is known of prices."""
    rules = compile_quotas(config.quotas)
    if not rules:
        return []
    routes = price_routes(compile_routes(config), config, table)
    servers = {server_route(one.name) for one in config.mcp.servers}
    aliases = {route.alias for route in routes} | servers
    paths = {one.name for one in config.decisions.paths}
    found = [warning for rule in rules for warning in (*_astray(rule, aliases, paths), *_unpriced(rule, routes))]
    return found if servers else [*found, *(warning for rule in rules for warning in _never_counted(rule))]


def unpriced(routes: Iterable[Route]) -> tuple[str, ...]:
    """The models, each with its upstream, of these routes whose price nobody knows, as warnings name them."""
    return tuple(
        dict.fromkeys(
            f"'{one.model}' at '{one.upstream}'" for route in routes for one in route.attempts if not one.price
        )
    )


def warn_of_limits(
    level: Level, name: str, limits: Iterable[Limit], aliases: Set[str], unknown: Sequence[str]
) -> list[str]:
    """What whoever sets limits of a holder should know. `unknown` are models whose price nobody knows (`unpriced`)."""
    units = {limit.unit for limit in limits}
    found = []
    if units and level in ("route", "model") and name not in aliases:
        found.append(f"there is no route named '{name}': these limits meet no call until there is one")
    if "cost" in units and unknown:
        found.append(f"nobody knows what {_listed(unknown)} costs: {_REFUSED}")
    return found


def _never_counted(rule: QuotaRule) -> Iterable[str]:
    if rule.quota.limit.unit == "tool_calls" or "tool" in rule.quota.per:
        yield f"the quota '{rule.quota.name}' counts tool calls or by tools: {_NO_TOOLS}, and it meets nothing"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _astray(rule: QuotaRule, aliases: set[str], paths: set[str]) -> Iterable[str]:
    for name in dict.fromkeys((*(one for one in rule.routes if one not in paths), *rule.models)):
        if not name.endswith(ANYTHING) and name not in aliases:
            yield f"the quota '{rule.quota.name}' names '{name}', and there is no route of that name"


def _unpriced(rule: QuotaRule, routes: Iterable[Route]) -> Iterable[str]:
    if rule.quota.limit.unit != "cost":
        return
    met = [route for route in routes if _fits(rule.routes, route.alias) and _fits(rule.models, route.alias)]
    if unknown := unpriced(met):
        yield f"the quota '{rule.quota.name}' is in money, and nobody knows what {_listed(unknown)} costs: {_REFUSED}"


def _fits(patterns: tuple[str, ...], alias: str) -> bool:
    heads = tuple(one.removesuffix(ANYTHING) for one in patterns if one.endswith(ANYTHING))
    return not patterns or alias in patterns or alias.startswith(heads)
