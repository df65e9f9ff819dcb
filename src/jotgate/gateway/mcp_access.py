"""Whether a caller may do something at an MCP server: the same rule for what lists show and for what is called.

The token's scopes bound it; within them the policies decide, by the operation, the tool and the server. A tool is one
that its operator has approved as it is.
"""

from collections.abc import Iterable

from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.mcp_operations import TOOLS_CALL, McpMethod
from jotgate.core.mcp_pins import Known, KnownTool, shown
from jotgate.core.mcp_resources import is_for, mcp_resource
from jotgate.core.mcp_tools import (
    Tool,
    ToolDeny,
    covered_by,
    is_shortened,
    may_use,
    told_scope,
    tool_label,
    wanted_scope,
)
from jotgate.core.policies import ALLOW, Allow, Deny, refusal_of
from jotgate.core.principals import Principal
from jotgate.errors import (
    ClaimRefused,
    ControlStale,
    InsufficientScope,
    McpMalformed,
    McpToolUnapproved,
    PermissionRefused,
)
from jotgate.gateway.credentials import find_token
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.world import World
from jotgate.mcp_refusals import RPC_INVALID_PARAMS
from jotgate.services.evidence import examine


class Access(Struct, frozen=True):
    """A request at a server, whose it is, and the one world and time (NumericDate) that it is decided in.

    `called` is what a tool is called in the list of all servers, where it is asked for by that.
    """

    request: Request
    principal: Principal
    world: World
    server: str
    now_s: float
    called: str = ""


def require_audience(opened: Opened, server: str = "") -> None:
    """Refuse a token that is not for a server, nor for the whole gateway; without one named, for all servers.

    Raises:
        ClaimRefused: with its evidence.
    """
    principal, world, request = opened.principal, opened.world, opened.request
    # Of no other issuer a token is let in; a personal one is of this installation.
    issuer = next((one for one in world.snapshot.issuers if principal.issuer in (one.issuer, one.name)), None)
    taken = () if issuer is None else issuer.audiences
    if is_for(principal.audiences, world.own_issuer, server, taken=taken):
        return
    wanted = (*taken, mcp_resource(world.own_issuer, server))
    text = "the token is for another resource than this one"
    refusal = ClaimRefused("aud", "mismatch", text).showing("aud", sorted(wanted), sorted(principal.audiences))
    token = find_token(request, world.credentials)
    examine(token, refusal, world.verifier.federation, opened.now_s, request.credential_place)
    raise refusal


def permit_method(access: Access, method: McpMethod) -> Allow:
    """Whether something may be asked of a server that names no tool; the list of tools may be asked with any scope.

    Raises:
        PermissionRefused: the scopes do not cover it, or policies refuse it.
        ControlStale: what was revoked is not known, and no policy lets it go on without.
    """
    denied = may_use(access.principal.scopes, access.server, method.need)
    if denied is not None:
        raise _lacking(denied, method.operation)
    return _decide(access, method.operation, access.server)


def expect_tool(access: Access, name: str) -> None:
    """Refuse a call that the scopes do not cover whatever the tool is; else it is decided once that is known.

    Raises:
        InsufficientScope: they do not.
    """
    access.request.tool = tool_label(access.server, name)
    scopes = access.principal.scopes
    if is_shortened(access.called):
        covered = may_use(scopes, access.server, "any") is None
    else:
        covered = bool(covered_by(scopes, access.server, name, read_only=True))
    if not covered:
        raise _uncovered(access, name)


def permit_tool(access: Access, name: str, known: Known) -> Allow:
    """Whether a tool may be called. What the scopes do not cover is refused for that, whether there is such a tool.

    Raises:
        PermissionRefused: the scopes do not cover it, policies refuse it, or it is not approved as it is.
        McpMalformed: there is none of this name.
        ControlStale: as for `permit_method`.
    """
    access.request.tool = tool_label(access.server, name)
    pin = known.get(name)
    allowed, scope = _judge(access, name, pin)
    access.request.rule = allowed.policy or scope
    if pin is None:
        text = "no tool of this server has this name"
        raise McpMalformed(RPC_INVALID_PARAMS, text, param="params.name", hint="Ask for tools/list")
    if pin.hidden:
        raise McpToolUnapproved(f"the tool '{tool_label(access.server, name)}' is not approved as it is now")
    return allowed


def show_tools(access: Access, tools: Iterable[Tool], known: Known) -> list[Tool]:
    """Those of a server's tools that the caller may call, by name."""
    return sorted((tool for tool in shown(tools, known) if _is_shown(access, tool.name, known)), key=_name_of)


def _is_shown(access: Access, name: str, known: Known) -> bool:
    try:
        _judge(access, name, known.get(name))
    except (PermissionRefused, ControlStale):
        return False
    return True


def _judge(access: Access, name: str, pin: KnownTool | None) -> tuple[Allow, str]:
    """What lets the caller call a tool, and the scope that covers it. Raises PermissionRefused, ControlStale."""
    label, read_only = tool_label(access.server, name), pin is not None and pin.read_only
    scope = covered_by(access.principal.scopes, access.server, name, read_only=read_only)
    if not scope:
        raise _uncovered(access, name, read_only=read_only)
    return _decide(access, TOOLS_CALL, label), scope


def _name_of(tool: Tool) -> str:
    return tool.name


def _decide(access: Access, operation: str, named: str) -> Allow:
    desk = access.world.desk
    if desk is None:
        return ALLOW
    decision = desk.decide(access.principal, operation, named, access.request.peer, access.now_s)
    if isinstance(decision, Deny):
        raise refusal_of(decision)
    if access.request.stale and not decision.stale:
        raise ControlStale("what was revoked is not known, and no policy lets this call go on without")
    return decision


def _uncovered(access: Access, name: str, *, read_only: bool = False) -> InsufficientScope:
    if access.called:
        return _lacking(ToolDeny((told_scope(access.server, access.called),)), f"the tool '{access.called}'")
    wanted = ToolDeny((wanted_scope(access.server, name, read_only=read_only),))
    return _lacking(wanted, f"the tool '{tool_label(access.server, name)}'")


def _lacking(denied: ToolDeny, what: str) -> InsufficientScope:
    scopes = " ".join(denied.scopes)
    return InsufficientScope(
        scopes, f"the token's scopes do not cover {what}", hint=f"Get a token with the scope {scopes}"
    )
