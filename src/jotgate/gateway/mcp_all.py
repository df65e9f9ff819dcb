"""Answers MCP clients at `/mcp`: the tools of all servers in one list, each under its server's name.

Prompts and resources are each server's own, at its own path. A server that does not answer is left out of the list, and
is named in it.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from jotgate import __version__
from jotgate.core.mcp_eras import CANCELLED, DISCOVER, INITIALIZE, LISTEN, Conversation, Era, discovered, method_of
from jotgate.core.mcp_messages import SESSION_FIELD, Message, check_agreement, encode, is_stateless
from jotgate.core.mcp_operations import STREAM, McpMethod
from jotgate.core.mcp_servers import McpServer, unknown_server
from jotgate.core.mcp_sessions import open_session
from jotgate.core.mcp_tools import find_prefixed, prefixed, renamed
from jotgate.core.policies import ALLOW, Allow
from jotgate.errors import (
    ControlStale,
    JotgateError,
    McpMalformed,
    McpMethodAbsent,
    McpMethodUnknown,
    MethodRefused,
    PermissionRefused,
    UpstreamError,
)
from jotgate.gateway.mcp_access import Access, expect_tool, permit_method, permit_tool, show_tools
from jotgate.gateway.mcp_means import Means, accept, later, place_of, start, tell, withdraw
from jotgate.gateway.mcp_news import News
from jotgate.gateway.mcp_openings import open_own
from jotgate.gateway.mcp_relay import Plan
from jotgate.gateway.mcp_shared import plan_shared
from jotgate.gateway.mcp_talk import Talk, plan_renamed, plan_to_stateless
from jotgate.gateway.plain_answers import Opened
from jotgate.mcp_refusals import RPC_INVALID_PARAMS
from jotgate.ports import Caller, Running

_NOTIFY: Final = "mcp.notify"
_TOOLS_LIST: Final = "tools/list"
_TOOLS_CALL: Final = "tools/call"
_UNAVAILABLE: Final = "jotgate/unavailable"
_OFFERED: Final = frozenset({DISCOVER, INITIALIZE, "ping", _TOOLS_LIST, _TOOLS_CALL, LISTEN})
_SELF: Final = Conversation(
    "stateless", "", Raw(b'{"tools":{"listChanged":true}}'), encode({"name": "jotgate", "version": __version__})
)
_ANY: Final = McpMethod("", STREAM, "any")


class AllServers:
    """Those of one worker. What changes stands in `means` and `news`."""

    def __init__(self, means: Means, news: News) -> None:
        self._means = means
        self._news = news

    def answer(self, opened: Opened, caller: Caller, message: Message | None) -> Running | None:
        """Answer a request for all servers; no message: it is GET or DELETE. Raises JotgateError."""
        request = opened.request
        if not opened.world.mcp_servers:
            raise unknown_server()
        if message is None:
            return self._stream(opened, caller)
        stateless = is_stateless(message, request.headers)
        if stateless:
            check_agreement(message, request.headers)
        era: Era = "stateless" if stateless else "legacy"
        if not message.is_request:
            request.operation = _NOTIFY
            if message.method == CANCELLED:
                withdraw(self._means, opened, message)
            accept(self._means, opened, caller)
            return None
        row = method_of(message.method, era)
        request.operation = row.operation
        if message.method not in _OFFERED:
            kind = McpMethodUnknown if stateless else McpMethodAbsent
            raise kind("the list of all servers has tools alone; ask the server itself at its own path")
        if message.method == _TOOLS_CALL:  # Of one server alone: nothing else of it has to be allowed.
            servers = [(self._expect(opened, message), ALLOW)]
        else:
            servers = list(self._visible(opened, row))
        if message.method != INITIALIZE and not stateless:
            self._require_session(opened)
        return self._carry_out(opened, caller, message, servers, era)

    def _carry_out(
        self, opened: Opened, caller: Caller, message: Message, servers: list[tuple[McpServer, Allow]], era: Era
    ) -> Running | None:
        means, method = self._means, message.method
        if method == _TOOLS_LIST:
            return later(means, opened, caller, self._list(opened, caller, message, servers, era))
        if method == _TOOLS_CALL:
            ((server, _),) = servers
            return later(means, opened, caller, self._call(opened, caller, message, server, era))
        if method == LISTEN:
            return self._listen(opened, caller, message, servers, era)
        if method == INITIALIZE:
            open_own(means, opened, caller, message, _SELF, server="")
        else:
            tell(means, opened, caller, message.id, discovered(_SELF) if method == DISCOVER else {})
        return None

    def _stream(self, opened: Opened, caller: Caller) -> Running:
        opened.request.operation = STREAM
        if opened.request.method != b"GET" or SESSION_FIELD not in opened.request.headers:
            raise MethodRefused("POST", "MCP takes messages with POST, and GET in a session of the older era alone")
        self._require_session(opened)
        message = Message({}, None, "", {}, {})
        return self._listen(opened, caller, message, list(self._visible(opened, _ANY)), "legacy")

    def _listen(
        self, opened: Opened, caller: Caller, message: Message, servers: list[tuple[McpServer, Allow]], era: Era
    ) -> Running:
        first, *others = [self._talk(opened, caller, message, one, era) for one in servers]
        return self._news.listen(first, others)

    async def _list(
        self, opened: Opened, caller: Caller, message: Message, servers: list[tuple[McpServer, Allow]], era: Era
    ) -> None:
        talks = [self._talk(opened, caller, message, one, era) for one in servers]
        found = await asyncio.gather(*(self._tools_of(talk) for talk in talks))
        shown = sorted(one for tools in found if tools is not None for one in tools)
        result = {"tools": encode([Raw(definition) for _, definition in shown])}
        silent = [talk.server.name for talk, tools in zip(talks, found, strict=True) if tools is None]
        if silent:
            result["_meta"] = encode({_UNAVAILABLE: silent})
        if era == "stateless":
            result = {
                "resultType": encode("complete"),
                **result,
                "ttlMs": encode(0),
                "cacheScope": encode("private"),
            }
        tell(self._means, opened, caller, message.id, result)

    async def _tools_of(self, talk: Talk) -> list[tuple[str, bytes]] | None:
        """What the caller is shown of one server, by the name in the common list; None: the server does not answer."""
        name = talk.server.name
        try:
            tools = await talk.peer.list_tools(talk.place, talk.asker)
        except UpstreamError:
            return None
        shown = show_tools(_access(talk.opened, name), tools, await self._means.book.learn(name, tools))
        return [(prefixed(name, tool.name), renamed(tool, prefixed(name, tool.name))) for tool in shown]

    def _expect(self, opened: Opened, message: Message) -> McpServer:
        """The server of a tool that is called. Raises McpMalformed: none; PermissionRefused: the scopes do not do."""
        servers = opened.world.mcp_servers
        found = find_prefixed(message.name, dict.fromkeys(servers, ()))
        if found is None:
            text = "no tool of this list has this name"
            raise McpMalformed(RPC_INVALID_PARAMS, text, param="params.name", hint="Ask for tools/list")
        expect_tool(_access(opened, found[0], message.name), found[1])
        return servers[found[0]]

    async def _call(
        self, opened: Opened, caller: Caller, message: Message, server: McpServer, era: Era
    ) -> Running | None:
        talk = self._talk(opened, caller, message, (server, ALLOW), era)
        tools = await talk.peer.list_tools(talk.place, talk.asker)
        known = await self._means.book.learn(server.name, tools)
        found = find_prefixed(message.name, {server.name: [tool.name for tool in tools]})
        tool = message.name if found is None else found[1]
        allowed = permit_tool(_access(opened, server.name, message.name), tool, known)
        talk = msgspec.structs.replace(talk, tool=tool, allowed=allowed)
        conversation = await talk.peer.converse(talk.place, talk.asker)
        rules = opened.world.snapshot.mcp
        settled = Plan(
            method=b"POST",
            body=b"",
            lines=b"",
            message_bytes=talk.server.message_bytes,
            keep_alive_s=rules.keep_alive_s,
            metadata_url=opened.world.metadata_of(opened.request.path),
        )
        return start(self._means, talk, self._plan(talk, conversation, settled))

    def _plan(self, talk: Talk, conversation: Conversation, settled: Plan) -> Plan:
        if conversation.era == "legacy":
            return plan_shared(self._means, talk, conversation, settled)
        return plan_renamed(talk, settled) if talk.era == "stateless" else plan_to_stateless(talk, settled)

    def _visible(self, opened: Opened, row: McpMethod) -> Iterator[tuple[McpServer, Allow]]:
        """The servers of which the caller may use anything. Raises PermissionRefused where there are none."""
        refusal: JotgateError | None = None
        some = False
        for server in opened.world.mcp_servers.values():
            try:
                allowed = permit_method(_access(opened, server.name), _in_general(row))
            except (PermissionRefused, ControlStale) as refused:
                refusal = refusal or refused
                continue
            some = True
            yield server, allowed
        if refusal is not None and not some:
            raise refusal

    def _talk(self, opened: Opened, caller: Caller, message: Message, one: tuple[McpServer, Allow], era: Era) -> Talk:
        server, allowed = one
        place = place_of(opened.world, server)
        return Talk(
            opened=opened,
            caller=caller,
            server=server,
            place=place,
            peer=self._means.peers.find(server, place, opened.principal),
            message=message,
            era=era,
            allowed=allowed,
        )

    def _require_session(self, opened: Opened) -> None:
        """Look at the session that a client says it is in. Raises McpSessionUnknown."""
        text, key = opened.request.headers.get(SESSION_FIELD), opened.world.snapshot.mcp.session_key
        if text is not None and key is not None:
            open_session(text, key, opened.principal, "")


def _in_general(row: McpMethod) -> McpMethod:
    """What a server must allow of a method before it is known which tool is meant."""
    return McpMethod(row.method, row.operation, "any")


def _access(opened: Opened, server: str, called: str = "") -> Access:
    return Access(opened.request, opened.principal, opened.world, server, opened.now_s, called)
