"""What an OpenAI-compatible upstream is sent to find out how it is."""

import asyncio

from jotgate.core.calls import Outbound
from jotgate.core.routes import HEALTH, HealthCheck, Upstream
from jotgate.core.values import Secret
from jotgate.testing.upstream import UpstreamServer, unary
from jotgate.upstreams.openai import OpenAIUpstream
from tests.loops import on_loop
from tests.ways import ask


@on_loop
async def test_a_health_check_is_a_get_of_its_path_on_the_same_host() -> None:
    async with UpstreamServer(unary(b"{}")) as server:
        upstream = Upstream("u", "openai", server.base_url, Secret("sk"), health=HealthCheck("/health?deep=1"))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        await ask(port, Outbound(HEALTH, b"GET", b"", b"", b""))
        (request,) = server.requests
        assert request.head.startswith(b"GET /health?deep=1 HTTP/1.1\r\n")
        assert request.headers["authorization"] == "Bearer sk"
        assert "content-type" not in request.headers
