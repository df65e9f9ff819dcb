"""The way through an HTTP proxy: CONNECT and TLS behind it (RFC 9110 s9.3.6), or the lines that plain requests need."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import Final, TypeVar

from jotgate.core.routes import Proxy

_HEAD_BYTES_MAX: Final = 16_384
_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


def proxy_lines(proxy: Proxy) -> str:
    """The header lines that the proxy itself wants (RFC 7617 s2)."""
    if proxy.credential is None:
        return ""
    pair = b64encode(proxy.credential.reveal().encode("ascii")).decode("ascii")
    return f"Proxy-Authorization: Basic {pair}\r\n"


async def open_tunnel(
    loop: asyncio.AbstractEventLoop,
    proxy: Proxy,
    address: tuple[str, int],
    tls: ssl.SSLContext,
    make: Callable[[], _Protocol],
) -> tuple[asyncio.Transport, _Protocol]:
    """Connect to an address through the proxy, speak TLS with whom is there, and put a protocol on it.

    As `loop.start_tls` leaves it, the protocol has not been told of its transport.

    Raises:
        OSError: the proxy cannot be reached or refuses, or TLS cannot be agreed on.
    """
    host, port = address
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{proxy_lines(proxy)}\r\n"
    secured: asyncio.Transport | None = None
    transport, tunnel = await loop.create_connection(lambda: _Tunnel(loop), proxy.host, proxy.port)
    try:
        transport.write(request.encode("ascii"))
        await tunnel.open
        protocol = make()
        secured = await loop.start_tls(transport, protocol, tls, server_hostname=host)
    finally:
        if secured is None:
            transport.abort()
    if secured is None:
        raise ConnectionAbortedError("the connection was closed while TLS began")
    return secured, protocol


class _Tunnel(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT. `open` is done when the other end is there, or raises ConnectionError."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.open: asyncio.Future[None] = loop.create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while not self.open.done():
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                if len(self._received) > _HEAD_BYTES_MAX:
                    self._refuse("with a head that does not end")
                return
            version, _, words = head.partition(b" ")
            status = words[:3]
            if version not in (b"HTTP/1.1", b"HTTP/1.0") or not status.isdigit():
                self._refuse("with something that is not HTTP/1.1")
            elif status.startswith(b"1"):
                self._received = rest
            elif not status.startswith(b"2"):
                self._refuse(f"with {status.decode('ascii')}")
            elif rest:
                self._refuse("and went on to speak before TLS began")
            else:
                self.open.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if not self.open.done():
            self._refuse("by closing the connection")

    def _refuse(self, how: str) -> None:
        self.open.set_exception(ConnectionRefusedError(f"the proxy answered CONNECT {how}"))
