"""Fetches documents of other issuers over HTTPS: in a bounded time, of a bounded size, and only from where they may be.

Each name is resolved here, its addresses are looked at, and the connection goes to one of those that may be asked: what
the name resolves to a moment later (DNS rebinding) changes nothing. The certificate is checked for the name all the
same. No cookie, no credential, no proxy of the environment; of a redirect, the new place is looked at as the first.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

import httpx2

from jotgate.core.key_fetches import Failed, Get, Got, Unchanged
from jotgate.core.reach import DEPTHS, PUBLIC_WAY, Reach, Way, is_loopback_name, may_lead, reach_of, split_url

BYTES_MAX: Final = 262_144
_REDIRECTS_MAX: Final = 3
_ADDRESSES_MAX: Final = 4
_LOCATION_CHARS: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_SECONDS_DIGITS_MAX: Final = 10
_NOT_MODIFIED: Final = 304
_LOOK_UP_S: Final = 5.0
_PORTS: Final = {"https": 443, "http": 80}


class _Refused(Exception):
    """What was fetched, or asked for, is not to be had; its text is the reason."""


class _Place:
    """Where a request goes: its URL, the name in it, and the addresses that may be asked."""

    def __init__(self, url: str, led_by: Way | None) -> None:
        try:
            parts = split_url(url)
        except ValueError as fault:
            raise _Refused(f"the URL {url[:_LOCATION_CHARS]!a} {fault}") from None
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
            raise _Refused(f"the name '{self.host}' cannot be resolved: {error.strerror or error}") from None
        by_reach: dict[Reach, list[str]] = {}
        for *_, address in found:
            reach = reach_of(str(address[0]))
            if reach is not None and (reach == "loopback") == is_loopback_name(self.host):
                by_reach.setdefault(reach, []).append(str(address[0]))
        ways = [Way(reach, self.secure) for reach in DEPTHS if reach in by_reach]
        for way in ways:  # Those further out come first: a name of both is a public one.
            if self._led_by is None or may_lead(self._led_by, way):
                return way, list(dict.fromkeys(by_reach[way.reach]))[:_ADDRESSES_MAX]
        raise _Refused(self._forbidden(bool(by_reach)))

    def _forbidden(self, usable: bool) -> str:
        if not usable:
            return (
                f"'{self.host}' has no address that may be asked: link-local, reserved and cloud metadata addresses "
                "never are, loopback ones only if they, or 'localhost', stand in the URL"
            )
        return f"'{self.url[:_LOCATION_CHARS]}' was named by a server further out, or by one under https"

    def at(self, address: str) -> httpx2.URL:
        """The URL with the address in the place of the name."""
        return httpx2.URL(self.url).copy_with(host=address)


class KeyWeb:
    """The web as issuers' keys are fetched from it (ports.KeyFetch). Mutable: the TLS contexts made, by their roots."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def get(self, get: Get) -> Got | Unchanged | Failed:
        """Do one conditional GET, redirects included."""
        shown = ascii(get.location[:_LOCATION_CHARS])
        try:
            async with asyncio.timeout(get.timeout_s):
                return await self._follow(get)
        except TimeoutError:
            return Failed(f"{shown} took longer than it may, {get.timeout_s:.3g} s")
        except _Refused as refusal:
            return Failed(str(refusal))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return Failed(f"{shown} cannot be had: {str(error) or type(error).__name__}")

    async def look_up(self, url: str) -> str:
        """Why a URL leads to no public address over https at this moment; empty when it does.

        Nothing is asked there, and a later `get` looks again.
        """
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                await _Place(url, PUBLIC_WAY).find()
        except TimeoutError:
            return f"has a name that was not resolved within {_LOOK_UP_S:g} s"
        except (_Refused, UnicodeError) as refusal:
            return f"is refused: {refusal}"
        return ""

    async def _follow(self, get: Get) -> Got | Unchanged:
        url, led_by = get.location, get.led_by
        for _ in range(_REDIRECTS_MAX + 1):
            place = _Place(url, led_by)
            way, addresses = await place.find()
            answer = await self._ask(place, way, addresses, get)
            if not isinstance(answer, str):
                return answer
            url, led_by = urljoin(url, answer), way
        raise _Refused(f"{get.location[:_LOCATION_CHARS]!a} redirects more than {_REDIRECTS_MAX} times")

    async def _ask(self, place: _Place, way: Way, addresses: list[str], get: Get) -> Got | Unchanged | str:
        """What the first address that can be connected to answers; a text is where it redirects to."""
        context = await self._context(get.roots) if place.secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False)
        timeout = httpx2.Timeout(get.timeout_s, connect=get.timeout_s / len(addresses))
        async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client:
            response = await _connect(client, place, addresses, get)
            try:
                return await _read(place, way, get, response)
            finally:
                await response.aclose()

    async def _context(self, roots: str) -> ssl.SSLContext:
        """TLS 1.2 at least, with these roots or the machine's; loading those takes long, and is done on a thread."""
        known = self._contexts.get(roots)
        if known is None:
            known = await asyncio.to_thread(_make_context, roots)
            self._contexts[roots] = known
        return known


