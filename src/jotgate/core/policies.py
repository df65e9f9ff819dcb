"""Authorization as a pure decision: principal and call in, Allow or Deny out.

A token's own scopes and `models` bound it always, and no policy widens it. Within that, the first policy that denies
refuses; else the first that allows decides; what none speaks of is refused. What cannot be known, as the age of a token
without `iat`, is taken against the caller: it lets a policy that denies fit, and none that allows.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import tzinfo
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.circumstances import Circumstances, Networks, find_networks, is_of_age, is_open, is_within
from jotgate.core.heredity import HASHED, actor_name, actor_names, bindings_of, read_inherited
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, METRICS, SCOPES
from jotgate.core.policy_values import ANYTHING, Policy, Window
from jotgate.core.principals import Principal
from jotgate.core.routes import EndedTokens
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.errors import InsufficientScope, ModelNotPermitted, PermissionRefused, PolicyDenied


class Allow(Struct, frozen=True):
    """The call may go on. `policy` says so; empty: the shipped one.

    `ended_tokens` is what becomes of its answer when the token ends; None: what the route says. `stale`: it may go on
    although what was revoked is not known.
    """

    policy: str = ""
    ended_tokens: EndedTokens | None = None
    stale: bool = False


class Deny(Struct, frozen=True):
    """The call may not go on.

    `reason` says which condition failed, `wanted` the scope or model that would have met it, or for a policy what its
    author tells the caller. `policy` is the one that refuses; empty: none allows.
    """

    reason: Literal["scope", "model", "policy"]
    wanted: str = ""
    policy: str = ""


Decision = Allow | Deny
ALLOW: Final = Allow()
UNALLOWED: Final = Deny("policy")
"""No policy speaks of the call."""


def authorize(principal: Principal, operation: str, model: str) -> Decision:
    """Decide by the token alone whether it may run the operation on the model (empty: the operation names none)."""
    scopes = principal.scopes
    if operation not in scopes and (ALL_OPERATIONS_SCOPE not in scopes or operation == METRICS):
        return Deny("scope", operation)
    if model and principal.models is not None and model not in principal.models:
        return Deny("model", model)
    return ALLOW


def refusal_of(decision: Deny) -> PermissionRefused:
    """How a caller is told no."""
    if decision.reason == "scope":
        return InsufficientScope(
            decision.wanted,
            f"the token's scopes do not cover {decision.wanted}",
            hint=f"Create a token with --scope {decision.wanted}",
        )
    if decision.reason == "model":
        return ModelNotPermitted("the token's 'models' claim does not name this model")
    if not decision.policy:
        return PolicyDenied("", "no policy of this gateway allows this call")
    said = f": {decision.wanted}" if decision.wanted else ""
    return PolicyDenied(decision.policy, f"a policy of this gateway refuses this call{said}")


class Rule(Struct, frozen=True):
    """One policy that speaks of a principal and a call, at certain circumstances; without any: always."""

    decision: Decision
    networks: Networks | None = None
    windows: tuple[Window, ...] = ()
    older_s: int | None = None
    younger_s: int | None = None


class Verdict(Struct, frozen=True):
    """What policies say of a principal and a call. `settled`: whatever the circumstances are.

    Else the first of `denies` that fits, or then the first of `allows`.
    """

    settled: Decision | None = None
    denies: tuple[Rule, ...] = ()
    allows: tuple[Rule, ...] = ()


_NOTHING: Final[Set[str]] = frozenset()
_VERDICT_UNALLOWED: Final = Verdict(UNALLOWED)
_EXPANDED: Final = {
    ALL_OPERATIONS_SCOPE: SCOPES - {METRICS},
    ADMIN_ALL: ADMIN_SCOPES,
}
_Field = Literal[
    "subjects", "clients", "actors", "tenants", "models", "routes", "roles", "issuers", "scopes", "operations"
]
_FIELDS: Final[tuple[_Field, ...]] = (
    "subjects", "clients", "actors", "tenants", "models", "routes", "roles", "issuers", "scopes", "operations",
)  # fmt: skip
"""By what a policy is found, that first which tells most apart."""


class _Names:
    """The places of policies by the names that one of their members has, in whole or as the beginning of names."""

    __slots__ = ("_heads", "_lengths", "_whole")

    def __init__(self) -> None:
        self._whole: dict[str, list[int]] = {}
        self._heads: dict[str, list[int]] = {}
        self._lengths: tuple[int, ...] = ()

    def add(self, pattern: str, place: int) -> None:
        """File a policy under a pattern."""
        if not pattern.endswith(ANYTHING):
            self._whole.setdefault(pattern, []).append(place)
            return
        head = pattern.removesuffix(ANYTHING)
        self._heads.setdefault(head, []).append(place)
        if len(head) not in self._lengths:
            self._lengths = (*self._lengths, len(head))

    def find(self, value: str) -> Iterator[int]:
        """The places of those whose patterns the value is like."""
        yield from self._whole.get(value, ())
        for length in self._lengths:
            yield from self._heads.get(value[:length], ())

    def everything(self) -> Iterator[int]:
        """All places."""
        for places in (*self._whole.values(), *self._heads.values()):
            yield from places


class Policies:
    """Policies, found by what they name. `aliases` are those of the routes, `zones` the clocks of windows."""

    def __init__(self, policies: Sequence[Policy], aliases: Set[str], zones: Mapping[str, tzinfo]) -> None:
        self.policies: Final = policies
        self._aliases = aliases
        self._zones = zones
        self._rest: list[int] = []
        self._found: dict[_Field, _Names] = {}
        for place, policy in enumerate(policies):
            self._file(place, policy)
        self.stale: Final = any(one.stale for one in policies)
        """Whether one of them allows something while what was revoked is not known."""

    def verdict(self, principal: Principal, operation: str, model: str) -> Verdict:
        """What they say of the principal, an operation, and the model that a call names (empty: none)."""
        bound = authorize(principal, operation, model)
        if isinstance(bound, Deny):
            return Verdict(bound)
        own = _traits(principal, operation, model, model if model in self._aliases else "")
        whole = _whole(own, principal)
        denies: list[Rule] = []
        allows: list[Rule] = []
        for policy in self._candidates(whole):
            denied = policy.effect == "deny"
            rules = denies if denied else allows
            if (rules and _is_final(rules[-1])) or not _speaks_of(policy, whole if denied else own):
                continue
            rules.append(_rule(policy))
            if denied and _is_final(rules[-1]):
                break
        return _conclude(denies, allows)

    def settle(self, verdict: Verdict, principal: Principal, now: Circumstances) -> Decision:
        """What a verdict comes to."""
        if verdict.settled is not None:
            return verdict.settled
        for rule in verdict.denies:
            if self._fits(rule, principal, now, unknown=True):
                return rule.decision
        for rule in verdict.allows:
            if self._fits(rule, principal, now, unknown=False):
                return rule.decision
        return UNALLOWED

    def decide(self, principal: Principal, operation: str, model: str, now: Circumstances) -> Decision:
        """Both at once."""
        return self.settle(self.verdict(principal, operation, model), principal, now)

    def _file(self, place: int, policy: Policy) -> None:
        """File a policy under the first member that tells calls apart."""
        for field in _FIELDS:
            patterns: tuple[str, ...] = getattr(policy, field)
            if patterns and ANYTHING not in patterns:
                names = self._found.get(field)
                if names is None:
                    names = self._found[field] = _Names()
                for one in patterns:
                    names.add(one, place)
                return
        self._rest.append(place)

    def _candidates(self, traits: "_Traits") -> Iterator[Policy]:
        """Those that may speak of a call, in their order."""
        places = set(self._rest)
        for field, names in self._found.items():
            if traits.unreadable and field in HASHED:
                places.update(names.everything())
            for value in traits.values[field]:
                places.update(names.find(value))
        policies = self.policies
        return (policies[place] for place in sorted(places))

    def _fits(self, rule: Rule, principal: Principal, now: Circumstances, *, unknown: bool) -> bool:
        """Whether the circumstances are those of a rule; `unknown` is what holds where that cannot be known."""
        if rule.networks is not None and not is_within(rule.networks, now.address, unknown=unknown):
            return False
        if rule.windows and not is_open(rule.windows, self._zones, now.now_s, unknown=unknown):
            return False
        age_s = None
        if principal.issued_at_s is not None and not principal.ancestors:
            # Else a token is as old as the first that it was narrowed from, which it does not say.
            age_s = now.now_s - principal.issued_at_s
        return is_of_age(age_s, rule.older_s, rule.younger_s, unknown=unknown)


class _Traits(Struct, frozen=True):
    """What a principal and a call are, by the member of a policy that speaks of it; `bindings`: its `binding`.

    `unreadable`: something of a token that it was narrowed from is not known.
    """

    values: Mapping[_Field, Set[str]]
    bindings: Set[str]
    unreadable: bool = False

    def meet(self, field: _Field, patterns: tuple[str, ...]) -> bool:
        """Whether one of these is what one of the patterns says."""
        if self.unreadable and field in HASHED:
            return True
        heads = tuple(one.removesuffix(ANYTHING) for one in patterns if one.endswith(ANYTHING))
        return any(value in patterns or value.startswith(heads) for value in self.values[field])


def _traits(principal: Principal, operation: str, model: str, route: str) -> _Traits:
    scopes = principal.scopes.union(*(_EXPANDED[one] for one in principal.scopes & _EXPANDED.keys()))
    return _Traits(
        {
            "subjects": {principal.subject},
            "clients": _some(principal.client_id),
            # Those before the current one allow nothing (RFC 8693 s4.1).
            "actors": {actor_name(one, principal.issuer) for one in principal.actors[:1]},
            "tenants": {principal.tenant or DEFAULT_TENANT},
            "models": _some(model),
            "routes": _some(route),
            "roles": principal.roles,
            "issuers": {principal.issuer},
            "scopes": scopes,
            "operations": {operation},
        },
        frozenset(bindings_of(principal.confirmation)),
    )


def _some(value: str) -> Set[str]:
    return {value} if value else frozenset()


def _whole(own: _Traits, principal: Principal) -> _Traits:
    """The same with all who ever acted, and what the tokens before it have been, as far as its `origins` say that."""
    if not principal.origins and not principal.actors:
        return own
    found = read_inherited(principal.origins)
    values = {field: had | found.values.get(field, _NOTHING) for field, had in own.values.items()}
    values["actors"] |= frozenset(actor_names(principal.actors, principal.issuer))
    return _Traits(values, own.bindings | found.values["bindings"], found.unreadable)


def _speaks_of(policy: Policy, traits: _Traits) -> bool:
    """Whether a policy is about a principal and a call, whatever the circumstances are."""
    if policy.tools:
        return False  # No call of now names a tool.
    for field in _FIELDS:
        patterns: tuple[str, ...] = getattr(policy, field)
        if patterns and not traits.meet(field, patterns):
            return False
    return not policy.binding or policy.binding in traits.bindings


def _rule(policy: Policy) -> Rule:
    decision: Decision = Allow(policy.name, policy.ended_tokens, policy.stale)
    if policy.effect == "deny":
        decision = Deny("policy", policy.reason, policy.name)
    networks = find_networks(policy.addresses) if policy.addresses else None
    return Rule(decision, networks, policy.times, policy.older_s, policy.younger_s)


def _is_final(rule: Rule) -> bool:
    """Whether a rule holds at all circumstances, so that none behind it matters."""
    return rule.networks is None and not rule.windows and rule.older_s is None and rule.younger_s is None


def _conclude(denies: list[Rule], allows: list[Rule]) -> Verdict:
    if denies and _is_final(denies[0]):
        return Verdict(denies[0].decision)
    if not denies and not allows:
        return _VERDICT_UNALLOWED
    if not denies and _is_final(allows[0]):
        return Verdict(allows[0].decision)
    return Verdict(None, tuple(denies), tuple(allows))
