"""Answers MCP clients at `/mcp/{server}`: reads the message, decides, and sends it on in the era of its server.

Where client and server are of one era the message passes as it was read. Where they are not, it is said in the other
era, and so is its answer. Every message ends in one audit record.
"""

from functools import partial
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from jotgate.core.listen_texts import is_loopback
from jotgate.core.mcp_answers import Rewriting
from jotgate.core.mcp_eras import CANCELLED, DISCOVER, INITIALIZE, LISTEN, SUPPORTED, Era, discovered, method_of
from jotgate.core.mcp_messages import (
    LAST_EVENT_FIELD,
    SESSION_FIELD,
    VERSION_FIELD,
    Message,
    check_agreement,
    encode,
    is_stateless,
    read_message,
    unsupported,
)
from jotgate.core.mcp_operations import RESPONSE, STREAM, TOOLS_CALL, TOOLS_LIST, McpMethod, find_method
from jotgate.core.mcp_reader import find_list
from jotgate.core.mcp_servers import ALL_SERVERS, McpServer, server_of, unknown_server
from jotgate.core.mcp_sessions import open_session
from jotgate.core.mcp_tools import read_tools
from jotgate.core.policies import ALLOW, Allow
from jotgate.errors import (
    EncodingRefused,
    McpMalformed,
    McpMethodAbsent,
    MediaTypeRefused,
    MethodRefused,
    OriginRefused,
    UpstreamError,
    UpstreamTorn,
)
from jotgate.gateway.headers import content_type
from jotgate.gateway.mcp_access import Access, expect_tool, permit_method, permit_tool, require_audience, show_tools
from jotgate.gateway.mcp_all import AllServers
from jotgate.gateway.mcp_means import Means, accept, later, place_of, start, tell, withdraw
from jotgate.gateway.mcp_news import News
from jotgate.gateway.mcp_openings import Openings
from jotgate.gateway.mcp_peers import Peer
from jotgate.gateway.mcp_relay import Plan
from jotgate.gateway.mcp_shared import plan_shared
from jotgate.gateway.mcp_talk import Talk, plan_passed, plan_to_stateless
from jotgate.gateway.mcp_unasked import show_unasked
from jotgate.gateway.plain_answers import Opened
from jotgate.mcp_refusals import RPC_INVALID_REQUEST
from jotgate.ports import Caller, Running

_METHODS: Final = "DELETE, GET, POST"
_JSON: Final = b"application/json"
_NOTIFY: Final = "mcp.notify"
_ANY_STREAM: Final = McpMethod("", STREAM, "any")
_NOTHING: Final[dict[str, Raw]] = {}
_NO_MESSAGE: Final = Message({}, None, "", {}, {})


