"""Every bad request is answered with a 4xx, once, and the connection is closed behind it."""

import json

import pytest

from jotgate.core.snapshot import Limits
from tests.listening import SMALL, get, listening, post, post_chunked
from tests.loops import on_loop, until

_HOST = b"Host: gate\r\n"

MALFORMED = {
    "noise": b"\x00\x01\x02\xff\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "words": b"hello\r\n\r\n",
    "http2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /now\r\n\r\n",
    "http/0.9": b"GET /now HTTP/0.9\r\n" + _HOST + b"\r\n",
    "http/1.2": b"GET /now HTTP/1.2\r\n" + _HOST + b"\r\n",
    "rtsp": b"GET /now RTSP/1.1\r\n" + _HOST + b"\r\n",
    "rtsp behind empty lines": b"\r\n\r\nGET /now RTSP/1.1\r\n" + _HOST + b"\r\n",
    "rtsp in a field": b"GET /now RTSP/1.1\r\nX: GET /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "rtsp's own method": b"DESCRIBE /now RTSP/1.0\r\n\r\n",
    "icecast": b"SOURCE /now ICE/1.0\r\n\r\n",
    "line feeds before the line": b"\n\nGET /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a return before the line": b"\rGET /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "two spaces": b"GET  /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "http/2.0": b"GET /now HTTP/2.0\r\n" + _HOST + b"\r\n",
    "unknown method": b"STEAL /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "lower-case method": b"get /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "connect": b"CONNECT gate:443 HTTP/1.1\r\n" + _HOST + b"\r\n",
    "connect a path": b"CONNECT /now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "relative target": b"GET now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "host-less url": b"GET http:///now HTTP/1.1\r\n" + _HOST + b"\r\n",
    "no host": b"GET /now HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /now HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two hosts by case": b"GET /now HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n",
    "bare line feeds": b"GET /now HTTP/1.1\nHost: a\n\n",
    "space before colon": b"GET /now HTTP/1.1\r\nHost : a\r\n\r\n",
    "folded line": b"GET /now HTTP/1.1\r\n" + _HOST + b"X: a\r\n b\r\n\r\n",
    "line without colon": b"GET /now HTTP/1.1\r\n" + _HOST + b"nonsense\r\n\r\n",
    "empty name": b"GET /now HTTP/1.1\r\n" + _HOST + b": a\r\n\r\n",
    "null in value": b"GET /now HTTP/1.1\r\n" + _HOST + b"X: a\x00b\r\n\r\n",
    "return in value": b"GET /now HTTP/1.1\r\n" + _HOST + b"X: a\rb\r\n\r\n",
    "null in target": b"GET /n\x00w HTTP/1.1\r\n" + _HOST + b"\r\n",
    "octets in target": b"GET /n\xffw HTTP/1.1\r\n" + _HOST + b"\r\n",
    "length and coding": b"POST /now HTTP/1.1\r\n"
    + _HOST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": b"POST /now HTTP/1.1\r\n"
    + _HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "lengths in a list": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length: 1, 1\r\n\r\na",
    "signed length": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length: +1\r\n\r\na",
    "negative length": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length: -1\r\n\r\na",
    "hexadecimal length": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length: 0x1\r\n\r\na",
    "empty length": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length:\r\n\r\n",
    "endless length": b"POST /now HTTP/1.1\r\n" + _HOST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "coding in http/1.0": b"POST /now HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding fields": b"POST /now HTTP/1.1\r\n"
    + _HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
    "odd coding": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "tabbed coding": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "chunk size": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk size sign": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "chunk size overflow": b"POST /now HTTP/1.1\r\n"
    + _HOST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"f" * 17
    + b"\r\n",
    "chunk too long": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "chunk line feed": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    "bad trailer": b"POST /now HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n",
    "two ids": get(b"/now", b"X-Request-Id: a", b"X-Request-Id: b"),
    "two types": get(b"/now", b"Content-Type: a", b"Content-Type: b"),
}


@pytest.mark.parametrize("name", MALFORMED)
@on_loop
async def test_a_malformed_request_is_a_400_and_the_end(name: str) -> None:
    async with listening() as edge:
        client = await edge.connect()
        response = await client.send(MALFORMED[name]).answer()
        assert (response.status, response.closes) == (400, True)
        assert json.loads(response.body)["error"]["code"] == "request_malformed"
        client.send(get())  # whatever follows is not read as a request
        assert await client.closed()
        assert edge.application.answered == []
        assert len(edge.application.refused) == 1


@pytest.mark.parametrize("name", MALFORMED)
@on_loop
async def test_a_malformed_request_byte_by_byte_meets_the_same_end(name: str) -> None:
    async with listening() as edge:
        client = await edge.connect()
        await client.trickle(MALFORMED[name])
        response = await client.answer()
        assert (response.status, response.closes) == (400, True)
        assert await client.closed()
        assert edge.application.answered == []


@pytest.mark.parametrize("name", ["words", "two hosts", "length and coding", "chunk size", "connect", "rtsp"])
@on_loop
async def test_the_requests_before_a_malformed_one_are_answered_first(name: str) -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(get(b"/later") + post(b"a") + MALFORMED[name] + get())
        await until(lambda: len(edge.application.tasks) == 1)
        edge.application.tasks[0].caller.respond(200, b"", b"first")
        responses = [await client.answer() for _ in range(3)]
        assert [response.status for response in responses] == [200, 200, 400]
        assert [response.closes for response in responses] == [False, False, True]
        assert await client.closed()


