"""Reads what a proxy asks about, from the fields that its kind writes and from no others.

Which fields are read is said by the path that is asked, never by which of them are there: a proxy passes on what its
callers wrote into those that it does not write itself.
"""

import re
from typing import Final, Literal

from msgspec import Struct

from jotgate.errors import RequestMalformed, UnknownOperation

FORWARD_AUTH: Final = b"/forward-auth"
"""What Caddy and Traefik ask, and nginx with `NGINX`."""
EXT_AUTHZ: Final = b"/ext-authz"
"""What Envoy asks, with the path that it asks about behind."""
NGINX: Final = b"style=nginx"
"""The query by which nginx says that it is nginx."""

Style = Literal["forwarded", "nginx", "prefixed"]
"""Who asks: Caddy or Traefik, nginx, or Envoy."""

_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")  # RFC 9110 s5.6.2
_TARGET: Final = re.compile(rb"/[!-~]*")
_HOST: Final = re.compile(rb"((?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+?))\.?(?::[0-9]{0,5})?")
_REMEDY: Final = "Let the proxy write it, in place of what callers sent; 'jotgate plane' prints its configuration"
_WRITTEN: Final = {
    "forwarded": (b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host"),
    "nginx": (b"x-original-method", b"x-original-uri", b"x-original-host"),
}


class Question(Struct, frozen=True):
    """What a proxy says of the request that it holds.

    `host` is empty where it names none; the last address of `chain` is what the proxy itself has seen.
    """

    method: bytes
    path: bytes
    query: bytes
    host: str
    chain: bytes


def style_of(path: bytes, query: bytes) -> Style | None:
    """Who asks by this path; None: nobody, it is no path of the decision service.

    Raises:
        UnknownOperation: somebody of whom jotgate does not know.
    """
    if path == FORWARD_AUTH:
        if query == NGINX:
            return "nginx"
        if query:
            raise UnknownOperation("this style of /forward-auth is not known", hint="Ask without one, or style=nginx")
        return "forwarded"
    return "prefixed" if path.startswith(EXT_AUTHZ + b"/") else None


def read_question(style: Style, method: bytes, target: tuple[bytes, bytes], headers: dict[bytes, bytes]) -> Question:
    """What is asked about, of the request by which it is asked: its method, path and query, and header fields.

    Raises:
        RequestMalformed: the proxy does not say so, or says it as two kinds of proxies do.
    """
    chain = headers.get(b"x-forwarded-for", b"")
    if not chain:
        raise _unsaid("the caller's address", b"x-forwarded-for")
    if style == "prefixed":
        return Question(method, target[0][len(EXT_AUTHZ) :], target[1], read_host(headers.get(b"host", b"")), chain)
    if style == "nginx" and any(name in headers for name in _WRITTEN["forwarded"][:2]):
        # Caddy asks with its caller's query unless it is told not to: who writes `style=nginx` there would be believed.
        raise RequestMalformed(
            "fields of Caddy or Traefik come with style=nginx, and who asks is not known", hint=_REMEDY
        )
    names = _WRITTEN[style]
    asked = headers.get(names[0], b"")
    if not _METHOD.fullmatch(asked):
        raise _unsaid("the method", names[0])
    uri = headers.get(names[1], b"")
    if not _TARGET.fullmatch(uri):
        raise _unsaid("the path", names[1])
    path, _, query = uri.partition(b"?")
    return Question(asked, path, query, read_host(headers.get(names[2], b"")), chain)


def read_host(value: bytes) -> str:
    """A host without its port, in small letters; empty where there is none, or no one of that form."""
    found = _HOST.fullmatch(value)
    return "" if found is None else found[1].decode("ascii").lower()


def _unsaid(what: str, field: bytes) -> RequestMalformed:
    name = "-".join(part.capitalize() for part in field.decode("ascii").split("-"))
    return RequestMalformed(f"the proxy does not say {what} of the request that it asks about ({name})", hint=_REMEDY)
