"""Token endpoints over a real network: sent what they need and no more, bounded in time and size, and told safely."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from jotgate.control.token_web import BYTES_MAX, TokenWeb
from jotgate.core.routes import Proxy, Reach
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.values import Secret
from jotgate.testing.certificates import Authority
from jotgate.testing.upstream import Answer, End, Gate, UpstreamServer, chunked, torn, unary
from tests.proxies import ProxyServer

pytestmark = pytest.mark.anyio
_SECRET = "hunter2-hunter2"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[UpstreamServer]:
    async with UpstreamServer() as running:
        yield running


def post_to(url: str, timeout_s: float = 10.0, reach: Reach = Reach()) -> Post:  # noqa: B008 - a frozen value
    return Post(url, "application/json", Secret(f'{{"x":"{_SECRET}"}}'), Secret(f"Bearer {_SECRET}"), timeout_s, reach)


async def failure(url: str, timeout_s: float = 10.0, reach: Reach | None = None) -> str:
    found = await TokenWeb().post(post_to(url, timeout_s, reach or Reach()))
    assert isinstance(found, Unanswered), found
    assert _SECRET not in found.reason
    return found.reason


async def test_a_post_carries_what_it_needs_and_nothing_of_the_environment(
    server: UpstreamServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.script.append(unary(b'{"access_token":"t"}', 200, b"Set-Cookie: id=1"))
    server.default = unary(b"{}", 429, b"Retry-After: 7")
    web = TokenWeb()
    first = await web.post(post_to(f"{server.origin}/token"))
    assert first == Answered(200, Secret('{"access_token":"t"}'))
    assert await web.post(post_to(f"{server.origin}/token")) == Answered(429, Secret("{}"), "7")
    body = f'{{"x":"{_SECRET}"}}'
    for request in server.requests:
        assert request.head.startswith(b"POST /token HTTP/1.1\r\n")
        assert request.body == body.encode()
        assert request.headers == {
            "host": f"127.0.0.1:{server.port}",
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
            "connection": "close",
            "user-agent": "jotgate",
            "authorization": f"Bearer {_SECRET}",
            "content-length": str(len(body)),
        }


async def test_a_record_is_asked_for_without_a_body_and_of_the_public_alone_where_that_is_said(
    server: UpstreamServer,
) -> None:
    asked = replace(post_to(f"{server.origin}/api/get-user?userId=1"), method="GET")
    assert isinstance(await TokenWeb().post(asked), Answered)
    (request,) = server.requests
    assert (request.head[:27], request.body) == (b"GET /api/get-user?userId=1 ", b"")
    assert request.headers.keys().isdisjoint({"content-type", "content-length", "transfer-encoding"})
    refused = await TokenWeb().post(replace(asked, public_only=True))
    assert isinstance(refused, Unanswered)
    assert len(server.requests) == 1


async def test_no_redirect_is_followed(server: UpstreamServer) -> None:
    server.default = unary(b"", 307, f"Location: {server.origin}/elsewhere".encode())
    found = await TokenWeb().post(post_to(f"{server.origin}/token"))
    assert isinstance(found, Answered)
    assert found.status == 307
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (unary(b"x" * (BYTES_MAX + 1)), "more than"),
        (unary(b"x", 200, b"Content-Encoding: gzip"), "Content-Encoding"),
        (torn(b"{}", 10), "RemoteProtocolError"),
        ([b"SSH-2.0-OpenSSH_9\r\n", End()], "RemoteProtocolError"),
        ([End("reset")], "ReadError"),
    ],
)
async def test_what_is_no_answer_is_told(server: UpstreamServer, answer: Answer, said: str) -> None:
    server.default = answer
    assert said in await failure(f"{server.origin}/token")


async def test_an_answer_has_so_much_time_in_all(server: UpstreamServer) -> None:
    server.default = chunked(b"{", Gate(), b"}")
    assert "took longer than it may, 0.2 s" in await failure(f"{server.origin}/token", 0.2)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://169.254.169.254/token", "metadata"),
        ("https://[fd00:ec2::254]/token", "metadata"),
        ("https://0.0.0.0/token", "metadata"),
        ("http://login.example/token", "not https"),
        ("https://user:pass@login.example/token", "user name"),
        ("https://no-such-name.invalid/token", "cannot be resolved"),
    ],
)
async def test_secrets_go_nowhere_but_where_they_may(url: str, said: str) -> None:
    assert said in await failure(url)


async def test_the_certificate_is_checked_for_the_name_by_the_roots_of_the_upstream(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.issue("server", hosts=("localhost",))
    context.load_cert_chain(pair.cert, pair.key)
    async with UpstreamServer(tls=context) as server:
        server.default = unary(b"{}")
        reach = Reach(roots=authority.root.read_text())
        url = f"https://localhost:{server.port}/token"
        assert await TokenWeb().post(post_to(url, reach=reach)) == Answered(200, Secret("{}"))
        assert "ConnectError" in await failure(url)
        assert "ConnectError" in await failure(f"https://127.0.0.1:{server.port}/token", reach=reach)
        assert "cannot be used" in await failure(url, reach=Reach(roots="no PEM"))


async def test_the_operators_proxy_is_gone_through(server: UpstreamServer) -> None:
    server.default = unary(b"{}")
    async with ProxyServer("Basic dXNlcjpwYXNz") as proxy:
        reach = Reach(Proxy("127.0.0.1", proxy.port, Secret("user:pass")))
        found = await TokenWeb().post(post_to(f"{server.origin}/token", reach=reach))
        assert found == Answered(200, Secret("{}"))
        assert len(proxy.heads) == 1
        refusing = Reach(Proxy("127.0.0.1", proxy.port, Secret("user:wrong")))
        answered = await TokenWeb().post(post_to(f"{server.origin}/token", reach=refusing))
        assert isinstance(answered, Answered)
        assert answered.status == 407
