"""The control process as an upstream of the edge, over the Unix socket that the supervisor made for it."""

import asyncio

from jotgate.core.calls import Outbound
from jotgate.ports import UpstreamEvents
from jotgate.upstreams.transport import Endpoint, Exchange, Pool


class ControlUpstream:
    """Sends requests to control as they were read (ports.UpstreamPort)."""

    def __init__(self, unix_path: str, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = Pool(Endpoint(unix_path=unix_path), loop)

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> Exchange:
        """Send the request."""
        body = outbound.body
        request = b"%b %b HTTP/1.1\r\nHost: control\r\n%bContent-Length: %d\r\n\r\n%b" % (
            outbound.method,
            outbound.target,
            outbound.lines,
            len(body),
            body,
        )
        return self.pool.begin(request, events)
