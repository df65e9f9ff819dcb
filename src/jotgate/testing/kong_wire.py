"""How Kong's stand-in reads requests and writes answers on both of its ports."""

from typing import Final

import msgspec

from jotgate.testing.kong_values import Row
from jotgate.testing.upstream import Received, Step

_SERVER: Final = b"Server: kong/3.9.1"
_JSON: Final = b"Content-Type: application/json; charset=utf-8"


def method_of(request: Received) -> str:
    """The method of a request."""
    return request.head.split(b" ", 1)[0].decode("ascii")


def headers_of(request: Received) -> dict[str, tuple[str, ...]]:
    """The header fields by lower-case name; those that stand several times in their order."""
    fields: dict[str, tuple[str, ...]] = {}
    for line in request.head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields[name.lower()] = (*fields.get(name.lower(), ()), value.strip())
    return fields


def told(status: int, body: Row | None, *lines: bytes, bodiless: bool = False) -> list[Step]:
    """A whole answer; `bodiless`: it is one to HEAD, whose body is only spoken of."""
    if body is None:
        return [_head(status, (_SERVER, *lines))]
    text = msgspec.json.encode(body)
    head = _head(status, (_JSON, b"Content-Length: %d" % len(text), _SERVER, *lines))
    return [head if bodiless else head + text]


def _head(status: int, lines: tuple[bytes, ...]) -> bytes:
    return b"HTTP/1.1 %d Told\r\n%b\r\n\r\n" % (status, b"\r\n".join(lines))
