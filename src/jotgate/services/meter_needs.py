"""Amounts of all units together: what a call needs, what it could do with, and what there is for it."""

from jotgate.services.meter_chains import UNITS
from jotgate.services.meter_plans import Plan
from jotgate.services.meter_reservations import Amounts, Need

_OUTPUT, _TOTAL, _COST = UNITS["output_tokens"], UNITS["total_tokens"], UNITS["cost"]
_GROWING = frozenset({_OUTPUT, _TOTAL, _COST})


def amounts_of(need: Need, output_tokens: int, cost: int) -> Amounts:
    """All that a call needs, with so many output tokens at this cost."""
    tokens = need.input_tokens + output_tokens
    return 1, need.input_tokens, output_tokens, tokens, cost, need.tool_calls, int(need.placed)


def step_amounts(output_tokens: int, cost: int) -> Amounts:
    """All that one more step needs."""
    return 0, 0, output_tokens, output_tokens, cost, 0, 0


def least_of(need: Need) -> Amounts:
    """What a call could do with."""
    if need.output_least is None or need.output_least >= need.output_tokens:
        return amounts_of(need, need.output_tokens, need.cost)
    return amounts_of(need, need.output_least, need.cost_least)


def fit(need: Need, plan: Plan, now_s: float) -> Amounts:
    """What a call reserves: what it needs, or as much output as there is for it, and what it could do with at least."""
    whole, least = amounts_of(need, need.output_tokens, need.cost), least_of(need)
    span, dearer = whole[_OUTPUT] - least[_OUTPUT], whole[_COST] - least[_COST]
    if span <= 0:
        return whole
    more = span
    for holding, unit in plan.parts:
        reach = holding.in_reach(now_s) - least[unit]
        if unit in _GROWING and reach < whole[unit] - least[unit]:
            more = min(more, max(0, reach if unit != _COST else reach * span // dearer))
    if more == span:
        return whole
    return amounts_of(need, least[_OUTPUT] + more, least[_COST] + -(-dearer * more // span))
