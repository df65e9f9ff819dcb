"""Any OpenAI-compatible HTTP API as an upstream: `base_url` plus the operation's path, with its own credential."""

import asyncio
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.routes import HEALTH, Upstream
from jotgate.ports import UpstreamEvents
from jotgate.upstreams.transport import Endpoint, Exchange, Pool
from jotgate.upstreams.tunnel import proxy_lines

_PATHS: Final = {
    "chat.completions": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}


class OpenAIUpstream:
    """Sends calls to one upstream (ports.UpstreamPort)."""

    def __init__(
        self, upstream: Upstream, loop: asyncio.AbstractEventLoop, roots: ssl.SSLContext | None = None
    ) -> None:
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
        self._heads[HEALTH] = f"GET {origin}{upstream.health.path} HTTP/1.1\r\n{fixed}".encode("latin-1")

    def begin_with(self, line: bytes, outbound: Outbound, events: UpstreamEvents) -> Exchange:
        """Send the call with one more header line."""
        body = outbound.body
        head = self._heads[outbound.operation]
        request = b"%b%b%bContent-Length: %d\r\n\r\n%b" % (head, line, outbound.lines, len(body), body)
        return self.pool.begin(request, events)

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> Exchange:
        """Send the call."""
        body = outbound.body
        request = b"%b%bContent-Length: %d\r\n\r\n%b" % (
            self._heads[outbound.operation],
            outbound.lines,
            len(body),
            body,
        )
        return self.pool.begin(request, events)


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
