"""Reads requests to the admin API: strictly, so that nothing is taken for what it is not, nor passed over."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.requests import Request

from jotgate.control.admin.shapes import AdminRoute, Page, Window
from jotgate.errors import (
    BodyTooLarge,
    EncodingRefused,
    MediaTypeRefused,
    PreconditionRequired,
    RequestMalformed,
    TokenMalformed,
    UnknownOperation,
)
from jotgate.jose.encoding import b64url_encode, parse_object

BODY_BYTES_MAX: Final = 65_536
LIMIT_MAX: Final = 200
ETAG_PATTERN: Final = '(W/)?"[!#-~]*"'
"""An entity tag (RFC 9110 s8.8.3), without what no tag of ours has."""
_NAME_CHARS_MAX: Final = 512
_CURSOR_CHARS_MAX: Final = 4_096
_FILTER_BYTES_MAX: Final = 512
_ETAG: Final = re.compile(ETAG_PATTERN)
_VERSION: Final = re.compile(r'"v([0-9]{1,18})"')
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_MEMBER: Final = re.compile(r" - at `\$\.?(.*)`$")
_ANY: Final = "*"
_NEVER: Final = -1


def etag_of(version: int) -> str:
    """The ETag of a version (RFC 9110 s8.8.3); it is a strong one."""
    return f'"v{version}"'


def read_version(values: Sequence[str]) -> int | None:
    """The version in If-Match, which must be there (RFC 9110 s13.1.1); None: whatever is there.

    An ETag of somebody else's making is a version that no record has.

    Raises:
        PreconditionRequired: it is not there.
        RequestMalformed: it is none, or names several.
    """
    if not values:
        raise PreconditionRequired("this changes a record, and the request does not say which version of it")
    text = values[0].strip()
    if len(values) > 1 or "," in text:
        raise RequestMalformed("If-Match names more than one ETag, and one version is changed at a time")
    if text == _ANY:
        return None
    if not _ETAG.fullmatch(text):
        raise RequestMalformed("If-Match is neither an ETag, which stands in quotes, nor '*'")
    found = _VERSION.fullmatch(text)
    return _NEVER if found is None else int(found[1])


def read_names(route: AdminRoute, raw: Mapping[str, str]) -> dict[str, str]:
    """The names in a path, percent-decoded once.

    Raises:
        UnknownOperation: one is not UTF-8, or is what no record is called.
    """
    found = {}
    for name in route.names:
        try:
            text = unquote_to_bytes(raw[name]).decode("utf-8")
        except UnicodeDecodeError:
            raise UnknownOperation("a name in this path is not UTF-8") from None
        if not text.isprintable() or len(text) > _NAME_CHARS_MAX:
            raise UnknownOperation("a name in this path is too long, or has signs that no name has")
        found[name] = text
    return found


def read_query(route: AdminRoute, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a query. Raises RequestMalformed: one is unknown here, or stands twice."""
    known = {one.name for one in route.filters} | ({"limit", "cursor"} if route.paged else set())
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            what = f"the parameters are: {', '.join(sorted(known))}" if known else "there are none here"
            raise RequestMalformed("the query has an unknown parameter", hint=what[0].upper() + what[1:])
        if name in found:
            raise RequestMalformed(f"the parameter '{name}' stands twice in the query")
        most = _CURSOR_CHARS_MAX if name == "cursor" else _FILTER_BYTES_MAX
        if not value.isprintable() or not 1 <= len(value.encode()) <= most:
            raise RequestMalformed(f"the parameter '{name}' is empty, too long, or not plain text")
        found[name] = value
    return found


def read_window(route: AdminRoute, query: Mapping[str, str]) -> Window:
    """Which part of a list is wanted.

    Raises:
        RequestMalformed: the limit is not from 1 to 200, or the cursor is none that this list gave out.
    """
    text = query.get("limit", str(Window().limit))
    if not _LIMIT.fullmatch(text) or int(text) > LIMIT_MAX:
        raise RequestMalformed(f"'limit' is not a whole number from 1 to {LIMIT_MAX}")
    cursor = query.get("cursor")
    return Window("" if cursor is None else _read_cursor(route, cursor), int(text))


def page(route_name: str, window: Window, found: Sequence[tuple[str, Any]]) -> Page[Any]:
    """A part of a list out of keys and items, of which there is one more than wanted if there are more."""
    shown = found[: window.limit]
    more = len(found) > window.limit
    cursor = write_cursor(route_name, shown[-1][0]) if more else None
    return Page(tuple(item for _, item in shown), cursor)


def write_cursor(route_name: str, key: str) -> str:
    """What leads on behind a key: opaque, and for this list alone."""
    return b64url_encode(f"{route_name} {key}".encode()).decode("ascii")


async def read_body(route: AdminRoute, request: Request) -> tuple[bytes, Any]:
    """The body of a request, and what it says.

    Raises:
        BodyTooLarge, EncodingRefused, MediaTypeRefused: it is not looked into.
        RequestMalformed: it is not strict JSON, or not of the form that is wanted here.
    """
    raw = await _read_bytes(request)
    if route.body is None:
        if raw:
            raise RequestMalformed("this takes no body")
        return raw, None
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodingRefused("the body has a Content-Encoding, and is taken without one")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise MediaTypeRefused("the body is not of the type application/json")
    return raw, decode_strictly(raw, route.body)


def decode_strictly(raw: bytes, kind: Any) -> Any:
    """A body of some type. Raises RequestMalformed."""
    try:
        parse_object(raw, "body")  # Refuses what two parsers may read differently; msgspec would take the last of two.
        return msgspec.json.decode(raw, type=kind)
    except TokenMalformed as fault:
        raise RequestMalformed(fault.message) from None
    except msgspec.ValidationError as fault:
        text, member = str(fault), ""
        if found := _MEMBER.search(text):
            text, member = text[: found.start()], found[1]
        where = f" ({member})" if member else ""
        raise RequestMalformed(f"the body is not of the form that is wanted{where}: {text}", param=member) from None
    except msgspec.DecodeError:
        raise RequestMalformed("the body is not JSON") from None


async def _read_bytes(request: Request) -> bytes:
    pieces = b""
    async for piece in request.stream():
        pieces += piece
        if len(pieces) > BODY_BYTES_MAX:
            raise BodyTooLarge(f"the body is longer than {BODY_BYTES_MAX} bytes")
    return pieces


def _read_cursor(route: AdminRoute, cursor: str) -> str:
    unusable = RequestMalformed("'cursor' is none that this list gave out", hint="Begin again without a cursor")
    try:
        padded = cursor.encode("ascii").translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(cursor) % 4)
        text = a2b_base64(padded, strict_mode=True).decode("utf-8")
    except (UnicodeError, Base64Error):
        raise unusable from None
    name, space, key = text.partition(" ")
    if name != route.name or not space or not key.isprintable():
        raise unusable
    return key
