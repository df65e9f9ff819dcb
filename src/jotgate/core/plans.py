"""Which accounts of the ledger meet a call: of the limits of rules, of those kept for its holders, and of its token's.

All of them apply. Of two that count on one account the smaller amount stands.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from jotgate.core.limit_texts import write_limit
from jotgate.core.meters import meter_of
from jotgate.core.quota_rules import QuotaRule, rule_meters
from jotgate.core.quotas import Level, Limit, Meter, Quota, Spender
from jotgate.core.snapshot import Snapshot
from jotgate.core.spenders import Spending, subject_meter, token_meters

Held = Mapping[tuple[Level, str], tuple[Limit, ...]]
"""The limits that the store keeps, by level and handle."""

_ORDER: Final[Mapping[Level, int]] = {
    "token": 0, "principal": 1, "client": 2, "tenant": 3, "route": 4, "model": 5, "tool": 6,
}  # fmt: skip
_ALL_CALLS: Final = len(_ORDER)


def needs_plans(snapshot: Snapshot, *, kept: bool) -> bool:
    """Whether calls may be met by limits that no token brings. `kept`: the store has limits of holders."""
    return kept or bool(snapshot.quotas) or any(one.quota is not None for one in snapshot.issuers)


def find_plan(spender: Spender, spending: Spending, rules: Iterable[QuotaRule], held: Held) -> tuple[Meter, ...]:
    """The accounts that meet a call, each once; those of what is counted most narrowly come first."""
    found: dict[str, Meter] = {}
    for meter in (*token_meters(spender), *_held_meters(spender, spending, held), *rule_meters(rules, spending)):
        other = found.get(meter.key)
        found[meter.key] = meter if other is None else stricter(other, meter)
    daily = subject_meter(spending, found.values())
    if daily is not None:
        found[daily.key] = daily
    return tuple(sorted(found.values(), key=_narrowness))


def stricter(one: Meter, other: Meter) -> Meter:
    """What stands of two meters of the same account; of rates the smaller burst too, whichever has it."""
    first, second = one.quota.limit, other.quota.limit
    chosen = other if second.amount < first.amount else one
    limit = chosen.quota.limit
    if limit.window != "rate":
        return chosen
    burst = min(first.burst or first.amount, second.burst or second.amount)
    if burst == (limit.burst or limit.amount):
        return chosen
    return replace(chosen, quota=replace(chosen.quota, limit=replace(limit, burst=burst)))


def _held_meters(spender: Spender, spending: Spending, held: Held) -> Iterable[Meter]:
    for level, handle in spending.levels:
        for limit in held.get((level, handle), ()):
            of = "ancestor" if level == "token" and handle != spender.token else level
            yield meter_of(Quota(f"{of} {write_limit(limit)}", limit, (level,)), (handle,))


def _narrowness(meter: Meter) -> int:
    return min((_ORDER[level] for level in meter.quota.per), default=_ALL_CALLS)
