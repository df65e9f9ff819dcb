"""What the author of `[[quotas]]` should know: rules that meet no call, and money where nobody knows the price."""

from collections.abc import Iterable

from jotgate.core.compiler import compile_routes, price_routes
from jotgate.core.config import Config
from jotgate.core.policy_values import ANYTHING
from jotgate.core.price_table import PriceTable
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.routes import Route


def warn_of_quotas(config: Config, table: PriceTable) -> list[str]:
    """Warnings about the rules of a sound configuration, in their order; `table` is what is known of prices."""
    rules = compile_quotas(config.quotas)
    if not rules:
        return []
    routes = price_routes(compile_routes(config), config, table)
    aliases = {route.alias for route in routes}
    return [warning for rule in rules for warning in (*_astray(rule, aliases), *_unpriced(rule, routes))]


def _astray(rule: QuotaRule, aliases: set[str]) -> Iterable[str]:
    for name in dict.fromkeys((*rule.routes, *rule.models)):
        if not name.endswith(ANYTHING) and name not in aliases:
            yield f"the quota '{rule.quota.name}' names '{name}', and there is no route of that name"


def _unpriced(rule: QuotaRule, routes: Iterable[Route]) -> Iterable[str]:
    if rule.quota.limit.unit != "cost":
        return
    met = [route for route in routes if _fits(rule.routes, route.alias) and _fits(rule.models, route.alias)]
    unknown = {
        f"'{one.model}' at '{one.upstream}'": None for route in met for one in route.attempts if one.price is None
    }
    if unknown:
        yield (
            f"the quota '{rule.quota.name}' is in money, and nobody knows what {', '.join(unknown)} costs: calls there "
            "that it meets are refused until [[prices]] says it"
        )


def _fits(patterns: tuple[str, ...], alias: str) -> bool:
    heads = tuple(one.removesuffix(ANYTHING) for one in patterns if one.endswith(ANYTHING))
    return not patterns or alias in patterns or alias.startswith(heads)
