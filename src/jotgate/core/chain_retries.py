"""Which failures of a step are worth another try, and how long is waited before it."""

from typing import Final

from jotgate.core.chains import Retries

REPEATABLE: Final = frozenset({408, 429, 500, 502, 503, 504, 529})
"""Answers that say nothing of the step itself: too busy, or broken. 529 is Anthropic's word for being overloaded."""

CHANCE_BYTES: Final = 2


def delay_s(rules: Retries, failed: int, chance: bytes, asked_s: float = 0.0) -> float:
    """The seconds before the next try, when `failed` have failed; `chance` is CHANCE_BYTES of it.

    `asked_s` is for how long the upstream has asked to be left alone; no more than `backoff_max_s` of that is granted.
    """
    whole_s = min(rules.backoff_max_s, rules.backoff_s * (1 << min(failed - 1, 32)))
    part = int.from_bytes(chance) / (1 << 8 * len(chance))
    return max(whole_s * (0.5 + part / 2), min(asked_s, rules.backoff_max_s))
