"""An MCP server as an upstream: one URL that takes POST, and GET and DELETE in the older era; or a child of control."""

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.mcp_children import child_path
from jotgate.core.routes import Upstream
from jotgate.core.tool_callers import with_caller
from jotgate.ports import CallerEvents, UpstreamEvents
from jotgate.upstreams.openai import endpoint_of
from jotgate.upstreams.transport import Endpoint, Exchange, Pool
from jotgate.upstreams.tunnel import proxy_lines

_BODILESS: Final = frozenset({b"GET", b"DELETE"})


class McpUpstream:
    """Sends messages to one server (ports.UpstreamPort). `control_path` is the socket of control's edge."""

    def __init__(
        self,
        upstream: Upstream,
        loop: asyncio.AbstractEventLoop,
        roots: ssl.SSLContext | None = None,
        control_path: str = "",
    ) -> None:
        if upstream.base_url:
            parts = urlsplit(upstream.base_url)
            authority = parts.netloc.rpartition("@")[2]
            proxy = upstream.reach.proxy if parts.scheme == "http" else None
            # Through a proxy a plain request names its whole URL (RFC 9112 s3.2.2).
            origin = f"http://{authority}" if proxy else ""
            target = origin + (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            endpoint = endpoint_of(upstream, parts)
            through = proxy_lines(proxy) if proxy else ""
        else:
            authority, through, target = "control", "", child_path(upstream.name)
            bounds = upstream.bounds
            endpoint = Endpoint(unix_path=control_path, idle_connections=bounds.idle_connections, idle_s=bounds.idle_s)
        self._tells_callers = upstream.tells_callers
        self.pool = Pool(endpoint, loop, roots)
        fixed_credential = None if upstream.exchanged else upstream.credential
        authorization = "" if fixed_credential is None else f"Authorization: Bearer {fixed_credential.reveal()}\r\n"
        fixed = f"Host: {authority}\r\n{authorization}{through}User-Agent: jotgate/{__version__}\r\n"
        self._heads = {
            method: f"{method.decode()} {target} HTTP/1.1\r\n{fixed}".encode("latin-1")
            for method in (b"POST", b"GET", b"DELETE")
        }

    def begin_with(self, line: bytes, outbound: Outbound, events: UpstreamEvents) -> Exchange:
        """Send the message with one more header line."""
        head, body = self._heads[outbound.method], outbound.body
        if self._tells_callers:
            body = with_caller(body, events.principal if isinstance(events, CallerEvents) else None)
        if outbound.method in _BODILESS:
            return self.pool.begin(b"%b%b%b\r\n" % (head, line, outbound.lines), events)
        request = b"%b%b%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            head,
            line,
            outbound.lines,
            len(body),
            body,
        )
        return self.pool.begin(request, events)

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> Exchange:
        """Send the message."""
        return self.begin_with(b"", outbound, events)
