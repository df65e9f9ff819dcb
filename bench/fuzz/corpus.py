"""Raw requests that have broken gateways, and the good ones that they are made of; also what mutations start from."""

from typing import Final

TOKEN: Final = b"@TOKEN@"
"""Stands where a good token goes."""

_BODY: Final = b'{"model":"echo","messages":[{"role":"user","content":"hello"}]}'
_HEAD: Final = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer @TOKEN@\r\n"
_JSON: Final = b"Content-Type: application/json\r\n"
_LENGTH: Final = b"Content-Length: %d\r\n" % len(_BODY)
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_CHUNKS: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_GET: Final = b"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer @TOKEN@\r\n"
_STREAM: Final = b'{"model":"echo","stream":true,"messages":[{"role":"user","content":"a b c d e f"}]}'

GOOD: Final[dict[str, bytes]] = {
    "a call with a length": _HEAD + _JSON + _LENGTH + b"\r\n" + _BODY,
    "a call in chunks": _HEAD + _JSON + _CHUNKED + b"\r\n" + _CHUNKS,
    "a call in chunks with trailers": _HEAD + _CHUNKED + b"\r\n" + _CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n",
    "a streamed call": _HEAD + b"Content-Length: %d\r\n\r\n" % len(_STREAM) + _STREAM,
    "a call that expects 100": _HEAD + _LENGTH + b"Expect: 100-continue\r\n\r\n" + _BODY,
    "a call with h2c": _HEAD
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    + _LENGTH
    + b"\r\n"
    + _BODY,
    "models": _GET + b"\r\n",
    "two requests in one segment": _GET + b"\r\n" + _GET + b"\r\n",
    "a call and its successor": _HEAD + _LENGTH + b"\r\n" + _BODY + _GET + b"\r\n",
    "readiness": b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n",
    "the key set": b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n",
    "options": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "head": b"HEAD /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer @TOKEN@\r\n\r\n",
    "absolute form": b"GET http://a/v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer @TOKEN@\r\n\r\n",
    "HTTP/1.0": b"GET /v1/models HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer @TOKEN@\r\n\r\n",
}
"""Sound requests; half of all mutations begin with one of them."""

NOT_SERVED: Final = frozenset({"options", "head"})
"""Those that may be refused all the same."""

