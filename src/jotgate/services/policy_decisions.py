"""Decides calls by the policies of a snapshot, and remembers what they say of a principal and a kind of call."""

from collections.abc import Set
from datetime import UTC, tzinfo
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

from jotgate.core.circumstances import Circumstances
from jotgate.core.policies import Decision, Policies, Verdict
from jotgate.core.policy_values import UTC_NAME, PolicySet
from jotgate.core.principals import Principal

_GENERATIONS: Final = 2
_Key = tuple[int, str, str]


class PolicyDesk:
    """Decides for one world. Mutable: at most `capacity` verdicts, in two generations.

    A verdict is kept by the principal itself: the verifier has one for each token that it remembers.
    """

    __slots__ = ("_aliases", "_generation_size", "_old", "_young", "policies")

    def __init__(self, policies: Policies, aliases: Set[str], capacity: int) -> None:
        self.policies: Final = policies
        self._aliases = aliases
        self._generation_size = max(1, capacity // _GENERATIONS)
        self._young: dict[_Key, tuple[Principal, Verdict]] = {}
        self._old: dict[_Key, tuple[Principal, Verdict]] = {}

    def decide(self, principal: Principal, operation: str, model: str, address: str, now_s: float) -> Decision:
        """What is decided of a call from an address at a time (NumericDate); `model` is empty where it names none."""
        found = self._young.get((id(principal), operation, model))
        if found is None or found[0] is not principal:
            found = self._find(principal, operation, model)
        settled = found[1].settled
        if settled is not None:
            return settled
        return self.policies.settle(found[1], principal, Circumstances(address, now_s))

    def _find(self, principal: Principal, operation: str, model: str) -> tuple[Principal, Verdict]:
        key = (id(principal), operation, model)
        found = self._old.get(key)
        if found is None or found[0] is not principal:
            found = (principal, self.policies.verdict(principal, operation, model))
        if model and model not in self._aliases:
            return found  # Callers make such names up, as many as they like.
        if len(self._young) >= self._generation_size:
            self._old, self._young = self._young, {}
        self._young[key] = found
        return found


def open_policies(found: PolicySet, aliases: Set[str]) -> Policies:
    """The policies of a snapshot whose routes have these aliases, ready for use."""
    zones: dict[str, tzinfo] = {UTC_NAME: UTC}
    for name, rules in found.zones.items():
        zones[name] = ZoneInfo.from_file(BytesIO(rules), key=name)
    return Policies(found.policies, aliases, zones)


def build_desk(found: PolicySet, aliases: Set[str], capacity: int) -> PolicyDesk | None:
    """What decides by the policies of a snapshot; None where the token alone does, as nobody has written any."""
    return PolicyDesk(open_policies(found, aliases), aliases, capacity) if found.policies else None
