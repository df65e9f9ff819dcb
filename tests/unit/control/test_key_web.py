"""Documents of other issuers over a real network: bounded in time and size, and from nowhere but where they may be."""

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from jotgate.control.key_web import BYTES_MAX, KeyWeb, read_max_age_s
from jotgate.core.key_fetches import Failed, Get, Got, Unchanged
from jotgate.core.reach import Way
from jotgate.testing.certificates import Authority
from jotgate.testing.issuer_server import JWKS_PATH, IssuerServer
from jotgate.testing.upstream import Answer, End, Gate, Pause, chunked, torn, unary, until_close

pytestmark = pytest.mark.anyio
_LONG_S = 10.0
_HERE = Way("loopback", secure=False)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[IssuerServer]:
    async with IssuerServer() as running:
        yield running


async def get(
    url: str, *, timeout_s: float = _LONG_S, etag: str = "", led_by: Way | None = None, roots: str = ""
) -> Got | Unchanged | Failed:
    return await KeyWeb().get(Get(url, timeout_s, etag=etag, led_by=led_by, roots=roots))


async def failure(url: str, timeout_s: float = _LONG_S) -> str:
    got = await get(url, timeout_s=timeout_s)
    assert isinstance(got, Failed), got
    return got.reason


async def scripted(server: IssuerServer, answer: Answer, timeout_s: float = _LONG_S) -> str:
    server.answers[JWKS_PATH] = answer
    return await failure(server.jwks_url, timeout_s)


async def test_a_set_comes_with_its_validators_and_what_is_left_of_its_freshness(server: IssuerServer) -> None:
    server.tags = True
    server.lines = (b"Cache-Control: public, max-age=600", b"Age: 100", b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT")
    got = await get(server.jwks_url)
    assert isinstance(got, Got)
    assert (got.body, got.way, got.max_age_s) == (server.jwks(), _HERE, 500.0)
    assert got.modified == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert await get(server.jwks_url, etag=got.etag) == Unchanged(500.0)
    server.rotate()
    assert isinstance(await get(server.jwks_url, etag=got.etag), Got)


async def test_the_request_carries_nothing_but_what_it_needs(
    server: IssuerServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.lines = (b"Set-Cookie: id=1",)
    web = KeyWeb()
    for _ in range(2):
        assert isinstance(await web.get(Get(server.jwks_url, _LONG_S, modified="Mon, 01 Jan 2024 00:00:00 GMT")), Got)
    for request in server.requests:
        assert request.headers == {
            "host": f"127.0.0.1:{server.port}",
            "accept": "application/jwk-set+json, application/json",
            "accept-encoding": "identity",
            "cache-control": "no-cache",
            "connection": "close",
            "user-agent": "jotgate",
            "if-modified-since": "Mon, 01 Jan 2024 00:00:00 GMT",
        }


@pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 404, 500, 503])
async def test_another_status_is_told(server: IssuerServer, status: int) -> None:
    body = b"" if status in (204, 304) else b"{}"
    assert f"answered {status}" in await scripted(server, unary(body, status))


async def test_what_is_too_large_is_not_read_to_its_end(server: IssuerServer) -> None:
    announced: Answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", Gate()]
    assert "104857600 bytes" in await scripted(server, announced)
    endless = chunked(*[b" " * 65_536] * 5, Gate())
    assert f"more than {BYTES_MAX} bytes" in await scripted(server, endless)
    unframed = until_close(*[b" " * 65_536] * 5, Gate())
    assert f"more than {BYTES_MAX} bytes" in await scripted(server, unframed)


async def test_the_largest_that_is_taken(server: IssuerServer) -> None:
    server.answers[JWKS_PATH] = unary(b"{" + b" " * (BYTES_MAX - 2) + b"}")
    got = await get(server.jwks_url)
    assert isinstance(got, Got)
    assert len(got.body) == BYTES_MAX


async def test_compressed_content_is_refused_unopened(server: IssuerServer) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert "Content-Encoding" in await scripted(server, unary(bomb, 200, b"Content-Encoding: gzip"))


