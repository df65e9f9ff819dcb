"""Where a request over the web may go: the name in its URL is resolved here, and its addresses are looked at.

The connection goes to one of those that may be asked: what the name resolves to a moment later (DNS rebinding) changes
nothing. The certificate is checked for the name all the same.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from typing import Final

import httpx2

from jotgate.core.reach import DEPTHS, Reach, Way, is_loopback_name, may_lead, reach_of, split_url

LOCATION_CHARS: Final = 200
"""So much of a URL is shown in what is said of it."""
_ADDRESSES_MAX: Final = 4
_PORTS: Final = {"https": 443, "http": 80}


class PlaceRefused(Exception):
    """What was fetched, or asked for, is not to be had; its text is the reason."""


class Place:
    """Where a request goes: its URL, the name in it, and the addresses that may be asked."""

    def __init__(self, url: str, led_by: Way | None) -> None:
        try:
            parts = split_url(url)
        except ValueError as fault:
            raise PlaceRefused(f"the URL {url[:LOCATION_CHARS]!a} {fault}") from None
        self.url = url
        self.host = parts.hostname or ""
        self.port = parts.port or _PORTS[parts.scheme]
        self.authority = parts.netloc
        self.secure = parts.scheme == "https"
        self._led_by = led_by

    async def find(self) -> tuple[Way, list[str]]:
        """How far in the addresses of the host stand, and those that may be asked."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise PlaceRefused(f"the name '{self.host}' cannot be resolved: {error.strerror or error}") from None
        by_reach: dict[Reach, list[str]] = {}
        for *_, address in found:
            reach = reach_of(str(address[0]))
            if reach is not None and (reach == "loopback") == is_loopback_name(self.host):
                by_reach.setdefault(reach, []).append(str(address[0]))
        ways = [Way(reach, self.secure) for reach in DEPTHS if reach in by_reach]
        for way in ways:  # Those further out come first: a name of both is a public one.
            if self._led_by is None or may_lead(self._led_by, way):
                return way, list(dict.fromkeys(by_reach[way.reach]))[:_ADDRESSES_MAX]
        raise PlaceRefused(self._forbidden(bool(by_reach)))

    def _forbidden(self, usable: bool) -> str:
        if not usable:
            return (
                f"'{self.host}' has no address that may be asked: link-local, reserved and cloud metadata addresses "
                "never are, loopback ones only if they, or 'localhost', stand in the URL"
            )
        return f"'{self.url[:LOCATION_CHARS]}' was named by a server further out, or by one under https"

    def at(self, address: str) -> httpx2.URL:
        """The URL with the address in the place of the name."""
        return httpx2.URL(self.url).copy_with(host=address)


class Contexts:
    """What TLS connections to places are made with. Mutable: those made, by their roots."""

    def __init__(self) -> None:
        self._made: dict[str, ssl.SSLContext] = {}

    async def of(self, place: Place, roots: str) -> ssl.SSLContext:
        """TLS 1.2 at least, with these roots or the machine's; loading those takes long, and is done on a thread.

        Raises:
            PlaceRefused: they are none.
        """
        if not place.secure:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        known = self._made.get(roots)
        if known is None:
            known = self._made[roots] = await asyncio.to_thread(make_context, roots)
        return known


async def send_first(client: httpx2.AsyncClient, place: Place, requests: Iterable[httpx2.Request]) -> httpx2.Response:
    """The head of what the first of these requests, one for each address, is answered that can be connected.

    Raises:
        httpx2.TransportError: none can.
        PlaceRefused: there is none.
    """
    fault: httpx2.TransportError | None = None
    for request in requests:
        if place.secure:
            request.extensions["sni_hostname"] = place.host
        try:
            return await client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            fault = error
    raise fault or PlaceRefused(f"'{place.host}' has no address")


def make_context(roots: str) -> ssl.SSLContext:
    """TLS 1.2 at least, with these roots in PEM or, if there are none, the machine's; loading those takes long.

    Raises:
        PlaceRefused: they are none.
    """
    try:
        context = ssl.create_default_context(cadata=roots or None)
    except ssl.SSLError as error:
        raise PlaceRefused(f"the roots for its certificate cannot be used: {error.reason or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
