"""Any OpenAI-compatible HTTP API as an upstream: `base_url` plus the operation's path, with its own credential."""

import asyncio
import ssl
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.routes import HEALTH, Upstream
from jotgate.ports import Entropy, UpstreamEvents, UpstreamExchange
from jotgate.socket_ports import SocketAsker
from jotgate.upstreams.sockets import ClientSocket
from jotgate.upstreams.transport import Endpoint, Pool
from jotgate.upstreams.tunnel import proxy_lines

_PATHS: Final = {
    "chat.completions": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}
_SOCKETS: Final = {"realtime": "/realtime?model=", "responses": "/responses"}


class OpenAIUpstream:
    """Sends calls to one upstream (ports.UpstreamPort)."""

    def __init__(
        self,
        upstream: Upstream,
        loop: asyncio.AbstractEventLoop,
        roots: ssl.SSLContext | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        """`entropy` is what masks are made of that WebSockets need; None: no WebSocket is asked for."""
        parts = urlsplit(upstream.base_url)
        self.pool = Pool(endpoint_of(upstream, parts), loop, roots)
        proxy = upstream.reach.proxy
        authority = parts.netloc.rpartition("@")[2]
        plain_proxy = proxy if parts.scheme == "http" else None
        # Through a proxy a plain request names its whole URL (RFC 9112 s3.2.2).
        origin = f"http://{authority}" if plain_proxy else ""
        credential = upstream.credential
        # One of two, or a token, is put in by whoever begins the call (`credentialed`).
        fixed_credential = None if upstream.other_credential is not None else credential
        authorization = "" if fixed_credential is None else f"Authorization: Bearer {fixed_credential.reveal()}\r\n"
        fixed = (
            f"Host: {authority}\r\n{authorization}{proxy_lines(plain_proxy) if plain_proxy else ''}"
            f"User-Agent: jotgate/{__version__}\r\n"
        )
        prefix = origin + parts.path.rstrip("/")
        self._heads = {
            operation: f"POST {prefix}{path} HTTP/1.1\r\n{fixed}Content-Type: application/json\r\n".encode("latin-1")
            for operation, path in _PATHS.items()
        }
        self._entropy = entropy
        self._socket_heads = {
            operation: (f"GET {prefix}{path}".encode("latin-1"), f" HTTP/1.1\r\n{fixed}".encode("latin-1"))
            for operation, path in _SOCKETS.items()
        }
        self._heads[HEALTH] = f"GET {origin}{upstream.health.path} HTTP/1.1\r\n{fixed}".encode("latin-1")

    def begin_with(self, line: bytes, outbound: Outbound, events: UpstreamEvents) -> UpstreamExchange:
        """Send the call with one more header line."""
        if outbound.operation in _SOCKETS:
            return self._dial(line, outbound, events)
        body = outbound.body
        head = self._heads[outbound.operation]
        request = b"%b%b%bContent-Length: %d\r\n\r\n%b" % (head, line, outbound.lines, len(body), body)
        return self.pool.begin(request, events)

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> UpstreamExchange:
        """Send the call."""
        if outbound.operation in _SOCKETS:
            return self._dial(b"", outbound, events)
        body = outbound.body
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (
            self._heads[outbound.operation],
            outbound.lines,
            len(body),
            body,
        )
        return self.pool.begin(request, events)

    def _dial(self, line: bytes, outbound: Outbound, events: UpstreamEvents) -> ClientSocket:
        """Ask for a WebSocket, on a connection of its own."""
        assert self._entropy is not None, "whoever asks for WebSockets gives chance"
        assert isinstance(events, SocketAsker), "nobody else asks for one"
        before, behind = self._socket_heads[outbound.operation]
        model = quote(outbound.target, safe="").encode("ascii") if before.endswith(b"=") else b""
        head = before + model + behind + line + outbound.lines
        socket = ClientSocket(head, events, self._entropy)
        self.pool.dial(socket)
        return socket


def endpoint_of(upstream: Upstream, parts: SplitResult) -> Endpoint:
    """Where the connections to an upstream lead, whose base URL has these parts."""
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    proxy = upstream.reach.proxy
    address = (parts.hostname or "", port) if tls or proxy is None else (proxy.host, proxy.port)
    return Endpoint(
        *address,
        tls=tls,
        connect_timeout_s=upstream.connect_timeout_s,
        idle_connections=upstream.bounds.idle_connections,
        idle_s=upstream.bounds.idle_s,
        proxy=proxy if tls else None,
    )