async def test_a_slow_drip_ends_with_the_time_for_all_of_it(server: IssuerServer) -> None:
    drip = [step for _ in range(200) for step in (b" ", Pause(0.02))]
    for head in ([b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"], [b"HTTP/1.1 200 OK\r\nX:"]):
        reason = await scripted(server, [*head, *drip], timeout_s=0.3)
        assert "took longer than it may, 0.3 s" in reason
    silence: Answer = [Gate()]
    assert "took longer" in await scripted(server, silence, timeout_s=0.1)


@pytest.mark.parametrize(
    "answer",
    [
        torn(b"{}", 5),
        [b"SSH-2.0-OpenSSH\r\n", End()],
        [End()],
        [End("reset")],
        [b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", End()],
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000, End()],
    ],
)
async def test_what_is_no_whole_answer_in_http_is_told(server: IssuerServer, answer: Answer) -> None:
    assert "cannot be had" in await scripted(server, answer)


async def test_nobody_there(server: IssuerServer) -> None:
    await server.refuse()
    assert "cannot be had" in await failure(server.jwks_url)
    assert "cannot be resolved" in await failure("https://nowhere.invalid/keys")


def redirect(to: str, status: int = 302) -> Answer:
    return unary(b"", status, b"Location: " + to.encode())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(server: IssuerServer, status: int) -> None:
    server.answers["/old"] = redirect("/keys", status)
    assert isinstance(await get(server.origin + "/old"), Got)


async def test_redirects_end(server: IssuerServer) -> None:
    for hop in range(3):
        server.answers[f"/{hop}"] = redirect(f"/{hop + 1}")
    server.answers["/3"] = unary(b"{}")
    assert isinstance(await get(server.origin + "/0"), Got)
    server.answers["/3"] = redirect("/0")
    before = len(server.requests)
    assert "redirects more than 3 times" in await failure(server.origin + "/0")
    assert len(server.requests) - before == 4


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("file:///etc/passwd", "no https URL"),
        ("ftp://127.0.0.1/", "no https URL"),
        ("http://idp.example/", "not https"),
        ("https://user:pw@idp.example/", "user name"),
        ("https://169.254.169.254/latest/meta-data/", "no address that may be asked"),
        ("https://[fe80::1]/", "no address that may be asked"),
        ("https://0x7f000001/", "no address that may be asked|cannot be resolved"),
        ("https://2130706433/", "no address that may be asked|cannot be resolved"),
        ("https://[::ffff:127.0.0.1]/", "no address that may be asked"),
    ],
)
async def test_a_redirect_to_where_nothing_may_be_asked_is_refused(server: IssuerServer, to: str, why: str) -> None:
    server.answers["/old"] = redirect(to)
    reason = await failure(server.origin + "/old")
    assert any(one in reason for one in why.split("|")), reason


async def test_who_stands_further_out_leads_nowhere_further_in(server: IssuerServer) -> None:
    for way in (Way("public", True), Way("private", True), Way("loopback", True)):
        got = await get(server.jwks_url, led_by=way)
        assert isinstance(got, Failed)
        assert "was named by" in got.reason
    assert not server.requests
    assert isinstance(await get(server.jwks_url, led_by=_HERE), Got)


async def test_ipv6() -> None:
    async with IssuerServer(host="::1") as server:
        got = await get(server.jwks_url)
        assert isinstance(got, Got)
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


def serving(authority: Authority, *hosts: str) -> ssl.SSLContext:
    pair = authority.issue("server", hosts=hosts)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    return context


async def test_tls_with_roots_of_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    roots = authority.root.read_text()
    async with AsyncExitStack() as stack:
        by_address = await stack.enter_async_context(IssuerServer(tls=serving(authority, "127.0.0.1")))
        by_name = await stack.enter_async_context(IssuerServer(tls=serving(authority, "localhost")))
        other = await stack.enter_async_context(IssuerServer(tls=serving(authority, "idp.example")))
        got = await get(by_address.jwks_url, roots=roots)
        assert isinstance(got, Got)
        assert got.way == Way("loopback", secure=True)
        named = by_name.jwks_url.replace("127.0.0.1", "localhost")
        assert isinstance(await get(named, roots=roots), Got)
        # The certificate is that of the name in the URL, though the connection goes to an address.
        for url in (by_name.jwks_url, other.jwks_url, other.jwks_url.replace("127.0.0.1", "localhost")):
            got = await get(url, roots=roots)
            assert isinstance(got, Failed)
            assert "CERTIFICATE_VERIFY_FAILED" in got.reason
        assert not other.requests
        got = await get(by_address.jwks_url)
        assert isinstance(got, Failed), "the machine does not trust it"
        assert "CERTIFICATE_VERIFY_FAILED" in got.reason


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_an_old_tls_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = serving(authority, "127.0.0.1")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with IssuerServer(tls=context) as server:
        got = await get(server.jwks_url, roots=authority.root.read_text())
        assert isinstance(got, Failed)
        assert not server.requests


