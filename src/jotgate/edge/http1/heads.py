"""Checks of a request's head that the parser leaves to its user (RFC 9112, RFC 9110).

httptools accepts the request lines of RTSP and Icecast, repeated and missing Host fields, repeated Authorization fields
and odd transfer codings; here is where they are refused, before anything is decided from them.
"""

import re
from functools import lru_cache
from typing import Final

import httptools

from jotgate.errors import BodyTooLarge, CredentialsAmbiguous, HeadersTooLarge, RequestMalformed

Fields = list[tuple[bytes, bytes]]
HEAD_END: Final = b"\r\n\r\n"

# Fields that decide framing, routing or identity, and so may stand once only.
_SINGLE: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"content-encoding",
        b"expect",
        b"x-request-id",
    }
)
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key"})
# RFC 3986 s3.2.2: a name or IPv4 address, or an address in brackets; no user, which Host does not have.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?")
_LENGTH_DIGITS_MAX: Final = 20
_UPGRADE: Final = frozenset({b"upgrade", b"connection", b"http2-settings"})


def gather_fields(fields: Fields) -> dict[bytes, bytes]:
    """The fields by lower-case name, without the white space behind their values; repeated ones are joined.

    RFC 9112 s5.1, RFC 9110 s5.2. The parser has left out the white space before a value.

    Raises:
        CredentialsAmbiguous: two fields with a credential (RFC 6750 s2).
        RequestMalformed: another field that may not repeat does.
    """
    gathered = {name.lower(): value.rstrip(b" \t") for name, value in fields}
    if len(gathered) == len(fields):
        return gathered
    gathered.clear()
    for written, padded in fields:
        name, value = written.lower(), padded.rstrip(b" \t")
        if name not in gathered:
            gathered[name] = value
        elif name in _CREDENTIALS:
            raise CredentialsAmbiguous("a header field that holds a credential stands twice")
        elif name in _SINGLE:
            raise RequestMalformed("a header field that may stand once is repeated")
        else:
            gathered[name] += b", " + value
    return gathered


def http_version(begun: bytes, method: bytes, target: bytes) -> str:
    """The version of a request from the bytes it begins with, empty lines before it among them (RFC 9112 s2.2, s3).

    `method` and `target` are what the parser read there. It takes more than is said here.

    Raises:
        RequestMalformed: the bytes are not a method, a target and HTTP/1.1 or HTTP/1.0 with one space between.
    """
    start = 0
    while begun.startswith(b"\r\n", start):
        start += 2
    for version in ("1.1", "1.0"):
        if begun.startswith(b"%b %b HTTP/%b\r\n" % (method, target, version.encode("ascii")), start):
            return version
    raise RequestMalformed("the request is not HTTP/1.1", hint="Send HTTP/1.1, or put an HTTP/2 proxy in front")


def message_end(segment: bytes, fields: Fields, body_bytes: int) -> int:
    """Where the message ends that the parser has taken from the beginning of these bytes.

    `fields` are its own, `body_bytes` the length of its body without chunks' framing.
    """
    begin = len(segment) - len(segment.lstrip(b"\r\n"))
    end = segment.index(HEAD_END, begin) + len(HEAD_END)
    if all(name.lower() != b"transfer-encoding" for name, _ in fields):
        return end + body_bytes
    while True:
        line_end = segment.index(b"\r\n", end)
        size = int(segment[end:line_end].partition(b";")[0], 16)
        if not size:
            return segment.index(HEAD_END, line_end) + len(HEAD_END)
        end = line_end + 2 + size + 2


def check_head(headers: dict[bytes, bytes], version: str) -> None:
    """Refuse heads whose host or framing is in doubt (RFC 9112 s3.2, s6.1, s6.3); `version` is 1.1 or 1.0.

    Raises:
        RequestMalformed: says which rule is broken.
    """
    host = headers.get(b"host")
    if host is None:
        if version == "1.1":
            raise RequestMalformed("the request has no Host field")
    elif not _is_host(host):
        raise RequestMalformed("the Host field is no host")
    length = headers.get(b"content-length")
    if length is not None and len(length) > _LENGTH_DIGITS_MAX:
        raise RequestMalformed("the Content-Length is no length")
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return
    if version == "1.0":
        raise RequestMalformed("HTTP/1.0 has no Transfer-Encoding")
    if length is not None:
        raise RequestMalformed("the request has both Content-Length and Transfer-Encoding")
    if coding.lower() != b"chunked":
        raise RequestMalformed("the only transfer coding taken is chunked")


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    """Whether this is a host with a port or without (RFC 9112 s3.2); it may be empty."""
    return _HOST.fullmatch(value) is not None


def head_bytes(target: bytes, fields: Fields) -> int:
    """The length of a head: its target, names and values, and four bytes for each line's colon, space and end."""
    return len(target) + sum(len(name) + len(value) + 4 for name, value in fields)


def fields_without_upgrade(fields: Fields, *, keep_alive: bool) -> bytes:
    """The header lines without the wish for another protocol (RFC 9110 s7.8)."""
    kept = b"".join(b"%b: %b\r\n" % field for field in fields if field[0].lower() not in _UPGRADE)
    return kept if keep_alive else kept + b"Connection: close\r\n"


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target, byte for byte (RFC 9112 s3.2).

    Raises:
        RequestMalformed: neither origin-form, absolute-form nor `*`.
    """
    if target[:1] == b"/" or target == b"*":
        path, _, query = target.partition(b"?")
        return path, query
    try:
        parsed = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise RequestMalformed("the request target is not a path") from None
    if not parsed.schema or not parsed.host:
        raise RequestMalformed("the request target is not a path")
    return parsed.path or b"/", parsed.query or b""


def body_too_large(body_bytes_max: int, size: int) -> BodyTooLarge:
    """The refusal of a body that is longer than this; `size` is as in a BodyTooLarge."""
    return BodyTooLarge(f"the body exceeds {body_bytes_max} bytes", size=size, limit=body_bytes_max)


def fields_too_large(header_bytes_max: int) -> HeadersTooLarge:
    """The refusal of a header section that is longer than this."""
    return HeadersTooLarge(f"the header section exceeds {header_bytes_max} bytes")


def fields_too_many(header_count_max: int) -> HeadersTooLarge:
    """The refusal of a request with more fields than this."""
    return HeadersTooLarge(f"the request has more than {header_count_max} header fields")


def head_without_upgrade(parser: httptools.HttpRequestParser, target: bytes, fields: Fields) -> bytes:
    """The head that the parser has read, without the wish for another protocol (RFC 9110 s7.8)."""
    kept = fields_without_upgrade(fields, keep_alive=parser.should_keep_alive())
    version = parser.get_http_version().encode("ascii")
    return b"%b %b HTTP/%b\r\n%b\r\n" % (parser.get_method(), target, version, kept)