class McpDoor:
    """That of one worker. What changes stands in `means`, and in `news`."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self.news: Final = News(means)
        self._openings = Openings(means)
        self._all = AllServers(means, self.news)

    def answer(self, opened: Opened, caller: Caller) -> Running | None:
        """Answer a request for a path of MCP.

        Raises:
            JotgateError: it is refused, and the caller has not been told.
        """
        request, world = opened.request, opened.world
        message: Message | None = None
        require_origin(opened)
        if b"content-encoding" in request.headers:
            raise EncodingRefused("the request body has a Content-Encoding")
        if request.method == b"POST":
            if content_type(list(request.headers.items())) != _JSON:
                raise MediaTypeRefused("the body of a message is JSON")
            message = read_message(request.body)
        elif request.method not in (b"GET", b"DELETE"):
            raise MethodRefused(_METHODS, f"MCP takes {_METHODS} only")
        if message is not None and message.id is not None:
            request.message_id = bytes(message.id)
        if request.path == ALL_SERVERS:
            require_audience(opened)
            return self._all.answer(opened, caller, message)
        server = world.mcp_servers.get(server_of(request.path))
        if server is None:
            raise unknown_server(request.path)
        require_audience(opened, server.name)
        if message is None:
            return self._stream(opened, caller, server)
        if is_stateless(message, request.headers):
            return self._answer_stateless(opened, caller, server, message)
        return self._answer_legacy(opened, caller, server, message)

    def close(self) -> None:
        """Tell those that wait that jotgate stops."""
        for pending in tuple(self._means.pending):
            pending.cancel()

    # Clients of the stateless revision

    def _answer_stateless(self, opened: Opened, caller: Caller, server: McpServer, message: Message) -> Running | None:
        if not message.method:
            raise McpMalformed(RPC_INVALID_REQUEST, "a stateless server asks nothing that could be answered")
        check_agreement(message, opened.request.headers)
        talk = self._talk(opened, caller, server, message, stateless=True)
        if not message.is_request:
            accept(self._means, opened, caller)  # None of this revision's means anything to a server.
            return None
        if not self._knows(talk):
            return later(self._means, opened, caller, self._learn(talk))
        return self._send_stateless(talk)

    def _send_stateless(self, talk: Talk) -> Running | None:
        """Send a message of a client of the stateless revision to a server that is known."""
        peer, message = talk.peer, talk.message
        if peer.era == "stateless":
            return start(self._means, talk, plan_passed(talk, self._settled(talk)))
        conversation = peer.conversation
        assert conversation is not None, "a server of the older era is known by its session"
        if message.method == DISCOVER:
            tell(self._means, talk.opened, talk.caller, message.id, discovered(conversation))
            return None
        if message.method == LISTEN:
            return self.news.listen(talk)
        return start(self._means, talk, plan_shared(self._means, talk, conversation, self._settled(talk)))

    # Clients of the older era

    def _answer_legacy(self, opened: Opened, caller: Caller, server: McpServer, message: Message) -> Running | None:
        require_version(opened)
        talk = self._talk(opened, caller, server, message, stateless=False)
        if message.method == INITIALIZE:
            return self._openings.begin(talk)
        if not self._knows_tools(talk):
            return later(self._means, opened, caller, self._learn(talk))
        return self._send_legacy(talk)

    def _send_legacy(self, talk: Talk) -> Running | None:
        session, message = talk.session, talk.message
        if session is None or session.upstream:
            known = message.method if message.method and not message.is_request else ""
            if known and find_method(known) is None:
                accept(self._means, talk.opened, talk.caller)  # A notification that means nothing to anybody.
                return None
            if session is not None and talk.server.local and message.method == CANCELLED:
                # Callers share a child's session, and may have given the same id: it is told by its own.
                withdraw(self._means, talk.opened, message)
                accept(self._means, talk.opened, talk.caller)
                return None
            return start(self._means, talk, plan_passed(talk, self._settled(talk)))
        if not message.is_request:
            if message.method == CANCELLED:
                withdraw(self._means, talk.opened, message)
            accept(self._means, talk.opened, talk.caller)
            return None
        if message.method == "ping":
            tell(self._means, talk.opened, talk.caller, message.id, _NOTHING)
            return None
        if message.method not in _SHARED:
            raise McpMethodAbsent("the server behind this gateway has no such method")
        return start(self._means, talk, plan_to_stateless(talk, self._settled(talk)))

    def _stream(self, opened: Opened, caller: Caller, server: McpServer) -> Running | None:
        """GET, which opens the stream of a session of the older era, and DELETE, which ends one."""
        opened.request.operation = STREAM
        require_version(opened)
        peer = self._peer(opened, server)
        allowed = permit_method(self._access(opened, server), _ANY_STREAM)
        if SESSION_FIELD not in opened.request.headers:
            raise MethodRefused("POST", "messages are taken with POST, and GET in a session of the older era alone")
        talk = self._with_session(
            Talk(
                opened=opened,
                caller=caller,
                server=server,
                place=place_of(opened.world, server),
                peer=peer,
                message=_NO_MESSAGE,
                era="legacy",
                allowed=allowed,
            )
        )
        assert talk.session is not None
        if talk.session.upstream:
            replays = opened.request.method == b"GET" and LAST_EVENT_FIELD in opened.request.headers
            if replays and not self._means.book.known(server.name):
                return later(self._means, opened, caller, self._learn_for_stream(talk))
            return self._open_stream(talk)
        if opened.request.method == b"GET":
            return self.news.listen(talk)
        raise MethodRefused("GET, POST", "a session with this server is held by nobody, and need not be ended")

    async def _learn_for_stream(self, talk: Talk) -> Running | None:
        """Learn the server's tools, of which nothing else could be shown where a list of them is said again."""
        tools = await talk.peer.list_tools(talk.place, talk.asker)
        await self._means.book.learn(talk.server.name, tools)
        return self._open_stream(talk)

    def _open_stream(self, talk: Talk) -> Running | None:
        plan = plan_passed(talk, self._settled(talk))
        waits = talk.opened.request.method == b"GET"
        how = Rewriting("", unasked=partial(self._show_unasked, talk)) if waits else None
        return start(self._means, talk, msgspec.structs.replace(plan, body=b"", how=how, waits=waits))

    def _show_unasked(self, talk: Talk, result: dict[str, Raw]) -> dict[str, Raw]:
        """What the caller is shown of a result on such a stream, by what is so when it comes."""
        opened, server = talk.opened, talk.server
        access = Access(opened.request, opened.principal, opened.world, server.name, self._means.clock.now_s())
        return show_unasked(access, self._means.book.known(server.name), result)

    # What is decided of a message

    def _talk(self, opened: Opened, caller: Caller, server: McpServer, message: Message, *, stateless: bool) -> Talk:
        request = opened.request
        era: Era = "stateless" if stateless else "legacy"
        if message.is_request:
            request.operation = method_of(message.method, era).operation
        else:
            request.operation = _unasked(message)
        talk = Talk(
            opened=opened,
            caller=caller,
            server=server,
            place=place_of(opened.world, server),
            peer=self._peer(opened, server),
            message=message,
            era=era,
            allowed=self._permit(opened, server, message),
            sift=partial(self._sift, opened, server) if request.operation == TOOLS_LIST else None,
        )
        return talk if stateless else self._with_session(talk)

    def _with_session(self, talk: Talk) -> Talk:
        opened = talk.opened
        text, key = opened.request.headers.get(SESSION_FIELD), opened.world.snapshot.mcp.session_key
        if text is None or key is None:
            return talk
        session = open_session(text, key, opened.principal, talk.server.name)
        return msgspec.structs.replace(talk, session=session)

    def _permit(self, opened: Opened, server: McpServer, message: Message) -> Allow:
        access = self._access(opened, server)
        if opened.request.operation == TOOLS_CALL:
            known = self._means.book.known(server.name)
            if known:
                return permit_tool(access, message.name, known)
            expect_tool(access, message.name)
            return ALLOW  # It is decided again by what is learned of the server's tools.
        row = find_method(message.method) or McpMethod(message.method, opened.request.operation, "any")
        return permit_method(access, row)

    def _access(self, opened: Opened, server: McpServer) -> Access:
        return Access(opened.request, opened.principal, opened.world, server.name, opened.now_s)

    def _sift(self, opened: Opened, server: McpServer, items: Raw) -> Raw:
        """The tools of a list that the caller is shown, by name."""
        found = find_list(items)
        if found is None:
            raise UpstreamTorn("the server does not tell its tools")
        tools, _ = read_tools(server.name, found)
        self._means.book.saw(server.name, tools)
        shown = show_tools(self._access(opened, server), tools, self._means.book.known(server.name))
        return encode([Raw(tool.definition) for tool in shown])

    # What is known of a server

    def _peer(self, opened: Opened, server: McpServer) -> Peer:
        return self._means.peers.find(server, place_of(opened.world, server), opened.principal)

    def _knows(self, talk: Talk) -> bool:
        peer = talk.peer
        known = peer.era == "stateless" or peer.conversation is not None
        return known and self._knows_tools(talk)

    def _knows_tools(self, talk: Talk) -> bool:
        """Whether a call may be decided: its server's tools have been looked at, once and then from time to time."""
        operation = talk.opened.request.operation
        if operation not in (TOOLS_CALL, TOOLS_LIST):
            return True
        if not self._means.book.known(talk.server.name):
            return False  # The first list is looked at as a whole, before anybody is shown any of it.
        if operation == TOOLS_LIST or talk.peer.holds_tools:
            return True
        self._means.spawn(self._look_at_tools(talk))
        return True

    async def _learn(self, talk: Talk) -> Running | None:
        """Learn what has to be known of the server, decide again by that, and send the message."""
        operation = talk.opened.request.operation
        if operation in (TOOLS_CALL, TOOLS_LIST):
            tools = await talk.peer.list_tools(talk.place, talk.asker)
            known = await self._means.book.learn(talk.server.name, tools)
            if operation == TOOLS_CALL:
                allowed = permit_tool(self._access(talk.opened, talk.server), talk.message.name, known)
                talk = msgspec.structs.replace(talk, allowed=allowed)
        if talk.era == "legacy":
            return self._send_legacy(talk)
        await talk.peer.converse(talk.place, talk.asker)
        return self._send_stateless(talk)

    async def _look_at_tools(self, talk: Talk) -> None:
        try:
            tools = await talk.peer.list_tools(talk.place, talk.asker)
        except UpstreamError:
            talk.peer.lacks_tools()
            return  # The call itself says what is wrong with the server.
        self._means.book.saw(talk.server.name, tools)

    def _settled(self, talk: Talk) -> Plan:
        """What all plans for a server share."""
        rules = talk.opened.world.snapshot.mcp
        return Plan(
            method=talk.opened.request.method,
            body=b"",
            lines=b"",
            message_bytes=talk.server.message_bytes,
            keep_alive_s=rules.keep_alive_s,
            metadata_url=talk.opened.world.metadata_of(talk.opened.request.path),
        )


