"""Envoy's messages over gRPC: what is read of a question, what an answer is written as, and what is refused."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.ext_authz import read_check, write_check
from jotgate.errors import RequestMalformed


def field(number: int, value: bytes) -> bytes:
    """A field of bytes, by the rules of Protocol Buffers."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number: int) -> bytes:
    digits = []
    while number > 127:
        digits.append(number % 128 + 128)
        number //= 128
    return bytes([*digits, number])


def pair(key: bytes, value: bytes, number: int = 2) -> bytes:
    return field(1, key) + field(number, value)


def source(address: bytes = b"203.0.113.9", certificate: bytes = b"") -> bytes:
    socket_address = b"\x08\x00" + field(2, address) + b"\x18\xbb\x03"
    return field(1, field(1, socket_address)) + field(5, certificate)


def question(*, http: bytes = b"", peer: bytes | None = None, more: bytes = b"") -> bytes:
    parts = field(2, b"GET") + field(4, b"/a/b?c=d") + field(5, b"Shop.example:443") + http
    attributes = field(1, source() if peer is None else peer) + field(4, field(1, b"\x08\x01") + field(2, parts))
    return field(1, attributes + more)


def fields_of(message: bytes) -> dict[int, list[bytes]]:
    """What a message says, read anew."""
    found: dict[int, list[bytes]] = {}
    while message:
        tag, message = message[0], message[1:]
        if tag & 7 == 0:
            size = next(index for index, octet in enumerate(message) if octet < 128) + 1
            number = sum((octet & 127) << 7 * index for index, octet in enumerate(message[:size]))
            found.setdefault(tag >> 3, []).append(bytes([number >> 8, number & 255]))
            message = message[size:]
            continue
        size = next(index for index, octet in enumerate(message) if octet < 128) + 1
        length = sum((octet & 127) << 7 * index for index, octet in enumerate(message[:size]))
        found.setdefault(tag >> 3, []).append(message[size : size + length])
        message = message[size + length :]
    return found


def options_of(messages: list[bytes]) -> dict[bytes, bytes]:
    """Header fields that take the place of others."""
    found = {}
    for one in messages:
        option = fields_of(one)
        assert option[3] == [b"\x00\x02"], "OVERWRITE_IF_EXISTS_OR_ADD"
        header = fields_of(option[1][0])
        found[header[1][0]] = header[2][0]
    return found


def test_what_envoy_asks_about_is_read() -> None:
    http = field(3, pair(b":method", b"POST")) + field(3, pair(b"Authorization", b"Bearer x"))
    asked = read_check(question(http=http, more=field(10, pair(b"a", b"b")) + b"\x2d\x00\x00\x00\x00"))
    assert (asked.method, asked.path, asked.query) == (b"GET", b"/a/b", b"c=d")
    assert (asked.address, asked.host) == ("203.0.113.9", "shop.example")
    assert asked.headers == {b"authorization": b"Bearer x"}
    assert asked.certificate == b""


def test_raw_header_fields_are_read_too_and_two_of_a_name_are_one_with_both() -> None:
    http = field(
        13, field(1, pair(b"authorization", b"Bearer x", 3)) + field(1, pair(b"authorization", b"Bearer y", 3))
    )
    assert read_check(question(http=http)).headers == {b"authorization": b"Bearer x, Bearer y"}


def test_a_certificate_comes_out_of_its_wrapping() -> None:
    der = bytes(range(200))
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    wrapped = quote(pem.decode(), safe="").encode()
    assert read_check(question(peer=source(certificate=wrapped))).certificate == der
    for broken in (b"x", b"-----BEGIN%20CERTIFICATE-----!!-----END%20CERTIFICATE-----"):
        with pytest.raises(RequestMalformed):
            read_check(question(peer=source(certificate=broken)))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        question(peer=b""),
        field(1, field(1, source())),
        question()[:-1],
        question() + b"\x00",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b",
        b"\x0d\x00",
        b"\x02\x00",
        b"\x08\x01" * 1_001,
    ],
)
def test_what_does_not_say_or_does_not_add_up_is_refused(message: bytes) -> None:
    with pytest.raises(RequestMalformed):
        read_check(message)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(noise: bytes) -> None:
    for message in (noise, question(http=noise), question(more=noise), question(peer=noise)):
        try:
            read_check(message)
        except RequestMalformed:
            pass


def test_who_may_pass_is_told_of_and_what_is_not_told_is_taken_out() -> None:
    lines = b"X-Request-Id: r-1\r\nCache-Control: no-store\r\nX-Jot-Subject: ann: b\r\nX-Jot-Roles: \r\n"
    answer = fields_of(write_check(200, lines, b""))
    assert answer[1] == [b""], "google.rpc.Status OK"
    passed = fields_of(answer[3][0])
    assert options_of(passed[2]) == {b"X-Jot-Subject": b"ann: b"}
    assert passed[5] == [b"x-jot-roles"]


@pytest.mark.parametrize(
    ("status", "code"), [(401, b"\x01\x91"), (403, b"\x01\x93"), (429, b"\x01\xad"), (503, b"\x01\xf7")]
)
def test_a_refusal_goes_on_as_it_is(status: int, code: bytes) -> None:
    lines = b'WWW-Authenticate: Bearer realm="jotgate"\r\nRetry-After: 5\r\n'
    answer = fields_of(write_check(status, lines, b'{"error":{}}'))
    assert fields_of(answer[1][0]) == {1: [b"\x00\x07"]}, "PERMISSION_DENIED"
    denied = fields_of(answer[2][0])
    assert fields_of(denied[1][0]) == {1: [code]}
    assert options_of(denied[2]) == {b"WWW-Authenticate": b'Bearer realm="jotgate"', b"Retry-After": b"5"}
    assert denied[3] == [b'{"error":{}}']
