"""A WebSocket to an upstream: asked for on a connection of its own, then spoken on as a client speaks (RFC 6455)."""

import asyncio
from base64 import b64encode
from typing import Final, cast

import httptools

from jotgate.core.calls import ResponseHead
from jotgate.core.websocket_frames import (
    ABNORMAL,
    NO_STATUS,
    NORMAL,
    FrameReader,
    FrameRefused,
    write_close,
    write_frame,
)
from jotgate.core.websocket_handshake import VERSION, accept_of
from jotgate.errors import UpstreamError, UpstreamTorn, UpstreamUnavailable
from jotgate.ports import Entropy, Stopping
from jotgate.socket_ports import SocketAsker, SocketEvents
from jotgate.upstreams.transport import DialledProtocol

MESSAGE_BYTES_MAX: Final = 33_554_432
"""A longer message of an upstream is refused."""
_REFUSAL_BYTES_MAX: Final = 65_536
_FAREWELL_S: Final = 1.0
_SWITCHING: Final = 101
_KEY_BYTES: Final = 16
_MASK_BYTES: Final = 4


class ClientSocket(DialledProtocol):
    """One WebSocket to an upstream (socket_ports.Socket, ports.UpstreamExchange).

    Mutable: how far its handshake has come, the frames that are not whole, who is told.
    """

    def __init__(self, head: bytes, asker: SocketAsker, entropy: Entropy) -> None:
        """`head` is that of a request, without the lines of the handshake and the empty line."""
        self._entropy = entropy
        self._key = b64encode(entropy.random_bytes(_KEY_BYTES))
        self._request = (
            b"%bUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: %b\r\nSec-WebSocket-Key: %b\r\n\r\n"
            % (head, VERSION, self._key)
        )
        self._asker: SocketAsker | None = asker
        self._events: SocketEvents | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._refusal = b""
        self._received = 0
        self._whole = False
        self._reader = FrameReader(MESSAGE_BYTES_MAX, masked=False)
        self._closing = False

    def unreached(self, error: UpstreamError) -> None:
        """There is no connection (transport.DialledProtocol)."""
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.failed(error, False)

    # ports.UpstreamExchange

    @property
    def written(self) -> bool:
        """Whether the upstream may have seen the handshake."""
        return self._transport is not None

    def abort(self) -> None:
        """Give up; nothing follows."""
        self._asker = self._events = None
        if self._transport is not None:
            self._transport.abort()

    def stop(self) -> Stopping:
        """Want no more of it."""
        self.abort()
        return "over"

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._closing:
            self._transport.resume_reading()

    # socket_ports.Socket

    def send(self, message: bytes, *, text: bool = True) -> None:
        """Send a whole message."""
        if self._transport is not None and not self._closing:
            self._transport.write(write_frame("text" if text else "binary", message, self._mask()))

    def close(self, code: int, reason: str) -> None:
        """Say why it ends, and end it; nothing more is told of it."""
        self._events = None
        self._close(code, reason)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._asker is None:
            self._transport.abort()
            return
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._events is not None or self._closing:
            self._hear(data)
        elif self._asker is not None:
            self._take_answer(data)

    def connection_lost(self, exc: Exception | None) -> None:
        asker, self._asker = self._asker, None
        events, self._events = self._events, None
        self._closing = True
        if asker is not None:
            why = "" if exc is None else type(exc).__name__
            asker.failed(UpstreamUnavailable("the upstream closed the connection without an answer", debug=why), True)
        elif events is not None:
            events.ended(ABNORMAL)

    def pause_writing(self) -> None:
        if self._events is not None:
            self._events.slowed()

    def resume_writing(self) -> None:
        if self._events is not None:
            self._events.hastened()

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._refusal += body

    def on_message_complete(self) -> None:
        self._whole = True

    # The handshake

    def _take_answer(self, data: bytes) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._open(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as fault:
            self._fail(UpstreamTorn("the upstream's answer is not HTTP/1.1", debug=str(fault)))
            return
        if self._whole:
            self._tell_refusal(self._parser.get_status_code())
        elif self._received > _REFUSAL_BYTES_MAX:
            self._fail(UpstreamTorn("the upstream's answer to a handshake is too large"))

    def _open(self, early: bytes) -> None:
        granted = dict(self._headers)
        if (
            self._parser.get_status_code() != _SWITCHING
            or granted.get(b"upgrade", b"").lower() != b"websocket"
            or granted.get(b"sec-websocket-accept") != accept_of(self._key)
            or b"sec-websocket-extensions" in granted
        ):
            self._fail(UpstreamTorn("the upstream granted another protocol than the WebSocket that was asked for"))
            return
        asker, self._asker = self._asker, None
        assert asker is not None, "only who still asks is answered"
        self._events = asker.opened(self)
        if early:
            self._hear(early)

    def _tell_refusal(self, status: int) -> None:
        asker, self._asker = self._asker, None
        assert self._transport is not None
        assert asker is not None, "only who still asks is answered"
        self._transport.abort()
        asker.received(ResponseHead(status, self._headers, len(self._refusal)), self._refusal, True)

    def _fail(self, error: UpstreamError) -> None:
        asker, self._asker = self._asker, None
        if self._transport is not None:
            self._transport.abort()
        if asker is not None:
            asker.failed(error, True)

    # What is heard

    def _hear(self, data: bytes) -> None:
        try:
            heard = self._reader.feed(data)
        except FrameRefused as refusal:
            self._end(refusal.code, refusal.reason)
            return
        for one in heard:
            if one.kind == "ping":
                self._write(write_frame("pong", one.data, self._mask()))
            elif one.kind == "close":
                self._answer_close(one.code)
                return
            elif one.kind != "pong" and self._events is not None:
                self._events.said(one.data, text=one.kind == "text")

    def _mask(self) -> bytes:
        """A client's frames are masked with what nobody can foresee (RFC 6455 s5.3)."""
        return self._entropy.random_bytes(_MASK_BYTES)

    def _write(self, frame: bytes) -> None:
        if self._transport is not None and not self._closing:
            self._transport.write(frame)

    def _answer_close(self, code: int) -> None:
        events, self._events = self._events, None
        self._write(write_close(NORMAL if code == NO_STATUS else code, key=self._mask()))
        self._closing = True
        if self._transport is not None:
            self._transport.close()
            if self._transport.get_write_buffer_size():  # It may never be read.
                asyncio.get_running_loop().call_later(_FAREWELL_S, self._transport.abort)
        if events is not None:
            events.ended(code)

    def _end(self, code: int, reason: str) -> None:
        events, self._events = self._events, None
        self._close(code, reason)
        if events is not None:
            events.ended(code)

    def _close(self, code: int, reason: str) -> None:
        transport = self._transport
        if transport is None or self._closing:
            return
        self._write(write_close(code, reason, self._mask()))
        self._closing = True
        transport.resume_reading()
        asyncio.get_running_loop().call_later(_FAREWELL_S, transport.abort)
