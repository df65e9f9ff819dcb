"""Bytes that mean harm, at a running gateway: each is refused for its reason, none stops or shakes the gateway.

After every test the gateway's processes are the ones that were there before, and nothing was said on stderr.
"""

import base64
import json
import socket
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jotgate.errors import Code
from jotgate.testing.running import Gateway, until
from tests.integration.exchanges import PATIENCE_S, Caller, code_of, exchange, records, statuses

_BOUNDED: Final = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def gateway(steady_gateway: Gateway) -> Gateway:
    """A gateway that must not be shaken."""
    return steady_gateway


# Heads

_PIECES: Final = (
    *(b"GET", b"POST", b"PRI", b" ", b"\t", b"/", b"*", b"/v1/models", b"/v1/chat/completions", b"//", b"/../", b"%00"),
    *(
        b"http://h/",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"HTTP/9.9",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b":",
        b"\0",
    ),
    *(b"Host: a", b"Host:", b"host: b", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 5, 5"),
    *(b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked"),
    *(b"Transfer-Encoding: identity", b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings"),
    *(
        b"Connection: close",
        b"Authorization: Bearer x",
        b"X: \xff\xfe",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"ffffffffffffffff",
    ),
    *(
        b"SM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"X-Request-Id: a\x00b",
        b" folded",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
)
_heads = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=12), min_size=1, max_size=24).map(b"".join)
_GOOD_HEAD: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nContent-Type: application/json\r\n"
    b"Content-Length: 15\r\n\r\n" + b'{"model":"echo"'
)


@st.composite
def damaged_heads(draw: st.DrawFn) -> bytes:
    """A good request with a few bytes changed, left out or put in."""
    head = bytearray(_GOOD_HEAD)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(head) - 1))
        head[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(head)


@given(head=_heads | damaged_heads())
@_BOUNDED
def test_no_head_whatever_makes_a_fault_or_a_hang(gateway: Gateway, good: Caller, head: bytes) -> None:
    received = exchange(gateway, head, ends=True)
    assert all(status < 500 for status in statuses(received)), received
    assert received == b"" or received.startswith(b"HTTP/1.1 ")
    assert good("GET", "/v1/models").status == 200


SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 37\r\n",
        b"Content-Length: +0\r\n",
        b"Content-Length: 0x0\r\n",
        b"Content-Length:\r\n",
        b"X: y\r\n Content-Length: 0\r\n",
        b"X: y\nContent-Length: 0\r\n\x00\r\n",
    ],
)
def test_framing_in_doubt_is_refused_and_what_follows_is_not_read_as_a_request(
    gateway: Gateway, token: str, fields: bytes
) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n%b\r\n" % (token.encode(), fields)
    received = exchange(gateway, head + b"0\r\n\r\n" + SMUGGLED, ends=True)
    assert statuses(received) == [400]
    assert code_of(received) == Code.REQUEST_MALFORMED


def test_a_head_without_end_is_cut_off(gateway: Gateway) -> None:
    received = exchange(gateway, b"GET /v1/models HTTP/1.1\r\n" + b"X-Filler: aaaaaaaaaaaaaaaa\r\n" * 5_000)
    assert statuses(received) == [431]


def test_a_token_of_a_hundred_kilobytes_is_refused_and_the_connection_closed(gateway: Gateway, good: Caller) -> None:
    head = b"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + b"A" * 100_000 + b"\r\n\r\n"
    answer = exchange(gateway, head)
    assert statuses(answer) == [431]
    assert code_of(answer) == Code.HEADERS_TOO_LARGE
    assert good.chat().status == 200


# Bodies


def post(body: bytes, token: str, content_type: bytes = b"application/json") -> bytes:
    """A whole request after which the gateway closes the connection."""
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (token.encode(), content_type, len(body), body)
    )


