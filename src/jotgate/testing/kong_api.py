"""The port of Kong's Admin API: requests read, answered by `kong_admin`, or badly where tests say so."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from jotgate.testing.kong_admin import Asked, KongAdmin, Said
from jotgate.testing.kong_errors import UNEXPECTED, KongRefused
from jotgate.testing.kong_forms import read_body
from jotgate.testing.kong_told import KongTold
from jotgate.testing.kong_values import AdminAsk, KongFault, Row
from jotgate.testing.kong_wire import headers_of, method_of, told
from jotgate.testing.upstream import Answer, End, Gate, Pause, Received, Step, UpstreamServer

_CHANGES: Final = frozenset({"POST", "PUT", "PATCH"})
_LATENCY: Final = b"X-Kong-Admin-Latency: 1"


class AdminServer(UpstreamServer):
    """The Admin API on a port of its own."""

    def __init__(self, kong: KongTold, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host)
        self.port = port
        self.admin = KongAdmin(kong.store)
        self._kong = kong

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        method = method_of(request)
        path, _, query = request.target.partition("?")
        fault = self._kong.ill(method, path)
        given: Row = {}
        said: Said | None = None
        if fault is None or fault.done or fault.ill == "slow":
            said, given = self._do(request, method, path, dict(parse_qsl(query)))
        status = said.status if said is not None and fault is None else _status(fault)
        self._kong.asks.append(AdminAsk(method, path, dict(parse_qsl(query)), given, status))
        good = told(said.status, said.body, _LATENCY, bodiless=method == "HEAD") if said is not None else []
        return good if fault is None else list(_spoiled(fault, good))

    def _do(self, request: Received, method: str, path: str, query: Mapping[str, str]) -> tuple[Said, Row]:
        given: Row = {}
        try:
            self._let_in(request)
            form = False
            if method in _CHANGES:
                given, form = read_body(headers_of(request).get("content-type", ("",))[0], request.body)
            return self.admin.answer(Asked(method, path, query, given, form)), given
        except KongRefused as refusal:
            return Said(refusal.status, refusal.body), given

    def _let_in(self, request: Received) -> None:
        if self._kong.admin_header is None:
            return
        name, value = self._kong.admin_header
        if headers_of(request).get(name.lower()) != (value,):
            raise KongRefused(401, {"message": "Invalid credentials. Token or User credentials required"})


def _status(fault: KongFault | None) -> int:
    return fault.status if fault is not None and fault.ill in ("status", "page") else 0


def _spoiled(fault: KongFault, good: list[Step]) -> list[Step]:
    """What comes instead of a good answer."""
    if fault.ill == "status":
        return told(fault.status, {"message": UNEXPECTED})
    if fault.ill == "page":
        text = b"<html><body><h1>%d</h1></body></html>" % fault.status
        head = b"HTTP/1.1 %d Told\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % (fault.status, len(text))
        return [head + text]
    if fault.ill == "silence":
        return [Gate()]
    if fault.ill == "slow":
        return [Pause(fault.span_s), *good]
    if fault.ill == "malformed":
        text = b'{"data":[{"id":'
        return [b"HTTP/1.1 200 Told\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text]
    return [End("reset" if fault.ill == "reset" else "close")]
