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
from jotgate.core.circumstances import Circumstances
from jotgate.core.conditions import Conditions
from jotgate.core.heredity import HASHED, actor_name, actor_names, bindings_of, read_inherited
from jotgate.core.mcp_operations import OPERATIONS as MCP_OPERATIONS
from jotgate.core.mcp_tools import may_use, read_label, read_scope, server_route
from jotgate.core.operations import ALL_OPERATIONS_SCOPE, BEYOND_AI, DECIDE, SCOPES
from jotgate.core.policy_values import ANYTHING, Policy
from jotgate.core.principals import Principal
from jotgate.core.routes import EndedTokens
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.errors import InsufficientScope, ModelNotPermitted, PermissionRefused, PolicyDenied


class Allow(Struct, frozen=True):
    """The call may go on. `policy` says so; empty: the shipped one.

    `ended_tokens` is what becomes of its answer when the token ends; None: what the route says. `stale`: it may go on
    although what was revoked is not known. `payloads`: what is said in a call of a tool is written down.
    """

    policy: str = ""
    ended_tokens: EndedTokens | None = None
    stale: bool = False
    payloads: bool = False


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
    """Decide by the token alone whether it may run the operation on the model (empty: the operation names none).

    Of `DECIDE` the name is a path rule's, which says itself what scopes it takes (`core.decisions`). Of what is asked
    of MCP servers it is a tool's, or the server's alone: a token needs some scope of that, and `core.mcp_tools` says
    which one for what.
    """
    if operation == DECIDE:
        return ALLOW
    if operation in MCP_OPERATIONS:
        denied = may_use(principal.scopes, read_label(model)[0], "any")
        return ALLOW if denied is None else Deny("scope", denied.scopes[0])
    scopes = principal.scopes
    if operation not in scopes and (ALL_OPERATIONS_SCOPE not in scopes or operation in BEYOND_AI):
        return Deny("scope", operation)
    if model and principal.models is not None and model not in principal.models:
        return Deny("model", model)
    return ALLOW


def refusal_of(decision: Deny) -> PermissionRefused:
    """How a caller is told no."""
    if decision.reason == "scope":
        # An operation that faces alone have is no scope that a token can be made with.
        known = decision.wanted in SCOPES or read_scope(decision.wanted) is not None
        enough = decision.wanted if known else ALL_OPERATIONS_SCOPE
        return InsufficientScope(
            enough,
            f"the token's scopes do not cover {decision.wanted}",
            hint=f"Create a token with --scope {enough}",
        )
    if decision.reason == "model":
        return ModelNotPermitted("the token's 'models' claim does not name this model")
    if not decision.policy:
        return PolicyDenied("", "no policy of this gateway allows this call")
    said = f": {decision.wanted}" if decision.wanted else ""
    return PolicyDenied(decision.policy, f"a policy of this gateway refuses this call{said}")


class Verdict(Struct, frozen=True):
    """What policies say of a principal and a call. `settled`: whatever the circumstances are.

    Else the first of `denies` that fits, or then the first of `allows`: sets of places, as `core.conditions` has them.
    """

    settled: Decision | None = None
    denies: int = 0
    allows: int = 0


