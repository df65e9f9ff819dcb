"""The ways to an upstream: straight, through a proxy, and under roots of its own; and how many connections are kept."""

import asyncio
import ssl
from pathlib import Path

import pytest

from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.routes import HEALTH, Bounds, HealthCheck, Proxy, Reach, Upstream
from jotgate.core.values import Secret
from jotgate.errors import UpstreamError, UpstreamUnavailable
from jotgate.testing.certificates import Authority
from jotgate.testing.upstream import UpstreamServer, unary
from jotgate.upstreams.openai import OpenAIUpstream
from tests.loops import on_loop, until
from tests.proxies import ProxyServer

_CALL = Outbound("embeddings", b"POST", b"/", b"X-Request-Id: r\r\n", b"{}")
_PASSWORD = "Basic dXNlcjpwYXNz"


class _Ear:
    """Takes down what an upstream says."""

    def __init__(self) -> None:
        self.body = b""
        self.error: UpstreamError | None = None
        self.written: bool | None = None
        self.over = False

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        self.body += piece
        self.over = complete

    def failed(self, error: UpstreamError, written: bool) -> None:
        self.error, self.written, self.over = error, written, True


async def ask(port: OpenAIUpstream, outbound: Outbound = _CALL) -> _Ear:
    ear = _Ear()
    port.begin(outbound, ear)
    await until(lambda: ear.over)
    return ear


def through(proxy: ProxyServer, credential: str = "") -> Reach:
    return Reach(Proxy("127.0.0.1", proxy.port, Secret(credential) if credential else None))


def server_side(authority: Authority, *hosts: str) -> ssl.SSLContext:
    """The upstream's half of TLS."""
    pair = authority.issue("server", hosts=hosts or ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.root.read_text())


@on_loop
async def test_a_plain_request_through_a_proxy_names_its_whole_url() -> None:
    async with UpstreamServer(unary(b"{}")) as server, ProxyServer(_PASSWORD) as proxy:
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
    async with origin as server, ProxyServer(_PASSWORD) as proxy:
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
    async with ProxyServer(_PASSWORD) as proxy:
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


@pytest.mark.parametrize(("kept", "connections"), [(0, 3), (8, 1)])
@on_loop
async def test_so_many_idle_connections_are_kept(kept: int, connections: int) -> None:
    async with UpstreamServer(unary(b"1"), unary(b"2"), unary(b"3")) as server:
        upstream = Upstream("u", "openai", server.base_url, bounds=Bounds(idle_connections=kept))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        for _ in range(3):
            await ask(port)
        assert server.opened == connections
        port.pool.retire()


@pytest.mark.parametrize(("idle_s", "left"), [(0.0, 0), (60.0, 1)])
@on_loop
async def test_an_idle_connection_is_closed_in_its_time(idle_s: float, left: int) -> None:
    async with UpstreamServer(unary(b"1")) as server:
        upstream = Upstream("u", "openai", server.base_url, bounds=Bounds(idle_s=idle_s))
        port = OpenAIUpstream(upstream, asyncio.get_running_loop())
        await ask(port)
        port.pool.close_idle()
        await server.until_connections(left)
        port.pool.retire()
