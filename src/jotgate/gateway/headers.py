"""Which header fields cross the gateway. Both ways by allow-list; the caller's credential and identity never cross."""

from functools import lru_cache
from typing import Final

# What an upstream needs to understand the request. Accept-Encoding is missing on purpose: usage is read from text.
_TO_UPSTREAM: Final = (b"accept", b"openai-beta", b"traceparent", b"tracestate")

_TO_CALLER: Final = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"cache-control",
        b"openai-processing-ms",
        b"openai-version",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
    }
)


def request_id_line(request_id: str) -> bytes:
    """The header line that names the request."""
    return b"X-Request-Id: %b\r\n" % request_id.encode("ascii")


def lines_to_upstream(headers: dict[bytes, bytes], request_id: str) -> bytes:
    """Header lines of the outgoing request, with the request id under which the call is recorded."""
    lines = b"X-Request-Id: %b\r\n" % request_id.encode("ascii")
    for name in _TO_UPSTREAM:
        if name in headers:
            lines += b"%b: %b\r\n" % (name, headers[name])
    return lines


def lines_to_caller(headers: list[tuple[bytes, bytes]], request_id: str) -> bytes:
    """Header lines of the answer."""
    lines = b"X-Request-Id: %b\r\n" % request_id.encode("ascii")
    for name, value in headers:
        if name in _TO_CALLER:
            lines += b"%b: %b\r\n" % (name, value)
    return lines


def has_coding(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the answer has a Content-Encoding, so that its bytes are not the text that they stand for."""
    return any(name == b"content-encoding" for name, _ in headers)


def content_type(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The answer's media type without parameters, in lower case; empty when it names none."""
    for name, value in headers:
        if name == b"content-type":
            return _media_type(value)
    return b""


@lru_cache(maxsize=64)
def _media_type(value: bytes) -> bytes:
    return value.partition(b";")[0].strip().lower()