_FIELDS: Final[dict[str, bytes]] = {
    "both lengths": _LENGTH + _CHUNKED,
    "two equal lengths": _LENGTH + _LENGTH,
    "two unequal lengths": b"Content-Length: 5\r\n" + _LENGTH,
    "a list of lengths": b"Content-Length: 5, 5\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "a signed length": b"Content-Length: +5\r\n",
    "a hexadecimal length": b"Content-Length: 0x5\r\n",
    "a length of 30 digits": b"Content-Length: 999999999999999999999999999999\r\n",
    "an empty length": b"Content-Length:\r\n",
    "a length with a line feed": b"Content-Length: 5\n\r\n",
    "TE twice": _CHUNKED + _CHUNKED,
    "TE gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "TE chunked, identity": b"Transfer-Encoding: chunked, identity\r\n",
    "TE identity": b"Transfer-Encoding: identity\r\n",
    "TE xchunked": b"Transfer-Encoding: xchunked\r\n",
    "TE with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "TE in quotes": b'Transfer-Encoding: "chunked"\r\n',
    "TE with a space before the colon": b"Transfer-Encoding : chunked\r\n",
    "TE folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "a length folded": b"Content-Length:\r\n 5\r\n",
    "obs-fold": b"X-A: b\r\n c\r\n",
    "a line that begins with a space": b" X-A: b\r\n",
    "a line without a colon": b"X-A\r\n",
    "an empty name": b": b\r\n",
    "NUL in a value": b"X-A: b\0c\r\n",
    "NUL in a name": b"X\0A: b\r\n",
    "CR in a value": b"X-A: b\rc\r\n",
    "LF as the line's end": b"X-A: b\nX-C: d\r\n",
    "bytes above 127": b"X-A: \xff\xfe\r\n",
    "a name above 127": b"X-\xc3\xa4: b\r\n",
    "two hosts": b"Host: b\r\n",
    "two tokens": b"Authorization: Bearer @TOKEN@\r\n",
    "two tokens of two kinds": b"Authorization: Basic YTpi\r\n",
    "an api key beside the token": b"X-Api-Key: @TOKEN@\r\n",
    "an odd expectation": b"Expect: 200-maybe\r\n" + _LENGTH,
    "upgrade to websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "connection drops the token": b"Connection: close, Authorization\r\n",
    "a request id of all bytes": b"X-Request-Id: a\x01b\r\n",
    "a long request id": b"X-Request-Id: " + b"a" * 5_000 + b"\r\n",
    "a hundred kilobytes of value": b"X-A: " + b"a" * 100_000 + b"\r\n",
    "a thousand fields": b"".join(b"X-%d: a\r\n" % number for number in range(1_000)),
    "forwarded by anybody": b"X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Real-Ip: 127.0.0.1\r\n",
    "a compressed body": b"Content-Encoding: gzip\r\n" + _LENGTH,
    "two content types": b"Content-Type: text/plain\r\n" + _JSON + _LENGTH,
}
_LINES: Final[dict[str, bytes]] = {
    "no version": b"GET /v1/models",
    "version 0.9": b"GET /v1/models HTTP/0.9",
    "version 2.0": b"GET /v1/models HTTP/2.0",
    "version 1.10": b"GET /v1/models HTTP/1.10",
    "a small http": b"GET /v1/models http/1.1",
    "two spaces": b"GET  /v1/models HTTP/1.1",
    "a tab": b"GET\t/v1/models\tHTTP/1.1",
    "a method of its own": b"BREW /v1/models HTTP/1.1",
    "a long method": b"A" * 2_000 + b" /v1/models HTTP/1.1",
    "a small method": b"get /v1/models HTTP/1.1",
    "no target": b"GET  HTTP/1.1",
    "a fragment": b"GET /v1/models#x HTTP/1.1",
    "a NUL": b"GET /v1/models\0 HTTP/1.1",
    "bytes above 127": b"GET /\xff\xfe HTTP/1.1",
    "a path that climbs": b"GET /health/../v1/models HTTP/1.1",
    "an encoded path that climbs": b"GET /health/%2e%2e/v1/models HTTP/1.1",
    "double slashes": b"GET //v1//models HTTP/1.1",
    "a semicolon": b"GET /v1/models;/health/ready HTTP/1.1",
    "a long target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
    "connect": b"CONNECT a:443 HTTP/1.1",
    "authority form": b"GET a:443 HTTP/1.1",
    "another scheme": b"GET file:///etc/passwd HTTP/1.1",
    "a token in the query": b"GET /v1/models?access_token=@TOKEN@ HTTP/1.1",
    "trace": b"TRACE /v1/models HTTP/1.1",
    "http/2 preface": b"PRI * HTTP/2.0",
}
_BODIES: Final[dict[str, bytes]] = {
    "no chunk size": b"\r\nhello\r\n0\r\n\r\n",
    "a chunk size of 20 digits": b"fffffffffffffffffff\r\nhello",
    "a negative chunk size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a space": b"5 \r\nhello\r\n0\r\n\r\n",
    "a chunk longer than said": b"3\r\nhello\r\n0\r\n\r\n",
    "a chunk shorter than said": b"8\r\nhello\r\n0\r\n\r\n",
    "a chunk with a line feed": b"5\nhello\n0\n\n",
    "a chunk extension without end": b"5;" + b"a" * 70_000 + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk extension with a CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "trailers that frame": b"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a trailer that authorises": b"0\r\nAuthorization: Bearer @TOKEN@\r\n\r\n",
    "trailers without end": b"0\r\n" + b"X-A: b\r\n" * 10_000,
    "no last chunk": b"5\r\nhello\r\n",
    "a last chunk of many zeros": b"000000000000000000000000000000000\r\n\r\n",
}

BAD: Final[dict[str, bytes]] = {
    **{f"field: {name}": _HEAD + fields + b"\r\n" + _BODY for name, fields in _FIELDS.items()},
    **{f"GET, field: {name}": _GET + fields + b"\r\n" for name, fields in _FIELDS.items()},
    **{
        f"line: {name}": line + b"\r\nHost: a\r\nAuthorization: Bearer @TOKEN@\r\n\r\n" for name, line in _LINES.items()
    },
    **{f"body: {name}": _HEAD + _CHUNKED + b"\r\n" + body for name, body in _BODIES.items()},
    "TE on HTTP/1.0": _HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + _CHUNKED + b"\r\n" + _CHUNKS,
    "no host": b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer @TOKEN@\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "SOCKS": b"\x05\x01\x00",
    "proxy protocol": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + _GET + b"\r\n",
    "line feeds alone": (_GET + b"\r\n").replace(b"\r\n", b"\n"),
    "empty lines first": b"\r\n" * 100 + _GET + b"\r\n",
    "nothing": b"",
    "half a head": _GET,
    "half a body": _HEAD + _LENGTH + b"\r\n" + _BODY[:10],
    "twenty requests in one segment": (_GET + b"\r\n") * 20,
    "a smuggled request": _HEAD
    + _CHUNKED
    + b"Content-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
}
"""Requests by name, most of which must be refused; none may do harm."""
