"""Says what would be decided of a call, and which policy decides."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from jotgate.core.circumstances import Circumstances
from jotgate.core.expectations import unmet
from jotgate.core.faults import advice, shown
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.mcp_operations import OPERATIONS as MCP_OPERATIONS
from jotgate.core.mcp_operations import TOOLS_CALL, need_of
from jotgate.core.mcp_pins import KnownTools
from jotgate.core.mcp_tools import covered_by, may_use, read_label, wanted_scope
from jotgate.core.operations import BEYOND_AI, CREDENTIALS, DECIDE, NO_SCOPES, OPERATIONS
from jotgate.core.policies import UNALLOWED, Allow, Decision, Deny, authorize, refusal_of
from jotgate.core.policy_orders import PolicyFinding, PolicyQuestion, TriedCall
from jotgate.core.policy_values import SHIPPED, Origin, PolicySet
from jotgate.core.principals import Principal
from jotgate.core.routes import Route
from jotgate.errors import ConfigurationError, JotgateError, McpToolUnapproved, UnknownModel
from jotgate.services.policy_decisions import open_policies

OPERATION_NAMES: Final = sorted({row.name for row in OPERATIONS} - NO_SCOPES | {CREDENTIALS, DECIDE} | MCP_OPERATIONS)
_LISTING: Final = "models"
_FORWARDED: Final = frozenset(row.name for row in OPERATIONS if row.forwarded)
_NO_TOOLS: Final = KnownTools()
_METHODS: Final[Mapping[str, Confirmation]] = {
    "dpop": Confirmation("jkt", ""),
    "mtls": Confirmation("x5t#S256", ""),
}


class CallTester:
    """Tests calls against policies and routes, as a gateway would decide them."""

    def __init__(self, policies: PolicySet, routes: Sequence[Route], tools: KnownTools = _NO_TOOLS) -> None:
        self._set = policies
        self._routes = {route.alias: route for route in routes}
        self._tools = tools

    def test(self, principal: Principal, operation: str, model: str, now: Circumstances) -> PolicyFinding:
        """What would be decided of a call of a principal. Raises ConfigurationError: there is no such call."""
        _check(operation, model, now.address)
        routed = operation != DECIDE and operation not in MCP_OPERATIONS
        route = self._routes.get(model) if routed else None
        decision = self._decide(principal, operation, model, now)
        if isinstance(decision, Deny):
            return self._refused(refusal_of(decision), decision.policy, principal, operation, model)
        name = decision.policy or SHIPPED.name
        if model and route is None and routed:
            return self._refused(UnknownModel("no route carries this model"), "", principal, operation, model)
        if operation == TOOLS_CALL and self._hides(model):
            hidden = McpToolUnapproved(f"the tool '{model}' is not approved as it is now")
            return self._refused(hidden, "", principal, operation, model)
        if route is not None and route.expects is not None:
            refusal = unmet(route.expects, principal, now.now_s)
            if refusal is not None:
                return self._refused(refusal, "", principal, operation, model)
        return PolicyFinding(
            allowed=True,
            subject=principal.subject,
            operation=operation,
            model=model,
            policy=name,
            origin=self._origin(name),
            ended_tokens=None if route is None else decision.ended_tokens or route.ended_tokens,
            stale=decision.stale,
            payloads=decision.payloads and operation == TOOLS_CALL,
        )

    def _decide(self, principal: Principal, operation: str, model: str, now: Circumstances) -> Decision:
        bound = self._cover(principal, operation, model) or authorize(principal, operation, model)
        if isinstance(bound, Deny) or not self._set.policies:
            return bound
        policies = open_policies(self._set, self._routes.keys())
        decision = policies.decide(principal, operation, model, now)
        if decision != UNALLOWED or operation != _LISTING:
            return decision
        # Policies that speak of some models alone allow a list of these.
        each = (policies.decide(principal, operation, alias, now) for alias in self._routes)
        return next((one for one in each if isinstance(one, Allow)), decision)

    def _cover(self, principal: Principal, operation: str, named: str) -> Deny | None:
        """What is asked of MCP servers needs scopes of these; a tool that nobody has seen counts as one that writes."""
        if operation not in MCP_OPERATIONS:
            return None
        server, tool = read_label(named)
        if operation != TOOLS_CALL:
            denied = may_use(principal.scopes, server, need_of(operation))
            return None if denied is None else Deny("scope", denied.scopes[0])
        pin = self._tools.servers.get(server, {}).get(tool)
        read_only = pin is not None and pin.read_only
        if covered_by(principal.scopes, server, tool, read_only=read_only):
            return None
        return Deny("scope", wanted_scope(server, tool, read_only=read_only))

    def _hides(self, label: str) -> bool:
        server, tool = read_label(label)
        pin = self._tools.servers.get(server, {}).get(tool)
        return pin is not None and pin.hidden

    def _refused(
        self, refusal: JotgateError, policy: str, principal: Principal, operation: str, model: str
    ) -> PolicyFinding:
        return PolicyFinding(
            allowed=False,
            subject=principal.subject,
            operation=operation,
            model=model,
            policy=policy,
            origin=self._origin(policy),
            code=refusal.code,
            message=refusal.message,
        )

    def _origin(self, name: str) -> Origin | None:
        found = next((one.origin for one in self._set.policies if one.name == name), None)
        return SHIPPED.origin if name == SHIPPED.name and found is None else found


def compare(
    now: CallTester, then: CallTester, calls: Iterable[PolicyQuestion], own_issuer: str, now_s: float
) -> list[TriedCall]:
    """What each of the calls is decided to be, by both. Raises ConfigurationError: there is no such call."""
    found = []
    for question in calls:
        at_s = now_s if question.at_s is None else question.at_s
        principal = describe_principal(question, own_issuer, at_s)
        circumstances = Circumstances(question.address, at_s)
        before, after = (one.test(principal, question.operation, question.model, circumstances) for one in (now, then))
        found.append(TriedCall(before, after, _noticed(before) != _noticed(after)))
    return found


def _noticed(finding: PolicyFinding) -> tuple[object, ...]:
    """What the caller, or what becomes of the call, shows of a decision; which policy has made it does not."""
    return finding.allowed, finding.code, finding.message, finding.ended_tokens, finding.stale


def describe_principal(question: PolicyQuestion, own_issuer: str, now_s: float) -> Principal:
    """The principal that a question describes, whose token was issued by then."""
    return Principal(
        issuer=question.issuer or own_issuer,
        subject=question.subject,
        client_id=question.client_id,
        token_id="",
        kid="",
        scopes=frozenset(question.scopes),
        models=None if question.models is None else frozenset(question.models),
        expires_at_s=now_s + 1,
        not_before_s=0.0,
        tenant=question.tenant,
        roles=frozenset(question.roles),
        issued_at_s=None if question.age_s is None else now_s - question.age_s,
        actors=(Actor(question.actor),) if question.actor else (),
        confirmation=_METHODS.get(question.binding),
    )


def _check(operation: str, model: str, address: str) -> None:
    if operation not in OPERATION_NAMES:
        raise ConfigurationError([("operation", f"is {shown(operation)}; {advice(operation, OPERATION_NAMES)}")])
    if operation in _FORWARDED and not model:
        raise ConfigurationError([("model", f"is missing, and a call of '{operation}' names one")])
    if operation in MCP_OPERATIONS:
        _check_label(operation, model)
    if operation in BEYOND_AI - {DECIDE} and model:
        raise ConfigurationError([("model", f"is there, and a call of '{operation}' names none")])
    if not _is_address(address):
        raise ConfigurationError([("address", f"is {shown(address)}; write an IP address such as 192.0.2.1")])


def _check_label(operation: str, label: str) -> None:
    server, tool = read_label(label)
    if not server or bool(tool) != (operation == TOOLS_CALL):
        which = "a tool as SERVER:TOOL" if operation == TOOLS_CALL else "an MCP server by its name alone"
        raise ConfigurationError([("model", f"is {shown(label)}, and a call of '{operation}' names {which}")])


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
