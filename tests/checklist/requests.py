"""The rules of RFC 9112 and RFC 9110 for requests, as rows: raw bytes, and how many are served or what is said.

`test_rfc9112` throws them at the edge; `test_smuggling` throws them at a gateway alone and through proxies.
"""

from typing import Final

from msgspec import Struct


class Row(Struct, frozen=True):
    """One rule. `statuses` are the answers in order; `closes`: the connection ends behind them."""

    section: str
    rule: str
    raw: bytes
    statuses: tuple[int, ...]
    closes: bool


def _head(first: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((first, *lines, b"", b""))


_GET: Final = b"GET /now HTTP/1.1"
_POST: Final = b"POST /now HTTP/1.1"
_HOST: Final = b"Host: gate.example"
_CHUNKED: Final = b"Transfer-Encoding: chunked"


def taken(section: str, rule: str, raw: bytes, *, count: int = 1, closes: bool = False) -> Row:
    """A row that is served."""
    return Row(section, rule, raw, (200,) * count, closes)


def refused(section: str, rule: str, raw: bytes, *, status: int = 400, closes: bool = True) -> Row:
    """A row that is refused; its end is the connection's."""
    return Row(section, rule, raw, (status,), closes)


def chunked(section: str, rule: str, body: bytes) -> Row:
    """A refused chunked body."""
    return refused(section, rule, _head(_POST, _HOST, _CHUNKED) + body)


def framed(section: str, rule: str, *lines: bytes, body: bytes = b"") -> Row:
    """A refused framing."""
    return refused(section, rule, _head(_POST, _HOST, *lines) + body)


ROWS: Final = (
    # Section 2: the message
    taken("2.2", "an empty line before a request line is ignored", b"\r\n" + _head(_GET, _HOST)),
    refused("2.2", "a bare CR ends no line", b"GET /now HTTP/1.1\rHost: a\r\n\r\n"),
    refused("2.2", "a bare CR stands in no field value", _head(_GET, _HOST, b"X: a\rb")),
    refused("2.2", "a bare LF ends no request line", b"GET /now HTTP/1.1\nHost: a\r\n\r\n"),
    refused("2.2", "a bare LF ends no field line", b"GET /now HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    refused("2.2", "a bare LF ends no header section", b"GET /now HTTP/1.1\r\nHost: a\r\n\n"),
    refused("2.2", "white space before the first field is refused", b"GET /now HTTP/1.1\r\n Host: a\r\n\r\n"),
    refused("2.2", "a bare LF is no empty line", b"\n\n" + _head(_GET, _HOST)),
    refused("2.2", "a bare CR is no empty line", b"\r" + _head(_GET, _HOST)),
    refused("2.3", "RTSP is not HTTP", _head(b"GET /now RTSP/1.1", _HOST)),
    refused("2.3", "RTSP/1.0 is not HTTP", _head(b"POST /now RTSP/1.0", _HOST)),
    refused("2.3", "OPTIONS of RTSP is not HTTP", _head(b"OPTIONS * RTSP/1.0")),
    refused("2.3", "a method of RTSP is not HTTP", _head(b"DESCRIBE /now RTSP/1.0", _HOST)),
    refused("2.3", "Icecast is not HTTP", _head(b"SOURCE /now ICE/1.0", _HOST)),
    refused("2.3", "HTTP/1.2 is not spoken", _head(b"GET /now HTTP/1.2", _HOST)),
    refused("2.3", "HTTP/2.0 is not spoken in text", _head(b"GET /now HTTP/2.0", _HOST)),
    refused("2.3", "HTTP in small letters is not HTTP", _head(b"GET /now http/1.1", _HOST)),
    refused("2.3", "a version has two digits", _head(b"GET /now HTTP/1.10", _HOST)),
    refused("2.3", "a request without a version is refused", b"GET /now\r\n\r\n"),
    # Section 3: the request line
    refused("3", "a tab parts nothing", _head(b"GET\t/now\tHTTP/1.1", _HOST)),
    refused("3", "one space stands behind the method", _head(b"GET  /now HTTP/1.1", _HOST)),
    refused("3", "one space stands before the version", _head(b"GET /now  HTTP/1.1", _HOST)),
    refused("3", "white space behind the version is refused", _head(b"GET /now HTTP/1.1 ", _HOST)),
    refused("3", "white space before the method is refused", _head(b" GET /now HTTP/1.1", _HOST)),
    refused("3.1", "a method is compared with its case", _head(b"get /now HTTP/1.1", _HOST)),
    refused("3.1", "an unknown method is refused", _head(b"STEAL /now HTTP/1.1", _HOST)),
    refused("3.2", "a target without white space", _head(b"GET /n ow HTTP/1.1", _HOST)),
    refused("3.2", "a target without NUL", _head(b"GET /n\0w HTTP/1.1", _HOST)),
    refused("3.2", "a target of ASCII", _head(b"GET /n\xffw HTTP/1.1", _HOST)),
    refused("3.2", "HTTP/1.1 needs a Host", _head(_GET)),
    refused("3.2", "Host stands once", _head(_GET, _HOST, _HOST)),
    refused("3.2", "Host stands once, whatever its case", _head(_GET, _HOST, b"hOST: other")),
    refused("3.2", "a Host is no two words", _head(_GET, b"Host: gate other")),
    refused("3.2", "a Host has no path", _head(_GET, b"Host: gate/now")),
    refused("3.2", "a Host has no user", _head(_GET, b"Host: user@gate")),
    refused("3.2", "a Host is no list", _head(_GET, b'Host: "gate"')),
    taken("3.2", "a Host has a port", _head(_GET, b"Host: gate.example:8080")),
    taken("3.2", "a Host is an IPv6 address", _head(_GET, b"Host: [::1]:8080")),
    taken("3.2", "a Host may be empty", _head(_GET, b"Host:")),
    taken("3.2.2", "absolute-form is understood", _head(b"GET http://gate.example/now HTTP/1.1", _HOST)),
    refused("3.2.3", "CONNECT is refused", _head(b"CONNECT gate.example:443 HTTP/1.1", _HOST)),
    refused("3.2.4", "another form is refused", _head(b"GET now HTTP/1.1", _HOST)),
    # Section 5: fields
    refused("5.1", "no white space before the colon", _head(_GET, _HOST, b"X : a")),
    refused("5.1", "no tab before the colon", _head(_GET, _HOST, b"X\t: a")),
    refused("5.1", "Host without white space before the colon", _head(_GET, b"Host : a")),
    taken("5.1", "white space around a value is no part of it", _head(_GET, b"Host: \t gate.example \t")),
    refused("5.1", "a field has a name", _head(_GET, _HOST, b": a")),
    refused("5.1", "a field has a colon", _head(_GET, _HOST, b"nonsense")),
    refused("5.1", "a name is a token", _head(_GET, _HOST, b"X(: a")),
    refused("5.1", "a name is ASCII", _head(_GET, _HOST, b"\xff: a")),
    refused("5.2", "obs-fold is refused", _head(_GET, _HOST, b"X: a", b" b")),
    refused("5.2", "obs-fold by a tab is refused", _head(_GET, _HOST, b"X: a", b"\tb")),
    refused("9110 5.5", "no NUL in a value", _head(_GET, _HOST, b"X: a\0b")),
    refused("9110 5.5", "no control character in a value", _head(_GET, _HOST, b"X: a\x01b")),
    refused("9110 5.5", "no DEL in a value", _head(_GET, _HOST, b"X: a\x7fb")),
    taken("9110 5.5", "a tab in a value is white space", _head(_GET, _HOST, b"X: a\tb")),
    # Section 6: the body
    framed("6.1", "chunked stands last", b"Transfer-Encoding: chunked, gzip"),
    framed("6.1", "no other coding", b"Transfer-Encoding: gzip"),
    framed("6.1", "no other coding before chunked", b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    framed("6.1", "identity is none", b"Transfer-Encoding: identity"),
    framed("6.1", "chunked once", b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    framed("6.1", "chunked in one field", _CHUNKED, _CHUNKED, body=b"0\r\n\r\n"),
    framed("6.1", "an empty coding", b"Transfer-Encoding:", body=b"0\r\n\r\n"),
    framed("6.1", "an empty element", b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"),
    framed("6.1", "a parameter", b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    framed("6.1", "a quoted coding", b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    framed("6.1", "a coding alike", b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    framed("6.1", "a vertical tab", b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n"),
    framed("6.1", "an underscore is another field", b"Transfer_Encoding: chunked", b"Content-Length: x"),
    taken("6.1", "a coding has no case", _head(_POST, _HOST, b"Transfer-Encoding: ChunKed") + b"0\r\n\r\n"),
    refused("6.1", "HTTP/1.0 has no codings", _head(b"POST /now HTTP/1.0", _CHUNKED) + b"0\r\n\r\n"),
    framed("6.1", "a coding and a length", _CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"),
    framed("6.1", "a length and a coding", b"Content-Length: 5", _CHUNKED, body=b"0\r\n\r\n"),
    framed("6.2", "two lengths", b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
    framed("6.2", "two equal lengths", b"Content-Length: 1", b"Content-Length: 1", body=b"a"),
    framed("6.2", "a list of lengths", b"Content-Length: 1, 1", body=b"a"),
    framed("6.2", "a signed length", b"Content-Length: +1", body=b"a"),
    framed("6.2", "a negative length", b"Content-Length: -1", body=b"a"),
    framed("6.2", "a hexadecimal length", b"Content-Length: 0x1", body=b"a"),
    framed("6.2", "a length with a space", b"Content-Length: 1 1", body=b"a"),
    framed("6.2", "an empty length", b"Content-Length:", body=b"a"),
    framed("6.2", "a length of 20 nines", b"Content-Length: " + b"9" * 20, body=b"a"),
    framed("6.2", "a length of 500 digits", b"Content-Length: " + b"0" * 499 + b"1", body=b"a"),
    taken("6.2", "a length", _head(_POST, _HOST, b"Content-Length: 3") + b"abc"),
    taken("6.3", "neither means no body", _head(_POST, _HOST) + _head(_GET, _HOST), count=2),
    taken(
        "6.3", "GET may have a body", _head(_GET, _HOST, b"Content-Length: 3") + b"abc" + _head(_GET, _HOST), count=2
    ),
    # Section 7: chunks
    taken("7.1", "chunks", _head(_POST, _HOST, _CHUNKED) + b"3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n"),
    chunked("7.1", "a size is hexadecimal", b"g\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "a size has no sign", b"+1\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "a size is not negative", b"-1\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "a size has no prefix", b"0x1\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "a size has no underscore", b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n"),
    chunked("7.1", "a size is there", b"\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "no white space before a size", b" 1\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "no white space behind a size", b"1 \r\na\r\n0\r\n\r\n"),
    chunked("7.1", "a size fits", b"1" + b"0" * 16 + b"\r\na\r\n0\r\n\r\n"),
    chunked("7.1", "a bare LF ends no size", b"1\na\r\n0\r\n\r\n"),
    chunked("7.1", "a bare LF ends no chunk", b"1\r\na\n0\r\n\r\n"),
    chunked("7.1", "a chunk ends where its size says", b"1\r\nab\r\n0\r\n\r\n"),
    chunked("7.1", "a bare LF ends no last chunk", b"0\n\r\n"),
    taken("7.1.1", "an extension is ignored", _head(_POST, _HOST, _CHUNKED) + b'1;a=b;c="d"\r\na\r\n0\r\n\r\n'),
    chunked("7.1.1", "a bare LF ends no extension", b"1;a\na\r\n0\r\n\r\n"),
    chunked("7.1.1", "a bare CR ends no extension", b"1;a\rb\r\na\r\n0\r\n\r\n"),
    chunked("7.1.1", "no NUL in an extension", b"1;a\0\r\na\r\n0\r\n\r\n"),
    taken("7.1.2", "trailers are dropped", _head(_POST, _HOST, _CHUNKED) + b"0\r\nAuthorization: Bearer x\r\n\r\n"),
    chunked("7.1.2", "a trailer has no length", b"0\r\nContent-Length: 5\r\n\r\n"),
    chunked("7.1.2", "a trailer has no coding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    chunked("7.1.2", "a bare LF ends no trailer", b"0\r\nX: a\n\r\n"),
    # Section 9: connections
    taken("9.3", "a connection is kept", _head(_GET, _HOST) * 3, count=3),
    taken("9.3", "HTTP/1.0 ends it", _head(b"GET /now HTTP/1.0", _HOST), closes=True),
    taken("9.3.2", "nine pipelined requests are answered", _head(_GET, _HOST) * 9, count=9),
    taken(
        "9.6",
        "nothing is read behind a close",
        _head(_GET, _HOST, b"Connection: close") + _head(_GET, _HOST),
        closes=True,
    ),
    taken("9110 7.8", "Upgrade is ignored", _head(_GET, _HOST, b"Upgrade: h2c", b"Connection: Upgrade")),
    taken(
        "9110 7.8",
        "Upgrade is ignored and the body read",
        _head(
            _POST,
            _HOST,
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAA",
            b"Content-Length: 3",
        )
        + b"abc"
        + _head(_GET, _HOST),
        count=2,
    ),
    taken("9110 9.3.2", "HEAD has no body", _head(b"HEAD /now HTTP/1.1", _HOST) + _head(_GET, _HOST), count=2),
    refused(
        "9110 11.6.2",
        "Authorization stands once",
        _head(_GET, _HOST, b"Authorization: Bearer a", b"Authorization: Bearer a"),
    ),
    refused("6585 5", "a head has a size", _head(_GET, _HOST, b"X: " + b"a" * 40_000), status=431),
    refused("6585 5", "a head has so many fields", _head(_GET, _HOST, *[b"X: a"] * 200), status=431),
    refused("9110 15.5.14", "a body has a size", _head(_POST, _HOST, b"Content-Length: 30000000"), status=413),
)