_SHARED: Final = frozenset(
    {
        *("tools/list", "tools/call", "prompts/list", "prompts/get", "completion/complete"),
        *("resources/list", "resources/templates/list", "resources/read"),
    }
)
"""What a client may ask in a session that is jotgate's own."""


def require_origin(opened: Opened) -> None:
    """Refuse what comes from a web page that is not listed (MCP 2026-07-28, "Security & Endpoint").

    A gateway that only this machine reaches takes the pages of this machine.

    Raises:
        OriginRefused: it does.
    """
    origin = opened.request.headers.get(b"origin")
    if origin is None or origin in opened.world.credentials.origins:
        return
    try:
        host = urlsplit(origin.decode("ascii")).hostname or ""
    except (UnicodeDecodeError, ValueError):
        host = ""
    own = urlsplit(opened.world.own_issuer).hostname or ""
    if not (is_loopback(host) and is_loopback(own)):
        raise OriginRefused(
            "the request is from a web page that may not call this gateway",
            hint="Its operator can list the page's origin in cors.origins; whatever is no web page sends no Origin",
        )


def require_version(opened: Opened) -> None:
    """Refuse a version that is none; without one a client is of a revision that had no such header.

    Raises:
        McpVersionUnsupported: it is.
    """
    stated = opened.request.headers.get(VERSION_FIELD)
    if stated is not None and stated.decode("latin-1") not in SUPPORTED:
        raise unsupported(stated.decode("latin-1"))


def _unasked(message: Message) -> str:
    """The operation of a notification, or of an answer to what a server has asked."""
    return _NOTIFY if message.method else RESPONSE
