"""What a worker knows of each MCP server: its era, what it says of itself, the session that callers share, its tools.

Callers of the older era have sessions of their own with a server of that era. Where the eras differ the worker speaks
for the caller: in one session with a server of the older era, and in none with a stateless one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Raw

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.mcp_eras import DISCOVER, INITIALIZE, INITIALIZED, LEGACY, STATELESS, Conversation, Era
from jotgate.core.mcp_messages import CAPABILITIES_KEY, CLIENT_KEY, VERSION_KEY, encode
from jotgate.core.mcp_reader import Members, find_list, find_members
from jotgate.core.mcp_servers import McpServer
from jotgate.core.mcp_tools import Tool, read_tools
from jotgate.core.principals import Principal
from jotgate.errors import UpstreamFailed, UpstreamRefused, UpstreamTorn
from jotgate.gateway.mcp_asking import Asker, Reply, ask, read_version
from jotgate.gateway.world import Place
from jotgate.ports import Clock

PEERS_MAX: Final = 4_096
"""Of so many servers, or callers' servers, something is known; of which it was wanted longest ago goes first."""
PAGES_MAX: Final = 64
"""A list of more pages is read no further."""
_ACCEPT: Final = b"Accept: application/json, text/event-stream\r\n"
_EMPTY: Final = Raw(b"{}")
_CLIENT: Final = encode({"name": "jotgate", "version": __version__})
_REFUSED: Final = frozenset({401, 403, 407})
_FAILED: Final = 500
_encode: Final = msgspec.json.Encoder().encode
_Found = TypeVar("_Found")


class _Shared(Generic[_Found]):
    """What is asked once, however many want to know. Mutable: the asking that is under way."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: asyncio.Task[_Found] | None = None

    async def get(self, begin: Callable[[], Coroutine[object, object, _Found]]) -> _Found:
        """What comes of it; it goes on for the others if one goes away."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(begin())
            self._task.add_done_callback(_look_at)
        return await asyncio.shield(self._task)


