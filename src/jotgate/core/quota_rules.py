"""`[[quotas]]` as values: which calls a rule speaks of, and the accounts on which its limit counts for one of them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Final

from msgspec import Struct

from jotgate.core.meters import meter_of
from jotgate.core.policy_values import ANYTHING
from jotgate.core.quotas import Level, Meter, Quota
from jotgate.core.spenders import Spending, Trait

TRAITS: Final[tuple[Trait, ...]] = (
    "subjects", "clients", "tenants", "roles", "issuers", "operations", "routes", "models", "tools",
)  # fmt: skip
"""By what rules tell calls apart."""

_INHERITED: Final = frozenset({"clients", "tenants"})
"""Of which some may not be known."""


class QuotaRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule of the configuration. It speaks of a call that fits all that it names; an empty member fits every call.

    Texts are patterns, as in a `core.policy_values.Policy`. The limit of `quota` counts together all calls of which it
    speaks and which agree in all of `quota.per`.
    """

    quota: Quota
    subjects: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


def speaks_of(rule: QuotaRule, spending: Spending) -> bool:
    """Whether a rule is about a call."""
    for trait in TRAITS:
        patterns: tuple[str, ...] = getattr(rule, trait)
        if patterns and not _meets(spending, trait, patterns):
            return False
    return True


def rule_meters(rules: Iterable[QuotaRule], spending: Spending) -> tuple[Meter, ...]:
    """The accounts on which these rules count a call, in their order.

    A rule meets no call that has no such level as it counts by. One that came of tokens of other clients, or tenants,
    counts on the accounts of all those that the rule names.
    """
    found: list[Meter] = []
    for rule in rules:
        if speaks_of(rule, spending):
            found += [meter_of(rule.quota, one) for one in product(*(_holders(rule, spending)))]
    return tuple(found)


def rules_per(rules: Iterable[QuotaRule], level: Level, trait: Trait | None, name: str) -> Iterator[QuotaRule]:
    """The rules that count by this level alone, and do not name others of it; `trait` is the member that would."""
    for rule in rules:
        patterns: tuple[str, ...] = () if trait is None else getattr(rule, trait)
        if rule.quota.per == (level,) and (not patterns or _fitting(patterns)(name)):
            yield rule


def _holders(rule: QuotaRule, spending: Spending) -> Iterator[list[str]]:
    """By level the handles that a rule counts by."""
    for level in rule.quota.per:
        handles = spending.holders.get(level, {})
        patterns = rule.clients if level == "client" else rule.tenants if level == "tenant" else ()
        fits = _fitting(patterns) if patterns and not spending.unreadable else None
        yield [handle for name, handle in handles.items() if fits is None or fits(name)]


def _meets(spending: Spending, trait: Trait, patterns: tuple[str, ...]) -> bool:
    if spending.unreadable and trait in _INHERITED:
        return True
    return any(map(_fitting(patterns), spending.values[trait]))


def _fitting(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a name is what one of the patterns says."""
    heads = tuple(one.removesuffix(ANYTHING) for one in patterns if one.endswith(ANYTHING))
    return lambda name: name in patterns or name.startswith(heads)