_NOTHING: Final[Set[str]] = frozenset()
_VERDICT_UNALLOWED: Final = Verdict(UNALLOWED)
_EXPANDED: Final = {
    ALL_OPERATIONS_SCOPE: SCOPES - BEYOND_AI,
    ADMIN_ALL: ADMIN_SCOPES,
}
_Field = Literal[
    "subjects", "clients", "actors", "tenants", "tools", "models", "routes", "roles", "issuers", "scopes", "operations"
]
_FIELDS: Final[tuple[_Field, ...]] = (
    "subjects", "clients", "actors", "tenants", "tools", "models", "routes", "roles", "issuers", "scopes", "operations",
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
        self._conditions: Final = Conditions(policies, zones)
        self._rest: list[int] = []
        self._found: dict[_Field, _Names] = {}
        for place, policy in enumerate(policies):
            self._file(place, policy)
        self.stale: Final = any(one.stale for one in policies)
        """Whether one of them allows something while what was revoked is not known."""

    def verdict(self, principal: Principal, operation: str, model: str) -> Verdict:
        """What they say of the principal, an operation, and the model that a call names (empty: none).

        Of `DECIDE` that is the name of a path rule, and stands for its route; of what is asked of MCP servers that of a
        tool, or of a server, whose route it is.
        """
        bound = authorize(principal, operation, model)
        if isinstance(bound, Deny):
            return Verdict(bound)
        if operation == DECIDE:
            own = _traits(principal, operation, "", model)
        elif operation in MCP_OPERATIONS:
            server, tool = read_label(model)
            own = _traits(principal, operation, "", server_route(server), tool=model if tool else "")
        else:
            own = _traits(principal, operation, model, model if model in self._aliases else "")
        whole = _whole(own, principal)
        denies = allows = 0
        for place in self._candidates(whole):
            policy, bit = self.policies[place], 1 << place
            if policy.effect == "allow":
                if not self._is_final(allows) and _speaks_of(policy, own):
                    allows |= bit
            elif _speaks_of(policy, whole):
                denies |= bit
                if not policy.depends:
                    break
        return self._conclude(denies, allows)

    def settle(self, verdict: Verdict, principal: Principal, now: Circumstances) -> Decision:
        """What a verdict comes to."""
        if verdict.settled is not None:
            return verdict.settled
        age_s = None
        if principal.issued_at_s is not None and not principal.ancestors:
            # Else a token is as old as the first that it was narrowed from, which it does not say.
            age_s = now.now_s - principal.issued_at_s
        fit = self._conditions.fit
        found = fit(verdict.denies, now, age_s, unknown=True) or fit(verdict.allows, now, age_s, unknown=False)
        return self._decision(found) if found else UNALLOWED

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

    def _candidates(self, traits: "_Traits") -> list[int]:
        """The places of those that may speak of a call, in their order."""
        places = set(self._rest)
        for field, names in self._found.items():
            if traits.unreadable and field in HASHED:
                places.update(names.everything())
            for value in traits.values[field]:
                places.update(names.find(value))
        return sorted(places)

    def _conclude(self, denies: int, allows: int) -> Verdict:
        if denies:
            return Verdict(self._decision(denies)) if self._begins_final(denies) else Verdict(None, denies, allows)
        if not allows:
            return _VERDICT_UNALLOWED
        return Verdict(self._decision(allows)) if self._begins_final(allows) else Verdict(None, 0, allows)

    def _is_final(self, places: int) -> bool:
        """Whether one of these policies fits at all circumstances."""
        return bool(places & ~self._conditions.any)

    def _begins_final(self, places: int) -> bool:
        """Whether the first of these policies fits at all circumstances."""
        return self._is_final(places & -places)

    def _decision(self, places: int) -> Decision:
        """What the first of these policies says."""
        policy = self.policies[(places & -places).bit_length() - 1]
        if policy.effect == "deny":
            return Deny("policy", policy.reason, policy.name)
        return Allow(policy.name, policy.ended_tokens, policy.stale, policy.payloads)


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


def _traits(principal: Principal, operation: str, model: str, route: str, *, tool: str = "") -> _Traits:
    scopes = principal.scopes.union(*(_EXPANDED[one] for one in principal.scopes & _EXPANDED.keys()))
    return _Traits(
        {
            "subjects": {principal.subject},
            "clients": _some(principal.client_id),
            # Those before the current one allow nothing (RFC 8693 s4.1).
            "actors": {actor_name(one, principal.issuer) for one in principal.actors[:1]},
            "tenants": {principal.tenant or DEFAULT_TENANT},
            "tools": _some(tool),
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
    for field in _FIELDS:
        patterns: tuple[str, ...] = getattr(policy, field)
        if patterns and not traits.meet(field, patterns):
            return False
    return not policy.binding or policy.binding in traits.bindings