_LITERALS: Final = (
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"-1E-999",
    b"9" * 400,
    b"0.1",
    b'""',
    b'"\\ud800"',
    b'"\\u0000"',
)
_values = st.recursive(
    st.sampled_from(_LITERALS),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: b"[" + b",".join(items) + b"]")
        | st.lists(inner, min_size=1, max_size=2).map(lambda items: b'{"a":' + b',"a":'.join(items) + b"}")
    ),
    max_leaves=12,
)
_NAMES: Final = (
    b"stream",
    b"messages",
    b"max_tokens",
    b"stream_options",
    b"store",
    b"n",
    b"x",
    b"mod\\u0065l",
    b"\xff",
)
_members = st.tuples(st.sampled_from(_NAMES), _values).map(lambda pair: b',"%b": %b' % pair)
_bodies = st.tuples(
    st.lists(_members, max_size=4, unique_by=lambda member: member.partition(b":")[0]).map(b"".join),
    st.sampled_from([b"}", b"}", b"}", b"}", b"", b"}}", b",}", b"} x", b',"x":1,"x":1}']),
).map(lambda parts: b'{"model":"echo"' + b"".join(parts))


@given(body=_bodies)
@_BOUNDED
def test_no_body_whatever_makes_a_fault_or_a_hang(gateway: Gateway, good: Caller, token: str, body: bytes) -> None:
    received = exchange(gateway, post(body, token))
    (status,) = statuses(received)
    assert status in (200, 400, 404), received
    if status != 200:
        error = json.loads(received.partition(b"\r\n\r\n")[2])["error"]
        assert set(error) == {"message", "type", "param", "code"}
    assert good("GET", "/v1/models").status == 200


@given(body=st.binary(max_size=200))
@_BOUNDED
def test_a_body_of_any_bytes_is_refused(gateway: Gateway, token: str, body: bytes) -> None:
    # Now and then the bytes are a body: of a model that nobody has, or a good one.
    wanted = ([200], [400], [404]) if b'"echo"' in body else ([400], [404])
    assert statuses(exchange(gateway, post(body, token))) in wanted


def nested(depth: int) -> bytes:
    """A good body with a member that is nested so deeply, the body's own braces counted."""
    return b'{"model":"echo","messages":[],"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


# A refusal by jotgate and one by `echo` have the same code here.
_BODIES: Final[dict[str, tuple[bytes, int, str]]] = {
    "64 levels": (nested(64), 200, ""),
    "65 levels": (nested(65), 400, Code.REQUEST_MALFORMED),
    "100000 levels": (nested(100_000), 400, Code.REQUEST_MALFORMED),
    "a million open arrays": (b'{"model":"echo","x":' + b"[" * 1_000_000, 400, Code.REQUEST_MALFORMED),
    "100000 open objects": (b'{"a":' * 100_000, 400, Code.REQUEST_MALFORMED),
    "250,000 digits": (b'{"model":"echo","messages":[],"x":' + b"9" * 250_000 + b"}", 200, ""),
    "no float": (b'{"model":"echo","messages":[],"x":1e999999999}', 200, ""),
    "no count": (b'{"model":"echo","messages":[],"max_tokens":1e999999999}', 400, Code.REQUEST_MALFORMED),
    "a count of 5000 digits": (b'{"model":"echo","max_tokens":' + b"9" * 5_000 + b"}", 400, Code.REQUEST_MALFORMED),
    "two equal models": (b'{"model":"echo","model":"echo"}', 400, Code.REQUEST_MALFORMED),
    "two models": (b'{"model":"other","model":"echo"}', 400, Code.REQUEST_MALFORMED),
    "two models, one escaped": (b'{"model":"other","mod\\u0065l":"echo"}', 400, Code.REQUEST_MALFORMED),
    "no UTF-8": (b'{"model":"echo","x":"\xff"}', 400, Code.REQUEST_MALFORMED),
    "overlong UTF-8": (b'{"model":"\xc0\xaf"}', 400, Code.REQUEST_MALFORMED),
    "a byte order mark": (b'\xef\xbb\xbf{"model":"echo"}', 400, Code.REQUEST_MALFORMED),
    "UTF-16": ('{"model":"echo"}'.encode("utf-16"), 400, Code.REQUEST_MALFORMED),
    "a raw NUL": (b'{"model":"echo\x00"}', 400, Code.REQUEST_MALFORMED),
    "an escaped NUL": (b'{"model":"echo\\u0000"}', 404, Code.UNKNOWN_MODEL),
    "a lone surrogate": (b'{"model":"\\ud800"}', 400, Code.REQUEST_MALFORMED),
    "a long name": (b'{"model":"' + b"m" * 1_000_000 + b'"}', 404, Code.UNKNOWN_MODEL),
    "a long prompt": (b'{"model":"echo","messages":[{"role":"user","content":"' + b"w " * 125_000 + b'"}]}', 200, ""),
    "more than echo takes": (b'{"model":"echo","x":"' + b"w" * 262_144 + b'"}', 413, Code.REQUEST_MALFORMED),
    "nothing": (b"", 400, Code.REQUEST_MALFORMED),
    "an array": (b"[]", 400, Code.REQUEST_MALFORMED),
    "null": (b"null", 400, Code.REQUEST_MALFORMED),
    "NaN": (b"NaN", 400, Code.REQUEST_MALFORMED),
}


