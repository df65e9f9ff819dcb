"""Fetches documents of other issuers over HTTPS: in a bounded time, of a bounded size, and only from where they may be.

Each name is resolved here, its addresses are looked at, and the connection goes to one of those that may be asked: what
the name resolves to a moment later (DNS rebinding) changes nothing. The certificate is checked for the name all the
same. No cookie, no credential, no proxy of the environment; of a redirect, the new place is looked at as the first.
"""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

import httpx2

from jotgate.control.web_places import LOCATION_CHARS, Contexts, Place, PlaceRefused, send_first
from jotgate.core.key_fetches import Failed, Get, Got, Unchanged
from jotgate.core.reach import PUBLIC_WAY, Way

BYTES_MAX: Final = 262_144
_REDIRECTS_MAX: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_SECONDS_DIGITS_MAX: Final = 10
_NOT_MODIFIED: Final = 304
_LOOK_UP_S: Final = 5.0


class KeyWeb:
    """The web as issuers' keys are fetched from it (ports.KeyFetch)."""

    def __init__(self) -> None:
        self._contexts: Final = Contexts()

    async def get(self, get: Get) -> Got | Unchanged | Failed:
        """Do one conditional GET, redirects included."""
        shown = ascii(get.location[:LOCATION_CHARS])
        try:
            async with asyncio.timeout(get.timeout_s):
                return await self._follow(get)
        except TimeoutError:
            return Failed(f"{shown} took longer than it may, {get.timeout_s:.3g} s")
        except PlaceRefused as refusal:
            return Failed(str(refusal))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return Failed(f"{shown} cannot be had: {str(error) or type(error).__name__}")

    async def look_up(self, url: str) -> str:
        """Why a URL leads to no public address over https at this moment; empty when it does.

        Nothing is asked there, and a later `get` looks again.
        """
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                await Place(url, PUBLIC_WAY).find()
        except TimeoutError:
            return f"has a name that was not resolved within {_LOOK_UP_S:g} s"
        except (PlaceRefused, UnicodeError) as refusal:
            return f"is refused: {refusal}"
        return ""

    async def _follow(self, get: Get) -> Got | Unchanged:
        url, led_by = get.location, get.led_by
        for _ in range(_REDIRECTS_MAX + 1):
            place = Place(url, led_by)
            way, addresses = await place.find()
            answer = await self._ask(place, way, addresses, get)
            if not isinstance(answer, str):
                return answer
            url, led_by = urljoin(url, answer), way
        raise PlaceRefused(f"{get.location[:LOCATION_CHARS]!a} redirects more than {_REDIRECTS_MAX} times")

    async def _ask(self, place: Place, way: Way, addresses: list[str], get: Get) -> Got | Unchanged | str:
        """What the first address that can be connected to answers; a text is where it redirects to."""
        context = await self._contexts.of(place, get.roots)
        transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False)
        timeout = httpx2.Timeout(get.timeout_s, connect=get.timeout_s / len(addresses))
        async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client:
            headers = _headers(place, get)
            response = await send_first(
                client, place, (client.build_request("GET", place.at(one), headers=headers) for one in addresses)
            )
            try:
                return await _read(place, way, get, response)
            finally:
                await response.aclose()


def _headers(place: Place, get: Get) -> dict[str, str]:
    headers = {
        "Host": place.authority,
        "Accept": get.accept,
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


async def _read(place: Place, way: Way, get: Get, response: httpx2.Response) -> Got | Unchanged | str:
    status, headers = response.status_code, response.headers
    shown = f"'{place.url[:LOCATION_CHARS]}'"
    max_age_s = read_max_age_s(headers)
    if status == _NOT_MODIFIED and (get.etag or get.modified):
        return Unchanged(max_age_s)
    if status in _REDIRECTS and "location" in headers:
        return str(headers["location"])
    if status != _OK:
        raise PlaceRefused(f"{shown} answered {status}")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise PlaceRefused(f"{shown} answered in a Content-Encoding that was not asked for")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > BYTES_MAX:
        raise PlaceRefused(f"{shown} answered with {length} bytes; at most {BYTES_MAX} are taken")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > BYTES_MAX:
            raise PlaceRefused(f"{shown} answered with more than {BYTES_MAX} bytes")
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
