"""The control process as an upstream of the edge, over the Unix socket that the supervisor made for it."""

import asyncio

from jotgate.core.calls import Outbound
from jotgate.ports import UpstreamEvents
from jotgate.upstreams.transport import Endpoint, Exchange, Pool


class ControlUpstream:
    """Sends requests to control as they were read (ports.UpstreamPort).

    HEAD is sent as GET, and the edge leaves the body out: the end of an answer to HEAD could be told from an answer to
    GET by its request alone, and this way its length is known too.
    """

    def __init__(self, unix_path: str, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = Pool(Endpoint(unix_path=unix_path), loop)

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> Exchange:
        """Send the request."""
        body = outbound.body
        request = b"%b %b HTTP/1.1\r\nHost: control\r\n%bContent-Length: %d\r\n\r\n%b" % (
            b"GET" if outbound.method == b"HEAD" else outbound.method,
            outbound.target,
            outbound.lines,
            len(body),
            body,
        )
        return self.pool.begin(request, events)
