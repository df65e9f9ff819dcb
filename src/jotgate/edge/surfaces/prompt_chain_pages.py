"""Which web pages may read answers of the prompt-chaining API, and what they may send (Fetch standard, CORS)."""

from typing import Final

from jotgate.core.calls import Request
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages
from jotgate.edge.surfaces.cors import asked_names

_VARY: Final = b"Vary: Origin\r\n"
_EXPOSED: Final = (
    b"Access-Control-Expose-Headers: X-Request-Id, X-Response-Time, X-First-Byte-Time, Retry-After, WWW-Authenticate, "
    b"X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset\r\n"
)
_WITH_COOKIES: Final = b"Access-Control-Allow-Credentials: true\r\n"
_KEPT: Final = b"Access-Control-Max-Age: 600\r\n"


class PageLines:
    """The header lines for pages of the origins that may read answers; others get none, and their browsers stop."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._credentials = _WITH_COOKIES if pages.credentials else b""
        self._origins = frozenset(origin.encode("ascii") for origin in pages.origins)
        self._everybody = ANY_ORIGIN in pages.origins

    def of_answer(self, request: Request) -> bytes:
        """What an answer says of who may read it; nothing more where it is that of a preflight."""
        if _is_preflight(request):
            return b""
        allowed = self._allowed(request)
        if self._everybody:
            return allowed + _EXPOSED
        if not self._origins:
            return b""
        return _VARY + (allowed + self._credentials + _EXPOSED if allowed else b"")

    def of_preflight(self, request: Request) -> bytes | None:
        """What the answer to a preflight allows; None: the request is none, or no page of anywhere may read answers."""
        if not _is_preflight(request) or not (self._everybody or self._origins):
            return None
        allowed = self._allowed(request)
        if not allowed:
            return b""
        names = self._pages.names
        listed = asked_names(request) if names is None else ", ".join(names).encode("ascii", "replace")
        lines = allowed + self._credentials + _KEPT
        lines += b"Access-Control-Allow-Methods: %b\r\n" % ", ".join(self._pages.methods).encode("ascii")
        return lines + b"Access-Control-Allow-Headers: %b\r\n" % listed if listed else lines

    def _allowed(self, request: Request) -> bytes:
        origin = request.headers.get(b"origin", b"")
        if self._everybody:
            return b"Access-Control-Allow-Origin: *\r\n"
        return b"Access-Control-Allow-Origin: %b\r\n" % origin if origin in self._origins else b""


def _is_preflight(request: Request) -> bool:
    return request.method == b"OPTIONS" and b"access-control-request-method" in request.headers