def _make_context(roots: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=roots or None)
    except ssl.SSLError as error:
        raise _Refused(f"the roots for its certificate cannot be used: {error.reason or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _connect(client: httpx2.AsyncClient, place: _Place, addresses: list[str], get: Get) -> httpx2.Response:
    """The head of what the first address answers that can be connected to."""
    fault: httpx2.TransportError | None = None
    for address in addresses:
        extensions = {"sni_hostname": place.host} if place.secure else {}
        request = client.build_request("GET", place.at(address), headers=_headers(place, get), extensions=extensions)
        try:
            return await client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            fault = error
    raise fault or _Refused(f"'{place.host}' has no address")


def _headers(place: _Place, get: Get) -> dict[str, str]:
    headers = {
        "Host": place.authority,
        "Accept": "application/jwk-set+json, application/json",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        "Connection": "close",
        "User-Agent": "jotgate",
    }
    if get.etag:
        headers["If-None-Match"] = get.etag
    if get.modified:
        headers["If-Modified-Since"] = get.modified
    return headers


async def _read(place: _Place, way: Way, get: Get, response: httpx2.Response) -> Got | Unchanged | str:
    status, headers = response.status_code, response.headers
    shown = f"'{place.url[:_LOCATION_CHARS]}'"
    max_age_s = read_max_age_s(headers)
    if status == _NOT_MODIFIED and (get.etag or get.modified):
        return Unchanged(max_age_s)
    if status in _REDIRECTS and "location" in headers:
        return str(headers["location"])
    if status != _OK:
        raise _Refused(f"{shown} answered {status}")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Refused(f"{shown} answered in a Content-Encoding that was not asked for")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > BYTES_MAX:
        raise _Refused(f"{shown} answered with {length} bytes; at most {BYTES_MAX} are taken")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > BYTES_MAX:
            raise _Refused(f"{shown} answered with more than {BYTES_MAX} bytes")
    return Got(bytes(body), way, headers.get("etag", ""), headers.get("last-modified", ""), max_age_s)


def read_max_age_s(headers: Mapping[str, str]) -> float | None:
    """What is left of an answer's freshness (RFC 9111 s4.2): `max-age` less `Age`; 0 for what may not be kept."""
    directives = [one.strip().lower() for one in headers.get("cache-control", "").split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    age = headers.get("age", "").strip()
    for directive in directives:
        name, _, value = directive.partition("=")
        seconds = value.strip('"')
        if name == "max-age" and seconds.isdecimal() and len(seconds) <= _SECONDS_DIGITS_MAX:
            spent_s = int(age) if age.isdecimal() and len(age) <= _SECONDS_DIGITS_MAX else 0
            return float(max(0, int(seconds) - spent_s))
    return None
