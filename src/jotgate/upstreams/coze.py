"""Coze as an upstream: chats with bots and runs of workflows, told in the shapes of OpenAI."""

import asyncio
import ssl
from urllib.parse import urlsplit

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.coze_asks import ChatAsk, read_ask
from jotgate.core.routes import HEALTH, Upstream
from jotgate.errors import RequestMalformed, UpstreamError, UpstreamUnavailable
from jotgate.ports import CallerEvents, Stopping, UpstreamEvents, UpstreamExchange
from jotgate.upstreams.coze_call import Connections, Line
from jotgate.upstreams.coze_chat_starts import make_chat
from jotgate.upstreams.coze_modes import Mode, Room
from jotgate.upstreams.coze_run import CozeRun, Matter, declined
from jotgate.upstreams.coze_runs import CozeRuns
from jotgate.upstreams.coze_workflow import WorkflowMode
from jotgate.upstreams.credential_sources import Credentials, credentials_of
from jotgate.upstreams.credentials import UpstreamTokens
from jotgate.upstreams.openai import endpoint_of
from jotgate.upstreams.transport import Pool
from jotgate.upstreams.tunnel import proxy_lines


class CozeUpstream:
    """Sends calls to Coze (ports.UpstreamPort)."""

    def __init__(
        self,
        upstream: Upstream,
        runs: CozeRuns,
        connections: Connections,
        credentials: Credentials,
    ) -> None:
        parts = urlsplit(upstream.base_url)
        authority = parts.netloc.rpartition("@")[2]
        proxy = upstream.reach.proxy if parts.scheme == "http" else None
        # Through a proxy a plain request names its whole URL (RFC 9112 s3.2.2).
        origin = f"http://{authority}" if proxy else ""
        fixed = f"Host: {authority}\r\n{proxy_lines(proxy) if proxy else ''}User-Agent: jotgate/{__version__}\r\n"
        self._line = Line(
            upstream=upstream.name,
            connections=connections,
            credentials=credentials,
            prefix=origin + parts.path.rstrip("/"),
            head=fixed,
            first_byte_s=upstream.first_byte_timeout_s,
            idle_s=upstream.idle_timeout_s,
        )
        self._upstream = upstream
        self._runs = runs
        self._health = f"GET {origin}{upstream.health.path} HTTP/1.1\r\n{fixed}Content-Length: 0\r\n\r\n"

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> UpstreamExchange:
        """Answer a call; what comes of it is told from a coming turn of the loop on."""
        if outbound.operation == HEALTH:
            return self._line.connections.begin(self._health.encode("latin-1"), events)
        ask: ChatAsk | RequestMalformed
        try:
            ask = read_ask(outbound.operation, outbound.body)
        except RequestMalformed as fault:
            ask = fault
        if isinstance(ask, RequestMalformed) or not isinstance(events, CallerEvents):
            return self._told(ask, events)
        matter = Matter(
            upstream=self._upstream,
            line=self._line,
            make=make_mode,
            ask=ask,
            principal=events.principal,
            request=events.request,
        )
        run = CozeRun(matter, events, self._runs)
        self._runs.live.add(run)
        self._runs.soon(run.start)
        return run

    def _told(self, ask: ChatAsk | RequestMalformed, events: UpstreamEvents) -> UpstreamExchange:
        fault: RequestMalformed | UpstreamError
        if isinstance(ask, RequestMalformed):
            fault = ask
        else:
            fault = UpstreamUnavailable("Coze is asked for callers alone, and nobody knows whose call this is")
        told = _Told(fault, events)
        self._runs.soon(told.tell)
        return told


class _Told:
    """A call that goes no further (ports.UpstreamExchange). Mutable: who is to be told."""

    written = False

    def __init__(self, fault: RequestMalformed | UpstreamError, events: UpstreamEvents) -> None:
        self._fault = fault
        self._events: UpstreamEvents | None = events

    def tell(self) -> None:
        """Say it."""
        events, self._events = self._events, None
        if events is None:
            return
        if isinstance(self._fault, UpstreamError):
            events.failed(self._fault, False)
        else:
            events.received(*declined(self._fault), True)

    def abort(self) -> None:
        """Nobody wants to know."""
        self._events = None

    def stop(self) -> Stopping:
        """Nothing is under way."""
        self.abort()
        return "over"

    def pause(self) -> None:
        """It is told at once."""

    def resume(self) -> None:
        """It is told at once."""


def make_mode(room: Room) -> Mode:
    """The mode that a call asks for. Raises RequestMalformed."""
    return WorkflowMode(room) if room.aim.mode == "workflow" else make_chat(room)


def reach_coze(
    upstream: Upstream,
    runs: CozeRuns,
    tokens: UpstreamTokens,
    loop: asyncio.AbstractEventLoop,
    roots: ssl.SSLContext | None = None,
) -> tuple[CozeUpstream, Pool]:
    """The upstream over the network, and its connections."""
    pool = Pool(endpoint_of(upstream, urlsplit(upstream.base_url)), loop, roots)
    return CozeUpstream(upstream, runs, pool, credentials_of(upstream, tokens, runs.clock)), pool
