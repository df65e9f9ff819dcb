"""Asks an MCP server something whose whole answer is waited for: what it is, a session, its tools."""

import asyncio
import re
from typing import Final

from msgspec import Struct

from jotgate.core.calls import Outbound, Request, ResponseHead
from jotgate.core.mcp_events import EventCutter, data_of
from jotgate.core.mcp_messages import SESSION_FIELD
from jotgate.core.mcp_reader import Members, find_members, find_number, find_text
from jotgate.core.principals import Principal
from jotgate.errors import UpstreamError, UpstreamTimeout, UpstreamTorn
from jotgate.gateway.headers import content_type, has_coding
from jotgate.gateway.relay import EVENT_STREAM
from jotgate.gateway.world import Place
from jotgate.ports import UpstreamExchange

_ERRORS: Final = 400
_SESSION: Final = re.compile(r"[\x21-\x7e]{0,4096}")
_VERSION: Final = re.compile(r"[\x21-\x7e]{0,64}")


class Asker(Struct, frozen=True):
    """On whose behalf a server is asked: whose credential it is sent may depend on it."""

    principal: Principal
    request: Request


class Reply(Struct, frozen=True):
    """What a server answered: its status, the message in it (None: there is none), and the session that it gave."""

    status: int
    message: Members | None
    session: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    @property
    def result(self) -> Members | None:
        """The members of its result, if it is one."""
        return members_of(self.message, "result")

    @property
    def error_code(self) -> int | None:
        """The code of its error, if it is one."""
        error = members_of(self.message, "error")
        return None if error is None else find_number(error.get("code"))


def members_of(message: Members | None, name: str) -> Members | None:
    """The members of a member that is an object."""
    return None if message is None else find_members(message.get(name))


def read_version(result: Members) -> str:
    """The version that a server of the older era has agreed on; empty: it says none.

    Raises:
        UpstreamTorn: it says something that is no version, and could not stand in a header.
    """
    raw = result.get("protocolVersion")
    version = "" if raw is None else find_text(raw)
    if version is None or not _VERSION.fullmatch(version):
        raise UpstreamTorn("the server's 'protocolVersion' is none")
    return version


async def ask(place: Place, asker: Asker, outbound: Outbound, bytes_max: int) -> Reply:
    """Send a message and wait for its whole answer.

    Raises:
        UpstreamError: there is none, or it is too large.
    """
    gathering = _Gathering(asker, bytes_max)
    exchange: UpstreamExchange = place.port.begin(outbound, gathering)
    try:
        async with asyncio.timeout(place.upstream.first_byte_timeout_s):
            return await gathering.whole
    except TimeoutError:
        raise UpstreamTimeout("the server sent no answer before the first-byte deadline") from None
    finally:
        exchange.abort()


class _Gathering:
    """The answer to one message (ports.CallerEvents). Mutable: what has come of it."""

    def __init__(self, asker: Asker, bytes_max: int) -> None:
        self.principal: Final = asker.principal
        self.request: Final = asker.request
        self.whole: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._bytes_max = bytes_max
        self._cutter: EventCutter | None = None

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Take what came; of a stream, the response in it is all that is waited for."""
        if self.whole.done():
            return
        if head is not None:
            self._head = head
            if has_coding(head.headers) and head.status < _ERRORS:
                self.whole.set_exception(UpstreamTorn("the server's answer has a Content-Encoding, unasked"))
                return
            if content_type(head.headers) == EVENT_STREAM:
                self._cutter = EventCutter(self._bytes_max)
        self._size += len(piece)
        if self._size > self._bytes_max:
            self.whole.set_exception(UpstreamTorn("the server's answer is too large"))
        elif self._cutter is not None:
            self._read_events(self._cutter, piece, complete=complete)
        else:
            self._pieces.append(piece)
            if complete:
                self._finish(b"".join(self._pieces))

    def failed(self, error: UpstreamError, written: bool) -> None:  # noqa: ARG002 - the port has both
        """There is no answer."""
        if not self.whole.done():
            self.whole.set_exception(error)

    def _read_events(self, cutter: EventCutter, piece: bytes, *, complete: bool) -> None:
        try:
            events = cutter.feed(piece)
        except UpstreamTorn as torn:
            self.whole.set_exception(torn)
            return
        for event in events:
            data = data_of(event)
            if not data:
                continue
            message = find_members(data)
            if message is None:
                self.whole.set_exception(UpstreamTorn("an event of the server's answer is no message"))
                return
            if "method" not in message:
                self._finish(data)
                return
        if complete:
            self._finish(b"")

    def _finish(self, body: bytes) -> None:
        assert self._head is not None, "a body follows a head"
        headers = tuple(self._head.headers)
        session = next((value.decode("latin-1") for name, value in headers if name == SESSION_FIELD), "")
        if not _SESSION.fullmatch(session):
            self.whole.set_exception(UpstreamTorn("the server's 'Mcp-Session-Id' is none"))
            return
        self.whole.set_result(Reply(self._head.status, find_members(body), session, headers, body))
