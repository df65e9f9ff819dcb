"""The checks of a head that the parser leaves to its user."""

import pytest

from jotgate.edge.http1.heads import (
    check_head,
    fields_without_upgrade,
    gather_fields,
    head_bytes,
    http_version,
    split_target,
)
from jotgate.errors import CredentialsAmbiguous, RequestMalformed


def test_fields_are_gathered_by_their_lower_case_names() -> None:
    assert gather_fields([(b"Host", b"a"), (b"ACCEPT", b"x"), (b"accept", b"y"), (b"Accept", b"z")]) == {
        b"host": b"a",
        b"accept": b"x, y, z",
    }


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Content-Type",
        b"Content-Encoding",
        b"Expect",
        b"X-Request-Id",
    ],
)
@pytest.mark.parametrize("second", [b"a", b"b"])
def test_a_field_that_decides_something_stands_once(name: bytes, second: bytes) -> None:
    with pytest.raises(RequestMalformed):
        gather_fields([(name, b"a"), (b"X", b"y"), (name.upper(), second)])


def test_two_credentials_are_ambiguous_even_when_equal() -> None:
    with pytest.raises(CredentialsAmbiguous):
        gather_fields([(b"Authorization", b"Bearer a"), (b"authorization", b"Bearer a")])


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_plain_head_is_taken(version: str) -> None:
    check_head({b"host": b"gate"}, version)


def test_http10_needs_no_host() -> None:
    check_head({}, "1.0")


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED"])
def test_chunked_is_the_coding_that_is_taken(coding: bytes) -> None:
    check_head({b"host": b"gate", b"transfer-encoding": coding}, "1.1")


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b"chunked"}, "1.0"),
        ({b"host": b"gate", b"transfer-encoding": b"chunked", b"content-length": b"1"}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b"gzip, chunked"}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b"chunked, chunked"}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b"identity"}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b""}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b"\x0bchunked"}, "1.1"),
        ({b"host": b"gate", b"transfer-encoding": b"chunked;q=1"}, "1.1"),
    ],
)
def test_a_head_whose_host_or_framing_is_in_doubt_is_refused(headers: dict[bytes, bytes], version: str) -> None:
    with pytest.raises(RequestMalformed):
        check_head(headers, version)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a?b=c&d", b"/a", b"b=c&d"),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/a?", b"/a", b""),
        (b"//a/../b/%2e", b"//a/../b/%2e", b""),
        (b"*", b"*", b""),
        (b"http://gate/a?b", b"/a", b"b"),
        (b"http://user:word@gate:80/a", b"/a", b""),
        (b"https://gate", b"/", b""),
        (b"http://gate?b", b"/", b"b"),
    ],
)
def test_a_target_is_split_byte_for_byte(target: bytes, path: bytes, query: bytes) -> None:
    assert split_target(target) == (path, query)


@pytest.mark.parametrize("target", [b"", b"gate:443", b"a", b"?b", b"urn:a", b"http:///a", b"http://[::1/a", b"**"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    with pytest.raises(RequestMalformed):
        split_target(target)


def test_a_head_is_as_long_as_its_target_and_its_lines() -> None:
    target, fields = b"/a", [(b"Host", b"b"), (b"X", b"")]
    assert head_bytes(target, fields) == len(b"/a" + b"Host: b\r\n" + b"X: \r\n")


def test_the_wish_for_another_protocol_is_left_out() -> None:
    fields = [(b"Host", b"a"), (b"UPGRADE", b"h2c"), (b"Connection", b"x"), (b"HTTP2-Settings", b"y"), (b"A", b"b")]
    assert fields_without_upgrade(fields, keep_alive=True) == b"Host: a\r\nA: b\r\n"
    assert fields_without_upgrade(fields, keep_alive=False) == b"Host: a\r\nA: b\r\nConnection: close\r\n"


@pytest.mark.parametrize("empty", [b"", b"\r\n", b"\r\n" * 9])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_version_stands_in_the_request_line(empty: bytes, version: str) -> None:
    assert http_version(b"%bGET /a HTTP/%b\r\nHost: a" % (empty, version.encode()), b"GET", b"/a") == version


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /a RTSP/1.1\r\n",
        b"GET /a ICE/1.0\r\n",
        b"GET /a HTTP/2.0\r\n",
        b"GET /a HTTP/0.9\r\n",
        b"GET /a HTTP/1.2\r\n",
        b"GET /a\r\n",
        b"GET  /a HTTP/1.1\r\n",
        b"GET /a  HTTP/1.1\r\n",
        b"GET /a HTTP/1.1\n",
        b"\nGET /a HTTP/1.1\r\n",
        b"\r\n\nGET /a HTTP/1.1\r\n",
        b"\r\rGET /a HTTP/1.1\r\n",
    ],
)
def test_another_request_line_is_refused(begun: bytes) -> None:
    with pytest.raises(RequestMalformed):
        http_version(begun, b"GET", b"/a")