async def test_roots_that_are_none_are_told(server: IssuerServer) -> None:
    url = server.jwks_url.replace("http:", "https:")
    got = await get(url, roots="no certificates")
    assert isinstance(got, Failed)
    assert "roots" in got.reason


async def test_a_redirect_out_of_tls_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with IssuerServer() as plain, IssuerServer(tls=serving(authority, "127.0.0.1")) as secure:
        secure.answers["/old"] = redirect(plain.jwks_url)
        got = await get(secure.origin + "/old", roots=authority.root.read_text())
        assert isinstance(got, Failed)
        assert not plain.requests
        plain.answers["/old"] = redirect(secure.jwks_url)
        got = await get(plain.origin + "/old", roots=authority.root.read_text())
        assert isinstance(got, Got), "into it is good"


@pytest.mark.parametrize(
    ("lines", "left_s"),
    [
        ({}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "public, Max-Age=60"}, 60.0),
        ({"cache-control": 'max-age="60"'}, 60.0),
        ({"cache-control": "max-age=60", "age": "70"}, 0.0),
        ({"cache-control": "max-age=60", "age": "-5"}, 60.0),
        ({"cache-control": "max-age=-1"}, None),
        ({"cache-control": "max-age=" + "9" * 5_000}, None),
        ({"cache-control": "max-age=60, no-store"}, 0.0),
        ({"cache-control": "no-cache"}, 0.0),
    ],
)
def test_freshness(lines: dict[str, str], left_s: float | None) -> None:
    assert read_max_age_s(lines) == left_s


async def test_many_at_once_do_not_disturb_one_another(server: IssuerServer) -> None:
    web = KeyWeb()
    got = await asyncio.gather(*(web.get(Get(server.jwks_url, _LONG_S)) for _ in range(20)))
    assert {json.loads(one.body)["keys"][0]["kid"] for one in got if isinstance(one, Got)} == {server.key.kid}
    assert len(got) == server.key_fetches == 20


class Names:
    """What names resolve to: one answer after the other, the last one for ever."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)
        self.asked = 0

    def getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        """What the operating system's resolver says."""
        self.asked += 1
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


PUBLIC = Way("public", secure=True)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "0.0.0.0", "::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"],  # noqa: S104
)
async def test_a_name_that_leads_inward_is_refused_when_it_is_given_and_when_it_is_fetched(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names((address,)).getaddrinfo)
    assert "is refused" in await KeyWeb().look_up("https://idp.example/")
    got = await get("https://idp.example/keys", led_by=PUBLIC)
    assert isinstance(got, Failed)


async def test_a_name_whose_answer_changes_behind_the_check_is_refused_at_the_fetch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(("8.8.8.8",), ("127.0.0.1",))
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    web = KeyWeb()
    assert await web.look_up("https://rebind.example/") == ""
    got = await web.get(Get("https://rebind.example/keys", _LONG_S, led_by=PUBLIC))
    assert isinstance(got, Failed)
    assert "no address that may be asked" in got.reason
    assert names.asked == 2


async def test_a_public_name_is_looked_up_and_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(("8.8.8.8", "10.0.0.1")).getaddrinfo)
    assert await KeyWeb().look_up("https://idp.example/") == ""
    assert "is refused" in await KeyWeb().look_up("https://idp.example:99999/")


async def test_a_name_that_resolves_to_nothing_is_refused() -> None:
    assert "cannot be resolved" in await KeyWeb().look_up("https://nowhere.invalid/")
