"""Requests that two servers might cut apart differently, each with a second request hidden in it.

The first carries the request id `outer` with the attack's number, the hidden one `inner`: who served what stands in the
audit log, in the log of the front, and in the answers.
"""

from typing import Final

from msgspec import Struct

_TARGET: Final = b"/v1/models"


class Attack(Struct, frozen=True):
    """What is sent; `inner` is a request of its own only where `pipelined` says so (RFC 9112 s6.3)."""

    name: str
    raw: bytes
    pipelined: bool = False

    def numbered(self, number: int) -> bytes:
        """The bytes, with ids of this number and of the same length."""
        return self.raw.replace(b"000", b"%03d" % number)


def _request(method: bytes, who: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    first = b"%b %b HTTP/%b" % (method, _TARGET, version)
    return b"\r\n".join((first, b"Host: gate.example", b"X-Request-Id: " + who, *lines, b"", b""))


INNER: Final = _request(b"GET", b"inner000")
_CHUNKED_END: Final = b"0\r\n\r\n"
_LENGTH: Final = b"Content-Length: %d"


def _post(name: str, *lines: bytes, body: bytes, pipelined: bool = False) -> Attack:
    return Attack(name, _request(b"POST", b"outer000", *lines) + body, pipelined)


# Ways to write Transfer-Encoding that one server takes for chunked and another does not.
_CODINGS: Final = {
    "plain": b"Transfer-Encoding: chunked",
    "capitals": b"TRANSFER-ENCODING: CHUNKED",
    "unknown": b"Transfer-Encoding: xchunked",
    "prefix": b"Transfer-Encoding: chunk",
    "identity": b"Transfer-Encoding: identity",
    "list": b"Transfer-Encoding: identity, chunked",
    "list behind": b"Transfer-Encoding: chunked, identity",
    "comma": b"Transfer-Encoding: chunked,",
    "comma before": b"Transfer-Encoding: ,chunked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "parameter": b"Transfer-Encoding: chunked;q=0",
    "space before colon": b"Transfer-Encoding : chunked",
    "tab before colon": b"Transfer-Encoding\t: chunked",
    "leading space": b" Transfer-Encoding: chunked",
    "leading tab": b"\tTransfer-Encoding: chunked",
    "no space": b"Transfer-Encoding:chunked",
    "tab": b"Transfer-Encoding:\tchunked",
    "trailing tab": b"Transfer-Encoding: chunked\t",
    "vertical tab": b"Transfer-Encoding: \x0bchunked",
    "form feed": b"Transfer-Encoding: \x0cchunked",
    "non-breaking space": b"Transfer-Encoding: \xa0chunked",
    "null": b"Transfer-Encoding: chunked\0",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded name": b"Transfer-Encoding\r\n : chunked",
    "bare line feed": b"X: a\nTransfer-Encoding: chunked",
    "bare return": b"X: a\rTransfer-Encoding: chunked",
    "underscore": b"Transfer_Encoding: chunked",
    "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "twice reversed": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "gzip": b"Transfer-Encoding: gzip, chunked",
    "named by Connection": b"Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding",
    "length named by Connection": b"Transfer-Encoding: chunked\r\nConnection: Content-Length",
}


# With an underscore it is a field like any other, and frames nothing.
_ANOTHER_FIELD: Final = frozenset({"underscore"})


def _both_framings() -> tuple[Attack, ...]:
    """A length that covers the hidden request, and chunks that end before it; then the other way round."""
    short = _CHUNKED_END + INNER
    hidden = b"%x\r\n%b\r\n" % (len(INNER), INNER) + _CHUNKED_END
    attacks = []
    for name, coding in _CODINGS.items():
        attacks += [
            _post(f"CL.TE {name}", _LENGTH % len(short), coding, body=short),
            _post(f"TE.CL {name}", coding, _LENGTH % 4, body=hidden, pipelined=name in _ANOTHER_FIELD),
        ]
    return tuple(attacks)


# Ways to write Content-Length that one server takes for the whole body and another for none.
_LENGTHS: Final = {
    "sign": b"Content-Length: +%d",
    "minus": b"Content-Length: -%d",
    "hexadecimal": b"Content-Length: 0x%x",
    "list": b"Content-Length: %d, 0",
    "list before": b"Content-Length: 0, %d",
    "twice": b"Content-Length: %d\r\nContent-Length: 0",
    "twice reversed": b"Content-Length: 0\r\nContent-Length: %d",
    "space before colon": b"Content-Length : %d",
    "leading space": b" Content-Length: %d",
    "inner space": b"Content-Length: 0 %d",
    "vertical tab": b"Content-Length: \x0b%d",
    "null": b"Content-Length: %d\0",
    "folded": b"Content-Length:\r\n %d",
    "bare line feed": b"X: a\nContent-Length: %d",
    "bare return": b"X: a\rContent-Length: %d",
    "underscore": b"Content_Length: %d",
    "fraction": b"Content-Length: %d.0",
    "exponent": b"Content-Length: %de0",
    "separator": b"Content-Length: 0_%d",
    "overflow": b"Content-Length: 184467440737095516%d",
    "named by Connection": b"Content-Length: %d\r\nConnection: Content-Length",
    "expected": b"Content-Length: %d\r\nExpect: 100-continue",
    "odd expectation": b"Content-Length: %d\r\nExpect: y 100-continue",
}

_CHUNKS: Final = {
    "size overflow": b"11111111111111111\r\na\r\n" + _CHUNKED_END,
    "size with prefix": b"0x0\r\n\r\n",
    "size with sign": b"-0\r\n\r\n",
    "size with space": b"0 \r\n\r\n",
    "size with line feed": b"0\n\r\n",
    "end with line feed": b"0\r\n\n",
    "extension with line feed": b"2;\nxx\r\n0\r\n\r\n",
    "extension with return": b"2;\rxx\r\n0\r\n\r\n",
    "extension with quotes": b'2;a="\r\nxx\r\n0\r\n\r\n',
    "chunk without its end": b"1\r\nab0\r\n\r\n",
    "chunk ends with line feed": b"1\r\na\n0\r\n\r\n",
    "chunk ends with two octets": b"1\r\naXX0\r\n\r\n",
    "trailer with line feed": b"0\r\nX: a\n\r\n",
    "trailer with length": b"0\r\nContent-Length: 5\r\n\r\n",
    "trailer with coding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
}

_UPGRADES: Final = {
    "h2c": b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "h2c without settings": b"Upgrade: h2c\r\nConnection: Upgrade",
    "websocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
}

ATTACKS: Final = (
    Attack("two requests", _request(b"GET", b"outer000") + INNER, pipelined=True),
    _post("two requests with a body", _LENGTH % 2, body=b"{}" + INNER, pipelined=True),
    _post("two requests with chunks", _CODINGS["plain"], body=b"2\r\n{}\r\n" + _CHUNKED_END + INNER, pipelined=True),
    _post("a request in a body", _LENGTH % len(INNER), body=INNER),
    Attack("a request in the body of GET", _request(b"GET", b"outer000", _LENGTH % len(INNER)) + INNER),
    Attack("a request in the body of HEAD", _request(b"HEAD", b"outer000", _LENGTH % len(INNER)) + INNER),
    Attack("a request in the body of DELETE", _request(b"DELETE", b"outer000", _LENGTH % len(INNER)) + INNER),
    *_both_framings(),
    *(
        _post(f"length {name}", line % len(INNER), body=INNER, pipelined=name in _ANOTHER_FIELD)
        for name, line in _LENGTHS.items()
    ),
    *(_post(f"chunk {name}", _CODINGS["plain"], body=body + INNER) for name, body in _CHUNKS.items()),
    *(
        _post(f"upgrade {name}, a request in the body", lines, _LENGTH % len(INNER), body=INNER)
        for name, lines in _UPGRADES.items()
    ),
    Attack("a request behind CONNECT", b"CONNECT gate.example:80 HTTP/1.1\r\nHost: gate.example\r\n\r\n" + INNER),
    Attack(
        "coding in HTTP/1.0", _request(b"POST", b"outer000", _CODINGS["plain"], version=b"1.0") + _CHUNKED_END + INNER
    ),
    Attack("a request in the target", b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n".join((b"GET /a\0", b""))),
    Attack("a line feed in the target", b"GET /v1/models\nX: HTTP/1.1\r\nHost: a\r\n\r\n" + INNER),
    Attack("two hosts", _request(b"GET", b"outer000", b"Host: other") + INNER),
    Attack("an absolute target", b"GET http://other/v1/models HTTP/1.1\r\nX-Request-Id: outer000\r\n\r\n" + INNER),
)
"""Each is thrown alone, and with a front before the gateway."""