@on_loop
async def test_two_credentials_are_refused_by_their_own_name() -> None:
    async with listening() as edge:
        client = await edge.connect()
        response = await client.send(get(b"/now", b"Authorization: Bearer a", b"authorization: Bearer a")).answer()
        assert (response.status, json.loads(response.body)["error"]["code"]) == (400, "credentials_ambiguous")
        assert await client.closed()


@pytest.mark.parametrize("segment", [1, 700, 100_000])
@pytest.mark.parametrize(
    "head",
    [
        b"GET /now HTTP/1.1\r\nHost: gate\r\nX: " + b"a" * 2_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 2_000 + b" HTTP/1.1\r\nHost: gate\r\n\r\n",
        b"GET /now HTTP/1.1\r\nHost: gate\r\n"
        + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 300) for n in range(5))
        + b"\r\n",
    ],
)
@on_loop
async def test_a_head_that_is_too_long_is_a_431(head: bytes, segment: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        for start in range(0, len(head), segment):
            await client.trickle(head[start : start + segment]) if segment == 1 else client.send(
                head[start : start + segment]
            )
        response = await client.answer()
        assert (response.status, response.closes) == (431, True)
        assert await client.closed()
        assert edge.application.opened == []


def sized(size: int) -> bytes:
    """A head whose target and lines have this length together."""
    fixed = len(b"/now" + b"Host: gate\r\n" + b"X: \r\n")
    return get(b"/now", b"X: " + b"a" * (size - fixed))


@pytest.mark.parametrize(("size", "status"), [(SMALL.header_bytes, 200), (SMALL.header_bytes + 1, 431)])
@pytest.mark.parametrize("cut", [0, 10, 500, 900])
@on_loop
async def test_a_head_may_have_exactly_the_limit(size: int, status: int, cut: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        head = sized(size)
        if cut:
            client.send(head[:cut])
            await until(lambda: [connection._received for connection in edge.made] == [cut])
        assert (await client.send(head[cut:]).answer()).status == status


@on_loop
async def test_a_head_that_never_ends_is_refused_before_it_does() -> None:
    async with listening() as edge:
        for beginning in (b"GET /", b"GET /now HTTP/1.1\r\nX: ", b"GET /now HTTP/1.1\r\n" + b"X", b"\r\n", b""):
            client = await edge.connect()
            client.send(beginning)
            filler = b"\r\n" * 600 if beginning in (b"\r\n", b"") else b"a" * 600
            for _ in range(4):
                await client.trickle(filler[:300])
                client.send(filler)
            response = await client.answer()
            assert (response.status, response.closes) == (431, True)


@pytest.mark.parametrize(("count", "status"), [(8, 200), (9, 431), (60, 431)])
@on_loop
async def test_the_number_of_fields_has_a_limit(count: int, status: int) -> None:
    async with listening() as edge:
        client = await edge.connect()
        response = await client.send(get(b"/now", *[b"X: a"] * (count - 1))).answer()
        assert (response.status, response.closes) == (status, status != 200)


@on_loop
async def test_the_number_of_fields_is_known_before_the_head_ends() -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(get(b"/now", *[b"X: a"] * 9)[:-2])
        response = await client.answer()
        assert (response.status, response.closes) == (431, True)
        assert edge.application.opened == []


@pytest.mark.parametrize("path", [b"/now", b"/no"])
@on_loop
async def test_trailers_count_as_fields(path: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        assert (await client.send(post_chunked(b"a", path=path, trailer=b"X: a\r\n" * 6)).answer()).status in (200, 401)
        client.send(post_chunked(b"a", path=path, trailer=b"X: a\r\n" * 7))
        response = await client.answer()
        assert (response.status, response.closes) == (431, True)
        assert await client.closed()
        assert [request.body for request in edge.application.answered] == ([b"a"] if path == b"/now" else [])


@pytest.mark.parametrize("path", [b"/now", b"/no"])
@on_loop
async def test_trailers_that_never_end_are_refused(path: bytes) -> None:
    async with listening() as edge:
        client = await edge.connect()
        client.send(b"POST %b HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: " % path)
        await until(lambda: len(edge.application.opened) == 1)
        for _ in range(4):
            await client.trickle(b"a" * 300)
        response = await client.answer()
        assert (response.status, response.closes) == (431, True)
        assert await client.closed()


@on_loop
async def test_a_slow_chunked_body_is_not_taken_for_trailers() -> None:
    """Its size lines come in segments without a byte of the body."""
    async with listening(Limits(header_bytes=1024)) as edge:
        client = await edge.connect()
        client.send(b"POST /now HTTP/1.1\r\nHost: g\r\nX: " + b"a" * 900 + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        await until(lambda: len(edge.application.opened) == 1)
        await client.trickle(b"1\r\na\r\n" * 500 + b"0\r\n\r\n")
        response = await client.answer()
        assert (response.status, len(response.body)) == (200, 505)
