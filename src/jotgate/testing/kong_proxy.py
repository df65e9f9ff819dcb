"""The port of Kong's gateway: a request meets its plugins in their order, and gets to its service or does not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from jotgate.testing import kong_limits
from jotgate.testing.kong_jwt import IDENTITY, LetIn, ProxyAsk, Stopped, authenticate
from jotgate.testing.kong_routes import Match, matched, plugin_for
from jotgate.testing.kong_told import KongTold
from jotgate.testing.kong_values import Row
from jotgate.testing.kong_wire import headers_of, method_of, told
from jotgate.testing.upstream import Answer, Gate, Received, Step, UpstreamServer

_GROUPS: Final = "X-Consumer-Groups"
_HOPS: Final = frozenset({"connection", "keep-alive", "te", "transfer-encoding", "upgrade", "host", "content-length"})
_BODILESS: Final = frozenset({204, 304})


class ProxyServer(UpstreamServer):
    """The gateway on a port of its own."""

    def __init__(self, kong: KongTold, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host)
        self.port = port
        self._kong = kong
        self._rates = kong_limits.Rates()
        self._under_way: set[asyncio.Task[None]] = set()

    def asked(self, request: Received) -> Answer:
        super().asked(request)
        path, _, query = request.target.partition("?")
        ask = ProxyAsk(method_of(request), path, query, headers_of(request), request.body)
        match = matched(self._kong.store, ask)
        try:
            if match is None:
                raise kong_limits.stopped(404, "no Route matched with those values")
            told_upstream, lines = self._meet(ask, match)
        except Stopped as stop:
            return told(stop.status, stop.body, *stop.lines, bodiless=ask.method == "HEAD")
        return self._relayed(ask, match, told_upstream, lines)

    def _meet(self, ask: ProxyAsk, match: Match) -> tuple[dict[str, str], tuple[bytes, ...]]:
        """Every plugin in its turn: what the service is told, and what the answer is told beside."""
        store = self._kong.store
        jwt = plugin_for(store, "jwt", match, None)
        caller = LetIn()
        headers: dict[str, str] = {}
        if jwt is not None:
            caller = authenticate(jwt["config"], ask, store, int(self._kong.now_s()), caller)
            headers = caller.headers
        acl = plugin_for(store, "acl", match, caller.consumer)
        if acl is not None:
            groups = kong_limits.let_through(acl["config"], caller, store)
            headers |= {_GROUPS: groups} if groups is not None else {}
        rates = plugin_for(store, "rate-limiting", match, caller.consumer)
        lines: tuple[bytes, ...] = ()
        if rates is not None:
            lines = self._rates.take(rates, ask, caller, match.service, self._kong.now_s())
        return headers, lines

    # Getting to the service

    def _relayed(self, ask: ProxyAsk, match: Match, headers: dict[str, str], lines: tuple[bytes, ...]) -> Answer:
        """The answer of the service, piece by piece as it comes."""
        stripped = {name.lower() for name in IDENTITY} if headers else set()
        raw = _request(ask, match, headers, stripped)
        line = _Relay()
        task = asyncio.get_running_loop().create_task(line.fetch(match.service, raw, lines, head=ask.method == "HEAD"))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return line.steps()


class _Relay:
    """One answer on its way back: what has come of it, and a gate for what has not."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._news = Gate()
        self._over = False

    def steps(self) -> Iterator[Step]:
        """The pieces, each when it is there."""
        while True:
            yield self._news
            self._news = Gate()
            pieces, self._pieces = self._pieces, []
            yield from pieces
            if self._over and not self._pieces:
                return

    async def fetch(self, service: Row, raw: bytes, lines: tuple[bytes, ...], *, head: bool) -> None:
        """Ask the service, and hand on what it says."""
        try:
            async for piece in _answer(service, raw, lines, head=head):
                self._put(piece)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            if not self._pieces:
                message = {"message": "An invalid response was received from the upstream server"}
                self._put(b"".join(step for step in told(502, message) if isinstance(step, bytes)))
        self._over = True
        self._put(b"")

    def _put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if not self._news.is_open:
            self._news.open()


def _request(ask: ProxyAsk, match: Match, headers: dict[str, str], stripped: set[str]) -> bytes:
    """The request as the service gets it: the token unchanged, and nobody's word for who asks but the plugins'."""
    query = f"?{ask.query}" if ask.query else ""
    host = ask.header("host") if match.route["preserve_host"] else f"{match.service['host']}:{match.service['port']}"
    kept = [
        f"{name}: {value}"
        for name, values in ask.headers.items()
        if name not in _HOPS and name not in stripped and name not in {one.lower() for one in headers}
        for value in values
    ]
    lines = [
        f"{ask.method} {match.upstream_path(ask.path)}{query} HTTP/1.1",
        f"Host: {host}",
        *kept,
        *(f"{name}: {value}" for name, value in headers.items()),
        f"X-Forwarded-Host: {ask.header('host')}",
        f"Content-Length: {len(ask.body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + ask.body


async def _answer(service: Row, raw: bytes, lines: tuple[bytes, ...], *, head: bool) -> AsyncIterator[bytes]:
    reader, writer = await asyncio.open_connection(service["host"], service["port"])
    try:
        writer.write(raw)
        opening = await reader.readuntil(b"\r\n\r\n")
        added = b"".join(b"%b\r\n" % line for line in (*lines, b"Via: 1.1 kong/3.9.1", b"X-Kong-Upstream-Latency: 1"))
        yield opening[:-2] + added + b"\r\n"
        if head or int(opening.split(b" ", 2)[1]) in _BODILESS:
            return
        async for piece in _body(reader, opening.lower()):
            yield piece
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, opening: bytes) -> AsyncIterator[bytes]:
    if b"\r\ntransfer-encoding: chunked" in opening:
        size = -1
        while size != 0:
            line = await reader.readuntil(b"\r\n")
            size = int(line.strip(), 16)
            yield line + await reader.readexactly(size + 2)
        return
    length = next((int(line[15:]) for line in opening.split(b"\r\n") if line.startswith(b"content-length:")), None)
    if length is not None:
        yield await reader.readexactly(length)
        return
    raise ValueError("an answer without a length")
