"""Decides calls by the policies of a snapshot, and remembers what they say of a principal and a kind of call."""

from collections.abc import Set
from datetime import UTC, tzinfo
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

from jotgate.core.circumstances import Circumstances
from jotgate.core.mcp_operations import OPERATIONS as MCP_OPERATIONS
from jotgate.core.operations import DECIDE
from jotgate.core.policies import Decision, Policies, Verdict
from jotgate.core.policy_values import UTC_NAME, PolicySet
from jotgate.core.principals import Principal

_GENERATIONS: Final = 2
_KINDS_MAX: Final = 256
"""So many kinds of call are remembered of one principal: a list of tools asks about each."""
_NAMED_OTHERWISE: Final = MCP_OPERATIONS | {DECIDE}
"""What these are about is not the model of a route."""


class _Known:
    """What is said of one principal. Mutable: of its last kind of call, and of those before."""

    __slots__ = ("model", "operation", "others", "principal", "verdict")

    def __init__(self, principal: Principal) -> None:
        self.principal: Final = principal
        self.operation = ""
        self.model = ""
        self.verdict = Verdict()
        self.others: dict[tuple[str, str], Verdict] = {}


class PolicyDesk:
    """Decides for one world. Mutable: what policies say of at most `capacity` principals, in two generations.

    That is kept by the principal itself: the verifier has one for each token that it remembers.
    """

    __slots__ = ("_aliases", "_generation_size", "_old", "_young", "policies")

    def __init__(self, policies: Policies, aliases: Set[str], capacity: int) -> None:
        self.policies: Final = policies
        self._aliases = aliases
        self._generation_size = max(1, capacity // _GENERATIONS)
        self._young: dict[int, _Known] = {}
        self._old: dict[int, _Known] = {}

    def decide(self, principal: Principal, operation: str, model: str, address: str, now_s: float) -> Decision:
        """What is decided of a call from an address at a time (NumericDate); `model` is empty where it names none."""
        known = self._young.get(id(principal))
        if known is not None and known.principal is principal and known.operation == operation and known.model == model:
            verdict = known.verdict
        else:
            verdict = self._find(principal, operation, model)
        settled = verdict.settled
        if settled is not None:
            return settled
        return self.policies.settle(verdict, principal, Circumstances(address, now_s))

    def _find(self, principal: Principal, operation: str, model: str) -> Verdict:
        if model and model not in self._aliases and operation not in _NAMED_OTHERWISE:
            return self.policies.verdict(principal, operation, model)  # Callers make up as many such as they like.
        known = self._known(principal)
        kind = (operation, model)
        verdict = known.others.get(kind)
        if verdict is None:
            if len(known.others) >= _KINDS_MAX:
                known.others.clear()
            verdict = known.others[kind] = self.policies.verdict(principal, operation, model)
        known.operation, known.model, known.verdict = operation, model, verdict
        return verdict

    def _known(self, principal: Principal) -> _Known:
        key = id(principal)
        found = self._young.get(key)
        if found is None or found.principal is not principal:
            found = self._old.get(key)
            if found is None or found.principal is not principal:
                found = _Known(principal)
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