class Peer:
    """One server. Mutable: what is known of it, the numbers of the worker's own requests, what is being asked."""

    def __init__(self, server: McpServer, clock: Clock) -> None:
        self.server: Final = server
        self.era: Era | None = {"auto": None, STATELESS[0]: "stateless", "initialize": "legacy"}[server.era]
        self.conversation: Conversation | None = None
        self.tools: list[Tool] | None = None
        self.refuses_sessions = False
        self._tools_until_s = 0.0
        self._clock = clock
        self._number = 0
        self._conversing: _Shared[Conversation] = _Shared()
        self._listing: _Shared[list[Tool]] = _Shared()

    @property
    def holds_tools(self) -> bool:
        """Whether the list of its tools is held and fresh."""
        return self.tools is not None and self._clock.monotonic_s() < self._tools_until_s

    def definition(self, name: str) -> bytes:
        """How the server has defined a tool, as far as that is known; empty: it is not."""
        return next((tool.definition for tool in self.tools or () if tool.name == name), b"")

    def next_id(self) -> Raw:
        """The id of one more request in the session that callers share."""
        self._number += 1
        return encode(self._number)

    def forget(self, conversation: Conversation) -> None:
        """The session of this conversation is over, or the server is another one now."""
        if self.conversation is not conversation:
            return  # Somebody else has begun anew already.
        self.conversation = None
        self._tools_until_s = 0.0
        if self.server.era == "auto":
            self.era = None

    def lacks_tools(self) -> None:
        """The server has not told them: it is asked again in a while, and calls do not wait for that."""
        self.tools = self.tools or []
        self._tools_until_s = self._clock.monotonic_s() + self.server.tools_ttl_s

    def stale_tools(self) -> None:
        """The server has said that its tools have changed."""
        self._tools_until_s = 0.0

    async def converse(self, place: Place, asker: Asker) -> Conversation:
        """What the server says of itself, asked once however many want to know. Raises UpstreamError."""
        if self.conversation is not None:
            return self.conversation
        return await self._conversing.get(lambda: self._begin(place, asker))

    async def list_tools(self, place: Place, asker: Asker) -> list[Tool]:
        """The tools of all pages, by name. Raises UpstreamError."""
        if self.tools is not None and self.holds_tools:
            return self.tools
        return await self._listing.get(lambda: self._read_tools(place, asker))

    async def request(self, place: Place, asker: Asker, method: str, params: Members) -> Reply:
        """Ask something in the worker's own name, in the server's era. Raises UpstreamError."""
        conversation = await self.converse(place, asker)
        reply = await self._send(place, asker, conversation, method, params)
        if reply.status == 404 and conversation.session:
            self.forget(conversation)
            conversation = await self.converse(place, asker)
            reply = await self._send(place, asker, conversation, method, params)
        return reply

    async def _begin(self, place: Place, asker: Asker) -> Conversation:
        if self.era != "legacy":
            found = await self._discover(place, asker)
            if found is not None:
                self.era, self.conversation = "stateless", found
                return found
            if self.server.era == STATELESS[0]:
                raise UpstreamFailed("the server does not answer server/discover, and its settings say that it does")
        found = await self._initialize(place, asker)
        self.era, self.conversation = "legacy", found
        return found

    async def _discover(self, place: Place, asker: Asker) -> Conversation | None:
        """What a stateless server says of itself; None: it is not one."""
        reply = await self._ask_stateless(place, asker, DISCOVER, {})
        result = reply.result
        if result is None:
            if reply.status >= _FAILED and reply.error_code is None:
                raise UpstreamFailed("the server fails when it is asked what it is")
            return None
        versions = result.get("supportedVersions", Raw(b"[]"))
        if not set(STATELESS) & set(map(str, find_list(versions) or ())):
            return None
        meta = find_members(result.get("_meta")) or {}
        info = result.get("serverInfo") or meta.get("io.modelcontextprotocol/serverInfo") or _EMPTY
        capabilities, said = result.get("capabilities", _EMPTY), result.get("instructions")
        return Conversation("stateless", STATELESS[0], capabilities, info, said)

    async def _initialize(self, place: Place, asker: Asker) -> Conversation:
        params = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": _CLIENT}
        body = _request(self.next_id(), INITIALIZE, encode(params))
        reply = await self._post(place, asker, _ACCEPT, body)
        result = reply.result
        if result is None:
            raise UpstreamFailed("the server answers neither server/discover nor initialize")
        version = read_version(result) or LEGACY[-1]
        found = Conversation(
            "legacy",
            version,
            result.get("capabilities", _EMPTY),
            result.get("serverInfo", _EMPTY),
            result.get("instructions"),
            reply.session,
        )
        note = _encode({"jsonrpc": "2.0", "method": INITIALIZED})
        await self._post(place, asker, _ACCEPT + session_lines(found), note)
        return found

    async def _send(
        self, place: Place, asker: Asker, conversation: Conversation, method: str, params: Members
    ) -> Reply:
        if conversation.era == "stateless":
            return await self._ask_stateless(place, asker, method, params)
        body = _request(self.next_id(), method, encode(params))
        return await self._post(place, asker, _ACCEPT + session_lines(conversation), body)

    async def _ask_stateless(self, place: Place, asker: Asker, method: str, params: Members) -> Reply:
        meta = {VERSION_KEY: STATELESS[0], CLIENT_KEY: _CLIENT, CAPABILITIES_KEY: _EMPTY}
        body = _request(self.next_id(), method, encode({**params, "_meta": meta}))
        return await self._post(place, asker, _ACCEPT + stateless_lines(method), body)

    async def _post(self, place: Place, asker: Asker, lines: bytes, body: bytes) -> Reply:
        outbound = Outbound("mcp", b"POST", b"", lines, body)
        reply = await ask(place, asker, outbound, self.server.message_bytes)
        if reply.status in _REFUSED:
            raise UpstreamRefused(
                "the server refused jotgate's own credential",
                hint="Its operator must mend the server's credential",
            )
        return reply

    async def _read_tools(self, place: Place, asker: Asker) -> list[Tool]:
        items: list[object] = []
        params: Members = {}
        for _ in range(PAGES_MAX):
            reply = await self.request(place, asker, "tools/list", params)
            if reply.result is None:
                raise UpstreamTorn("the server does not tell its tools")
            found = find_list(reply.result.get("tools", Raw(b"[]")))
            if found is None:
                raise UpstreamTorn("the server does not tell its tools")
            items += found
            cursor = reply.result.get("nextCursor")
            if cursor is None or bytes(cursor) == b"null":
                break
            params = {"cursor": cursor}
        self.tools, _ = read_tools(self.server.name, items)
        self._tools_until_s = self._clock.monotonic_s() + self.server.tools_ttl_s
        return self.tools


_Key = tuple[str, str, str]
"""A server, and by issuer and subject the caller whose it is; empty: it is all callers'."""


class Peers:
    """The servers of the newest world. Mutable: them, by name, and by caller where each has a credential of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: OrderedDict[_Key, tuple[Place, Peer]] = OrderedDict()

    def find(self, server: McpServer, place: Place, principal: Principal) -> Peer:
        """What is known of a server; nothing of one that has been set up anew.

        What it has told one caller, and a session that is begun with one's credential, are no others'.
        """
        key = (server.name, "", "")
        if server.of_callers:
            key = (server.name, principal.issuer, principal.subject)
        held = self._held.get(key)
        if held is not None and held[0] is place and held[1].server == server:
            self._held.move_to_end(key)
            return held[1]
        peer = Peer(server, self._clock)
        self._held[key] = (place, peer)
        if len(self._held) > PEERS_MAX:
            self._held.popitem(last=False)
        return peer


def session_lines(conversation: Conversation) -> bytes:
    """The header lines of what is said in a session of the older era."""
    lines = f"MCP-Protocol-Version: {conversation.version}\r\n"
    if conversation.session:
        lines += f"Mcp-Session-Id: {conversation.session}\r\n"
    return lines.encode("latin-1")


def stateless_lines(method: str, name: bytes = b"") -> bytes:
    """The header lines of a stateless message."""
    lines = f"MCP-Protocol-Version: {STATELESS[0]}\r\nMcp-Method: {method}\r\n".encode("latin-1")
    return lines + b"Mcp-Name: %b\r\n" % name if name else lines


def _request(identity: Raw, method: str, params: Raw) -> bytes:
    return _encode({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})


def _look_at(task: "asyncio.Task[_Found]") -> None:
    """A failure is nobody's when all who waited for it have gone away."""
    if not task.cancelled():
        task.exception()
