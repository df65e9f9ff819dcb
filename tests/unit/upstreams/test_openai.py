"""What an OpenAI-compatible upstream is sent: its own name for everything, and its own credential."""

import asyncio

import pytest

from jotgate import __version__
from jotgate.core.calls import Outbound
from jotgate.core.routes import Upstream
from jotgate.core.values import Secret
from jotgate.testing.upstream import UpstreamServer, unary
from jotgate.upstreams.openai import OpenAIUpstream
from tests.ears import Ear
from tests.loops import on_loop

BODY = b'{"model":"m"}'


def outbound(operation: str = "chat.completions") -> Outbound:
    return Outbound(operation, b"POST", b"/as/the/caller/wrote", b"X-Request-Id: r\r\naccept: a/b\r\n", BODY)


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("chat.completions", "/v1/chat/completions"),
        ("completions", "/v1/completions"),
        ("embeddings", "/v1/embeddings"),
    ],
)
@on_loop
async def test_the_request_is_the_upstreams_own(operation: str, path: str) -> None:
    async with UpstreamServer(unary(b"{}")) as server:
        upstream = Upstream("u", "openai", server.base_url, Secret("sk-1"))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        ear = Ear()
        port.begin(outbound(operation), ear)
        await ear.until_over()
        (request,) = server.requests
        assert (
            request.raw
            == (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer sk-1\r\n"
                f"User-Agent: jotgate/{__version__}\r\nContent-Type: application/json\r\n"
                "X-Request-Id: r\r\naccept: a/b\r\nContent-Length: 13\r\n\r\n"
            ).encode()
            + BODY
        )
        port.pool.retire()


@pytest.mark.parametrize(("suffix", "path"), [("", "/embeddings"), ("/", "/embeddings"), ("/a/b/", "/a/b/embeddings")])
@on_loop
async def test_the_prefix_of_the_base_url_is_kept(suffix: str, path: str) -> None:
    async with UpstreamServer(unary(b"{}")) as server:
        upstream = Upstream("u", "openai", f"http://127.0.0.1:{server.port}{suffix}")
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        ear = Ear()
        port.begin(outbound("embeddings"), ear)
        await ear.until_over()
        assert server.requests[0].target == path
        assert "authorization" not in server.requests[0].headers
        port.pool.retire()


@pytest.mark.parametrize(
    ("base_url", "host", "port", "tls", "named"),
    [
        ("http://up.example/v1", "up.example", 80, False, "up.example"),
        ("https://up.example/v1", "up.example", 443, True, "up.example"),
        ("https://up.example:8443", "up.example", 8443, True, "up.example:8443"),
        ("http://[::1]:9/v1", "::1", 9, False, "[::1]:9"),
    ],
)
@on_loop
async def test_the_base_url_says_where_to_connect(base_url: str, host: str, port: int, tls: bool, named: str) -> None:
    upstream = Upstream("u", "openai", base_url, connect_timeout_s=3.0)
    openai = OpenAIUpstream(upstream, asyncio.get_running_loop())
    endpoint = openai.pool._endpoint
    assert (endpoint.host, endpoint.port, endpoint.tls, endpoint.connect_timeout_s) == (host, port, tls, 3.0)
    assert all(f"\r\nHost: {named}\r\n".encode() in head for head in openai._heads.values())