@pytest.mark.parametrize("name", _BODIES)
def test_a_body_has_one_meaning_or_is_refused(gateway: Gateway, good: Caller, token: str, name: str) -> None:
    body, status, code = _BODIES[name]
    received = exchange(gateway, post(body, token))
    assert statuses(received) == [status], received[:500]
    if code:
        assert code_of(received) == code
    assert good.chat().status == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"application/x-www-form-urlencoded", b"model=echo&messages=x"),
        (
            b"multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\necho\r\n--b--',
        ),
        (b"text/xml", b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><model>&a;</model>"),
        (b"application/json; charset=utf-16", '{"model":"echo"}'.encode("utf-16-le")),
    ],
)
def test_what_is_not_json_is_refused_whatever_it_calls_itself(
    gateway: Gateway, token: str, content_type: bytes, body: bytes
) -> None:
    received = exchange(gateway, post(body, token, content_type))
    assert statuses(received) == [400]
    assert code_of(received) == Code.REQUEST_MALFORMED


def test_a_compressed_body_is_refused_unread(good: Caller) -> None:
    bomb = base64.b64decode("H4sIAAAAAAAC/8vILy7JyVfIzFMoLU4tAgDqHZ5mEQAAAA==")
    answer = good("POST", "/v1/chat/completions", bomb, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (415, Code.ENCODING_REFUSED)


def test_a_body_that_claims_to_be_too_large_is_refused_before_it_is_sent(gateway: Gateway, token: str) -> None:
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
        % (token.encode(), 20_971_521)
    )
    received = exchange(gateway, head)  # Nothing of the body comes, and the answer does not wait for it.
    assert statuses(received) == [413]
    assert code_of(received) == Code.BODY_TOO_LARGE


def test_a_body_in_chunks_that_grows_too_large_is_refused(gateway: Gateway, token: str) -> None:
    fields = b"Host: a\r\nAuthorization: Bearer %b\r\nTransfer-Encoding: chunked\r\n" % token.encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\n%b\r\n" % fields
    received = exchange(gateway, head + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 21)
    assert statuses(received) == [413]


def test_names_that_callers_choose_cannot_spoil_the_audit_log(gateway: Gateway, good: Caller, token: str) -> None:
    """A model's name is the caller's to choose: a token in it, line feeds, and text that looks like a record."""
    names: list[Any] = [token, 'x"}\n{"kind":"event"', "\u2028", "\ud800", "m" * 100_000]
    for name in names:
        answer = good.chat(name)
        assert answer.status in (400, 404)
        assert token.encode() not in answer.body
    count = len(names)
    until(lambda: sum(r.get("code") in ("model_not_found", "request_malformed") for r in records(gateway)) >= count, "")
    text = b"".join(path.read_bytes() for path in (gateway.data / "audit").glob("*.log"))
    assert token.encode() not in text
    assert token.rpartition(".")[2].encode() not in text


# The operator's socket


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"subject":"\xff","ttl_s":60}',
        b'{"subject":"me","ttl_s":60,"\xff":1}',
        b'{"subject":"\\ud800","ttl_s":60}',
        b'{"subject":"me","ttl_s":1e400}',
        b'{"subject":"me","ttl_s":-1}',
        b'{"subject":"me\\u0000","ttl_s":60}',
        b'{"subject":"me","models":' + b"[" * 100_000,
    ],
    ids=range(9),
)
def test_a_command_that_makes_no_sense_is_refused_by_control(gateway: Gateway, body: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(gateway.data / "control.sock"))
        head = b"POST /tokens HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert statuses(received) == [400]
    assert code_of(received) == Code.COMMAND
    assert gateway.token() != ""
