"""What `jotgate doctor` says of MCP servers: tools that wait to be approved, credentials that are of no use."""

from collections.abc import Callable, Iterator, Set
from shlex import quote
from typing import Final

from jotgate.assembly.doctor import Ask, Check
from jotgate.assembly.tool_checks import find_lacks
from jotgate.core.mcp_credential_orders import McpCredentialAnswer, McpCredentialView
from jotgate.core.mcp_orders import McpAnswer, ServerView, ToolView
from jotgate.core.mcp_tools import server_of
from jotgate.core.status import Status
from jotgate.core.token_grants import KEPT
from jotgate.errors import JotgateError
from jotgate.stores.settings import Settings

AskTools = Callable[[], McpAnswer | None]
"""Asks the running control what it knows of the tools; None: none runs."""
AskCredentials = Callable[[], McpCredentialAnswer | None]
"""Asks it what is kept for the servers; None: none runs."""

_NAMED_MAX: Final = 8


def look_at_mcp(settings: Settings, find: Ask, ask_tools: AskTools, ask_credentials: AskCredentials) -> Iterator[Check]:
    """Nothing where there are no servers; else what the running control says of each, whatever is set here.

    Of functions that are tools is told here which of them are not installed.
    """
    for lack in () if settings.config is None else find_lacks(settings.config):
        fix = "Install the package beside jotgate, or take the name out"
        yield Check(f"{_name(lack.server)} python", "fault", f"{lack.path} {lack.fault}", fix)
    try:
        running = find()
    except JotgateError:
        return  # The doctor has said so.
    if running is None:
        for one in () if settings.config is None else settings.config.mcp.servers:
            yield Check(_name(one.name), "unknown", "nothing runs that asks it for its tools", "Start it: jotgate up")
        return
    try:
        tools, kept = ask_tools(), ask_credentials()
    except JotgateError as error:
        yield Check("mcp", "unknown", f"control does not say how MCP servers are: {error.message}", error.hint)
        return
    if tools is None or kept is None:
        yield Check("mcp", "unknown", "control has just ended")
        return
    views = [one for one in tools.servers if one.place]  # Of the others the settings know nothing any more.
    for view in views:
        yield judge_tools(view, [one for one in tools.tools if one.server == view.name])
    yield from _look_at_credentials(views, kept)
    yield from _look_at_grants(running, {one.server for one in kept.credentials if one.fault})


def judge_tools(view: ServerView, tools: list[ToolView]) -> Check:
    """What is known of a server's tools: what has changed is a fault, what has come is for its operator to look at."""
    name = _name(view.name)
    changed, new = ([one.tool for one in tools if one.state == state] for state in ("changed", "new"))
    fix = f"Look at what is different, and approve it: jotgate mcp approve {view.name} {_words(changed or new)}"
    if changed:
        also = f", and new ones: {_named(new)}" if new else ""
        text = f"tools are hidden since they are not what was approved: {_named(changed)}{also}"
        return Check(name, "fault", text, fix)
    if new:
        return Check(name, "unknown", f"new tools are hidden until they are approved: {_named(new)}", fix)
    if not tools:
        return Check(name, "ok", "nobody has asked for its tools yet")
    return Check(name, "ok", f"tools that callers may be shown: {view.shown}")


def _look_at_credentials(views: list[ServerView], answer: McpCredentialAnswer) -> Iterator[Check]:
    for one in answer.credentials:
        if one.fault:
            yield _judge_credential(one)
    held = {one.server for one in answer.credentials if not one.holder and not one.unused}
    for view in views:
        if view.credential == KEPT and view.name not in held:
            fix = f"Give it on stdin: jotgate mcp credential set {view.name}"
            yield Check(_credentials(view.name), "fault", "none is kept for all callers, so calls get 503", fix)


def _judge_credential(one: McpCredentialView) -> Check:
    whose = f"the {one.kind} of '{one.holder}'" if one.holder else f"the {one.kind} for all callers"
    place = f"{one.server}{f' --subject {quote(one.holder)}' if one.holder else ''}"
    if one.unused:
        fix = f"jotgate mcp credential remove {place}"
        return Check(_credentials(one.server), "fault", f"{whose}: {one.fault.partition(';')[0]}", fix)
    fix = f"Connect again: jotgate mcp credential set {place}"
    return Check(_credentials(one.server), "fault", f"{whose} is of no use any more: {one.fault}", fix)


def _look_at_grants(running: Status, faulty: Set[str]) -> Iterator[Check]:
    """Of `faulty` servers somebody's credential is of no use: then it is not said that all is well with the others."""
    for standing in running.upstream_tokens:
        server, by = server_of(standing.upstream), f'by the grant "{standing.kind}"'
        if not server or standing.kind in (KEPT, "kept-user"):
            continue
        if standing.fault:
            fix = "Look at its [mcp.servers.oauth], and at what the authorization server knows of this client"
            yield Check(_credentials(server), "fault", f"{by}: {standing.fault}", fix)
        elif server not in faulty:
            text = f"{by}; {standing.obtained} got, {standing.failed} exchanges failed"
            yield Check(_credentials(server), "ok", text)


def _name(server: str) -> str:
    return f"mcp {server}"


def _credentials(server: str) -> str:
    return f"mcp {server} credentials"


def _named(tools: list[str]) -> str:
    more = len(tools) - _NAMED_MAX
    return ", ".join(tools[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _words(tools: list[str]) -> str:
    return " ".join(quote(one) for one in tools[:_NAMED_MAX])
