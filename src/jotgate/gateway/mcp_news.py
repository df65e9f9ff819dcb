"""Tells callers that what a server offers has changed, where their stream cannot be the server's own.

A worker listens once to each server that anybody wants to hear of, in that server's era, and tells all who listen. What
is told names no caller's own things: that tools, prompts or resources have changed, and no more.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

import msgspec
from msgspec import Raw

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.mcp_eras import LISTEN, STATELESS, Conversation
from jotgate.core.mcp_events import EventCutter, data_of, event_of
from jotgate.core.mcp_messages import CAPABILITIES_KEY, CLIENT_KEY, SUBSCRIPTION_KEY, VERSION_KEY
from jotgate.core.mcp_reader import find_members, find_text
from jotgate.core.routes import Upstream
from jotgate.errors import UpstreamError, UpstreamTorn
from jotgate.gateway.headers import content_type, has_coding
from jotgate.gateway.mcp_asking import Asker
from jotgate.gateway.mcp_means import Means, call_of
from jotgate.gateway.mcp_peers import Peer, session_lines, stateless_lines
from jotgate.gateway.mcp_relay import McpRelay, Plan
from jotgate.gateway.mcp_talk import Talk
from jotgate.gateway.relay import EVENT_STREAM
from jotgate.gateway.world import Place
from jotgate.ports import Running, Stopping, UpstreamExchange

_KINDS: Final[Mapping[str, str]] = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
"""What is told, and the member of a filter that asks for it."""
_TOOLS: Final = "notifications/tools/list_changed"
_STREAM: Final = ResponseHead(200, [(b"content-type", EVENT_STREAM), (b"cache-control", b"no-store")], None)
_PATIENCE_S: Final = 60.0
_EVENT_BYTES_MAX: Final = 1_048_576
_OK: Final = 200
_MISSING: Final = 404
_KNOW_S: Final = 5.0
_encode: Final = msgspec.json.Encoder().encode


class Listening:
    """One stream on which a caller is told (ports.UpstreamExchange). Mutable: its feeds, what it missed.

    `wants` are the methods that it is told; `subscription` is the id of the request that asked for it, where a client
    of the stateless revision did.
    """

    __slots__ = ("_feeds", "_missed", "_paused", "relay", "subscription", "wants")

    def __init__(self, wants: frozenset[str], subscription: Raw | None) -> None:
        self.wants = wants
        self.subscription = subscription
        self.relay: McpRelay | None = None
        self._feeds: list[Feed] = []
        self._paused = False
        self._missed: dict[str, None] = {}

    @property
    def written(self) -> bool:
        """There is nothing that a server would have to see."""
        return True

    def join(self, feed: "Feed") -> None:
        """Hear of a server."""
        self._feeds.append(feed)
        feed.listeners[self] = None

    def tell(self, method: str) -> None:
        """Tell the caller; one that does not read is told each thing once when it reads again."""
        if self._paused and method in self.wants:
            self._missed[method] = None
        elif self.relay is not None and method in self.wants:
            self.relay.received(None, event_of(self.event(method)), False)

    def event(self, method: str) -> bytes:
        """The message that tells it."""
        if self.subscription is None:
            return _encode({"jsonrpc": "2.0", "method": method})
        params = {"_meta": {SUBSCRIPTION_KEY: self.subscription}}
        return _encode({"jsonrpc": "2.0", "method": method, "params": params})

    def abort(self) -> None:
        """Hear of nothing any more."""
        while self._feeds:
            self._feeds.pop().listeners.pop(self, None)

    def stop(self) -> Stopping:
        """The same: nothing is under way."""
        self.abort()
        return "over"

    def pause(self) -> None:
        """The caller does not read: hold what it is told, in no more room than one place for each method."""
        self._paused = True

    def resume(self) -> None:
        """Tell it what it has missed."""
        self._paused = False
        missed, self._missed = self._missed, {}
        for method in missed:
            self.tell(method)


class Feed:
    """What is heard of one server (ports.CallerEvents). Mutable: who listens, the stream, the next one."""

    def __init__(self, peer: Peer, place: Place, asker: Asker) -> None:
        self.peer: Final = peer
        self.place: Final = place
        self.principal: Final = asker.principal
        self.request: Final = asker.request
        self.listeners: dict[Listening, None] = {}
        self.conversation: Conversation | None = None
        self.asked_s = -inf
        self._exchange: UpstreamExchange | None = None
        self._cutter: EventCutter | None = None
        self._again_s = 0.0

    def look(self, now_s: float) -> None:
        """Listen while anybody does, and no longer."""
        if not self.listeners:
            self._hang_up()
        elif self._exchange is None and now_s >= self._again_s and self.peer.conversation is not None:
            self._again_s = now_s + _PATIENCE_S
            self.conversation = self.peer.conversation
            self._exchange = self.place.port.begin(self._outbound(), self)

    def move_to(self, other: "Feed") -> None:
        """Have those who listen here listen there."""
        for listening in tuple(self.listeners):
            listening.join(other)
        self.listeners.clear()
        self._hang_up()

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Tell what the server says."""
        if head is not None:
            told = head.status == _OK and content_type(head.headers) == EVENT_STREAM and not has_coding(head.headers)
            self._cutter = EventCutter(_EVENT_BYTES_MAX) if told else None
            if head.status == _MISSING and self.conversation is not None:
                self.peer.forget(self.conversation)
        try:
            for event in () if self._cutter is None else self._cutter.feed(piece):
                self._tell(data_of(event))
        except UpstreamTorn:
            complete = True
        if complete or self._cutter is None:
            self._hang_up()

    def failed(self, error: UpstreamError, written: bool) -> None:  # noqa: ARG002 - the port has both
        """Nothing more comes of this stream; another one is asked for in a while."""
        self._exchange = None

    def _tell(self, data: bytes) -> None:
        members = find_members(data) if data else None
        method = None if members is None else find_text(members.get("method"))
        if method == _TOOLS:
            self.peer.stale_tools()
        if method is not None and method in _KINDS:
            for listening in tuple(self.listeners):
                listening.tell(method)

    def _hang_up(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort()

    def _outbound(self) -> Outbound:
        conversation = self.peer.conversation
        assert conversation is not None, "nobody listens to a server that is not known"
        if conversation.era == "legacy":
            lines = b"Accept: text/event-stream\r\n" + session_lines(conversation)
            return Outbound("mcp", b"GET", b"", lines, b"")
        wanted = dict.fromkeys(_KINDS.values(), True)
        meta = {VERSION_KEY: STATELESS[0], CLIENT_KEY: {"name": "jotgate", "version": "1"}, CAPABILITIES_KEY: {}}
        params = {"_meta": meta, "notifications": wanted}
        body = _encode({"jsonrpc": "2.0", "id": self.peer.next_id(), "method": LISTEN, "params": params})
        lines = b"Accept: application/json, text/event-stream\r\n" + stateless_lines(LISTEN)
        return Outbound("mcp", b"POST", b"", lines, body)


class News:
    """Those of one worker. Mutable: the feeds, by the server's name."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._feeds: dict[str, Feed] = {}

    def listen(self, talk: Talk, others: Iterable[Talk] = ()) -> Running:
        """Open a stream of what is news of a message's server, and of those of others."""
        wants = frozenset(_KINDS) if talk.era == "legacy" else _wanted(talk.message.params.get("notifications"))
        listening = Listening(wants, talk.message.id)
        for one in (talk, *others):
            listening.join(self._feed(one))
        rules = talk.opened.world.snapshot.mcp
        plan = Plan(b"", b"", b"", talk.identity, waits=True, keep_alive_s=rules.keep_alive_s)
        call = call_of(talk.opened, talk.server, talk.allowed)
        relay = McpRelay(call, talk.caller, self._means.clock, settle=self._means.hub.settle, plan=plan)
        place = Place(Upstream(talk.server.upstream, "mcp"), talk.place.port)  # It takes no place of a call there.
        place.standing.running += 1
        relay.attempted(place, listening)
        self._means.hub.take(relay)
        listening.relay = relay
        relay.received(_STREAM, _acknowledged(listening), False)
        self.look()
        return relay

    def look(self) -> None:
        """Ask for streams that are wanted, and end the others. Called a few times a second."""
        now_s = self._means.clock.monotonic_s()
        for name, feed in tuple(self._feeds.items()):
            if feed.peer.conversation is None and now_s - feed.asked_s >= _KNOW_S:
                feed.asked_s = now_s
                self._means.spawn(_know(feed))
            feed.look(now_s)
            if not feed.listeners:
                del self._feeds[name]

    def _feed(self, talk: Talk) -> Feed:
        key = talk.server.name
        if talk.server.of_callers:  # What one's credential lets hear is for nobody else.
            key = f"{key} {talk.opened.principal.issuer} {talk.opened.principal.subject}"
        found = self._feeds.get(key)
        if found is not None and found.peer is talk.peer:
            return found
        feed = self._feeds[key] = Feed(talk.peer, talk.place, talk.asker)
        if found is not None:  # The server is set up anew.
            found.move_to(feed)
        return feed


async def _know(feed: Feed) -> None:
    try:
        await feed.peer.converse(feed.place, Asker(feed.principal, feed.request))
    except UpstreamError:
        return  # Whoever calls its tools is told; it is asked again in a while.


def _wanted(raw: Raw | None) -> frozenset[str]:
    """What a filter asks for, of what can be told here."""
    asked = find_members(raw) or {}
    return frozenset(method for method, member in _KINDS.items() if bytes(asked.get(member, b"")) == b"true")


def _acknowledged(listening: Listening) -> bytes:
    """The first event of a stream of the stateless revision; nothing in the older era."""
    if listening.subscription is None:
        return b""
    params = {
        "_meta": {SUBSCRIPTION_KEY: listening.subscription},
        "notifications": {member: True for method, member in _KINDS.items() if method in listening.wants},
    }
    message = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}
    return event_of(_encode(message))
