"""Through an HTTP proxy, with TLS behind it or without; and whom TLS is spoken with, straight or through."""

import asyncio
from pathlib import Path

import pytest

from jotgate.core.routes import Reach, Upstream
from jotgate.core.values import Secret
from jotgate.errors import UpstreamUnavailable
from jotgate.testing.certificates import Authority
from jotgate.testing.upstream import UpstreamServer, unary
from jotgate.upstreams.openai import OpenAIUpstream
from tests.loops import on_loop
from tests.proxies import ProxyServer
from tests.ways import PASSWORD, ask, server_side, through, trusting


@on_loop
async def test_a_plain_request_through_a_proxy_names_its_whole_url() -> None:
    async with UpstreamServer(unary(b"{}")) as server, ProxyServer(PASSWORD) as proxy:
        upstream = Upstream("u", "openai", server.base_url, Secret("sk"), reach=through(proxy, "user:pass"))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        assert (await ask(port)).body == b"{}"
        (request,) = server.requests
        assert request.target == f"{server.base_url}/embeddings"
        assert request.headers["host"] == f"127.0.0.1:{server.port}"
        assert proxy.heads[0].startswith(f"POST {server.base_url}/embeddings HTTP/1.1\r\n".encode())


@on_loop
async def test_tls_through_a_proxy_shows_it_nothing_but_the_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    origin = UpstreamServer(unary(b"1"), unary(b"2"), tls=server_side(authority))
    async with origin as server, ProxyServer(PASSWORD) as proxy:
        upstream = Upstream("u", "openai", server.base_url, Secret("sk-hush"), reach=through(proxy, "user:pass"))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop(), trusting(authority))
        assert [(await ask(port)).body for _ in range(2)] == [b"1", b"2"]
        assert [request.target for request in server.requests] == ["/v1/embeddings"] * 2
        assert [request.connection for request in server.requests] == [0, 0]
        assert "proxy-authorization" not in server.requests[0].headers
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: 127.0.0.1:".encode())
        assert b"hush" not in head + proxy.piped
        port.pool.retire()
        await server.until_connections(0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 No\r\n\r\n", "with 403"),
        (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 502 No\r\n\r\n", "with 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "went on to speak before TLS"),
        (b"SSH-2.0-x\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 2x0\r\n\r\n", "not HTTP/1.1"),
        (b"x" * 20_000, "a head that does not end"),
    ],
)
@on_loop
async def test_a_proxy_that_opens_no_tunnel_is_an_upstream_that_never_saw_the_call(answer: bytes, said: str) -> None:
    async with ProxyServer(answer=answer) as proxy:
        upstream = Upstream("u", "openai", "https://up.example/v1", reach=through(proxy), connect_timeout_s=5.0)
        ear = await ask(OpenAIUpstream(upstream, asyncio.get_running_loop()))
        assert isinstance(ear.error, UpstreamUnavailable)
        assert said in ear.error.debug
        assert ear.written is False


@on_loop
async def test_a_proxy_that_wants_a_password_and_gets_none_opens_no_tunnel() -> None:
    async with ProxyServer(PASSWORD) as proxy:
        upstream = Upstream("u", "openai", "https://up.example/v1", reach=through(proxy))
        ear = await ask(OpenAIUpstream(upstream, asyncio.get_running_loop()))
        assert ear.error is not None
        assert "407" in ear.error.debug


@on_loop
async def test_a_silent_proxy_is_given_up_in_time() -> None:
    async with ProxyServer(answer=b"HTTP/1.1 100 Wait\r\n\r\n") as proxy:
        upstream = Upstream("u", "openai", "https://up.example/v1", reach=through(proxy), connect_timeout_s=0.1)
        ear = await ask(OpenAIUpstream(upstream, asyncio.get_running_loop()))
        assert (type(ear.error), ear.written) == (UpstreamUnavailable, False)


@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("other.example",)])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("proxied", [True, False])
@on_loop
async def test_tls_is_spoken_with_those_alone_whom_the_roots_vouch_for(
    tmp_path: Path, hosts: tuple[str, ...], known: bool, proxied: bool
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    async with UpstreamServer(unary(b"{}"), tls=server_side(ours, *hosts)) as server, ProxyServer() as proxy:
        reach = through(proxy) if proxied else Reach()
        upstream = Upstream("u", "openai", server.base_url, Secret("sk"), reach=reach)
        port = OpenAIUpstream(upstream, asyncio.get_running_loop(), trusting(ours if known else theirs))
        ear = await ask(port)
        trusted = known and hosts == ("127.0.0.1",)
        assert (ear.body == b"{}") == trusted
        assert len(server.requests) == trusted
        assert ear.written is (None if trusted else False)
        port.pool.retire()
