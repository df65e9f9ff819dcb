"""What the control process is sent over its Unix socket."""

import asyncio

import pytest

from jotgate.core.calls import Outbound
from jotgate.testing.running import short_directory
from jotgate.testing.upstream import UpstreamServer, unary
from jotgate.upstreams.control import ControlUpstream
from tests.ears import Ear
from tests.loops import on_loop


@pytest.mark.parametrize(("method", "sent"), [(b"POST", b"POST"), (b"DELETE", b"DELETE"), (b"HEAD", b"GET")])
@on_loop
async def test_a_request_goes_on_as_it_was_read_and_head_as_get(method: bytes, sent: bytes) -> None:
    with short_directory() as directory:
        path = str(directory / "s")
        async with UpstreamServer(unary(b"whole"), unix_path=path) as server:
            control = ControlUpstream(path, asyncio.get_running_loop())
            ear = Ear()
            control.begin(Outbound("", method, b"/admin/x?y=%20", b"X-Jotgate-Peer: ::1\r\n", b"body"), ear)
            await ear.until_over()
            assert ear.body == b"whole"
            assert server.requests[0].raw == (
                sent
                + b" /admin/x?y=%20 HTTP/1.1\r\nHost: control\r\nX-Jotgate-Peer: ::1\r\nContent-Length: 4\r\n\r\nbody"
            )
            control.pool.retire()
