"""Kong's Admin API over HTTP: one client whose connections are kept, in a bounded time, an answer of a bounded size.

The URL is the operator's own, and is asked as it stands. No redirect is followed and nothing of the environment is
used: secrets go there.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import httpx2

from jotgate.core.kong_admin import KongAnswer, KongAsk
from jotgate.core.kong_aims import KongPlace
from jotgate.core.values import Secret
from jotgate.errors import KongTimeout, KongUnavailable

BYTES_MAX: Final = 64 * 1_048_576
"""A page of 1,000 credentials with the largest of public keys has some 2 MiB."""

_CONNECTIONS: Final = 16
_IDLE_S: Final = 30.0
_WHERE: Final = "Look at kong.admin_url, and whether Kong's admin_listen has it"
# Such a connection was closed by Kong while it was idle, or broke off; what may be done twice is sent once more.
_BROKEN: Final = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)


class KongWeb:
    """The Admin API of the settings in effect (ports.KongAdmin). Mutable: the client, and the place that it is for."""

    def __init__(self, place: Callable[[], KongPlace | None], bytes_max: int = BYTES_MAX) -> None:
        """`place` says where it is now; None: nowhere. `bytes_max` bounds an answer."""
        self._place = place
        self._bytes_max = bytes_max
        self._client: httpx2.AsyncClient | None = None
        self._made_for: KongPlace | None = None
        self._turn = asyncio.Lock()

    async def ask(self, ask: KongAsk) -> KongAnswer:
        """Send one request. Raises KongUnavailable, KongTimeout."""
        place = self._place()
        if place is None:
            raise KongUnavailable("no Kong is configured", hint="Set kong.admin_url, or KONG_ADMIN_URL for the preset")
        try:
            async with asyncio.timeout(place.timeout_s):
                return await self._ask(await self._client_for(place), place, ask)
        except TimeoutError:
            raise KongTimeout(f"Kong's Admin API did not answer within {place.timeout_s:g} s", hint=_WHERE) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # Not in its own words: those may have in them what was sent.
            raise KongUnavailable(
                f"Kong's Admin API cannot be reached, or breaks off ({type(error).__name__})", hint=_WHERE
            ) from None

    async def _ask(self, client: httpx2.AsyncClient, place: KongPlace, ask: KongAsk) -> KongAnswer:
        try:
            return await self._send(client, place, ask)
        except _BROKEN:
            if ask.method == "POST":
                raise
        return await self._send(client, place, ask)

    async def close(self) -> None:
        """Close its connections; the next request makes new ones."""
        async with self._turn:
            await self._drop()

    async def _drop(self) -> None:
        client, self._client, self._made_for = self._client, None, None
        if client is not None:
            await client.aclose()

    async def _client_for(self, place: KongPlace) -> httpx2.AsyncClient:
        if self._client is not None and self._made_for == place:
            return self._client
        async with self._turn:
            if self._client is None or self._made_for != place:
                await self._drop()
                self._client, self._made_for = await _make(place), place
            return self._client

    async def _send(self, client: httpx2.AsyncClient, place: KongPlace, ask: KongAsk) -> KongAnswer:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "jotgate"}
        content = None
        if ask.body is not None:
            content = ask.body.reveal().encode()
            headers["Content-Type"] = "application/json"
        if place.token is not None:
            headers[place.token_header] = place.token.reveal()
        request = client.build_request(ask.method, place.url + ask.path, content=content, headers=headers)
        response = await client.send(request, stream=True)
        try:
            return KongAnswer(response.status_code, await self._read(response))
        finally:
            await response.aclose()

    async def _read(self, response: httpx2.Response) -> Secret:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > self._bytes_max:
                raise ValueError("too large")  # Told as what breaks off.
        return Secret(body.decode("utf-8", "replace"))


async def _make(place: KongPlace) -> httpx2.AsyncClient:
    """A client; loading roots takes long, and is done on a thread."""
    secure = place.url.startswith("https:")
    context = await asyncio.to_thread(_context, place.roots) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = httpx2.Limits(
        max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_IDLE_S
    )
    transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
    # The whole request has its time in `ask`; there is none for a part of it.
    return httpx2.AsyncClient(transport=transport, trust_env=False, timeout=None, follow_redirects=False)


def _context(roots: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=roots or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
