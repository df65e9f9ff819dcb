"""Any OpenAI-compatible HTTP API as an upstream: `base_url` plus the operation's path, with its own credential."""

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.routes import Upstream
from jotgate.ports import UpstreamEvents
from jotgate.upstreams.transport import Endpoint, Exchange, Pool

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
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        host = parts.hostname or ""
        self.pool = Pool(Endpoint(host, port, tls=tls, connect_timeout_s=upstream.connect_timeout_s), loop, roots)
        credential = upstream.credential
        authorization = f"Authorization: Bearer {credential.reveal()}\r\n" if credential is not None else ""
        fixed = (
            f"Host: {parts.netloc.rpartition('@')[2]}\r\n{authorization}User-Agent: jotgate/{__version__}\r\n"
            "Content-Type: application/json\r\n"
        )
        prefix = parts.path.rstrip("/")
        self._heads = {
            operation: f"POST {prefix}{path} HTTP/1.1\r\n{fixed}".encode("latin-1")
            for operation, path in _PATHS.items()
        }

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
