"""Asks the token endpoints of upstreams: in a bounded time, an answer of a bounded size, and only where it may be.

Secrets go there, so it is https, or this machine. What the operator wrote may stand in their own network, but never at
an address of a cloud's metadata service; the connection goes to an address that was looked at, and the certificate is
checked for the name. No redirect is followed, nothing of the environment is used, and nothing is kept of an answer.
"""

import asyncio
from typing import Final

import httpx2

from jotgate.control.web_places import Contexts, Place, PlaceRefused, send_first
from jotgate.core.reach import PUBLIC_WAY
from jotgate.core.routes import Proxy
from jotgate.core.token_exchange import Answered, Post, Unanswered
from jotgate.core.values import Secret

BYTES_MAX: Final = 65_536


class TokenWeb:
    """The web as tokens are got from it (ports.TokenEndpoint)."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        """`bytes_max` bounds an answer."""
        self._bytes_max = bytes_max
        self._contexts: Final = Contexts()

    async def post(self, post: Post) -> Answered | Unanswered:
        """Do one request."""
        try:
            async with asyncio.timeout(post.timeout_s):
                return await self._post(post)
        except TimeoutError:
            return Unanswered(f"it took longer than it may, {post.timeout_s:.3g} s")
        except PlaceRefused as refusal:
            return Unanswered(str(refusal))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # Not in its own words: those may have in them what was sent.
            return Unanswered(f"there is no connection to it, or none that lasts ({type(error).__name__})")

    async def _post(self, post: Post) -> Answered:
        place = Place(post.url, PUBLIC_WAY if post.public_only else None)
        context = await self._contexts.of(place, post.reach.roots)
        proxy = None if post.reach.proxy is None else _proxy(post.reach.proxy)
        transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False, proxy=proxy)
        # Whoever goes through a proxy has the proxy find the address.
        urls = [httpx2.URL(place.url)] if proxy else [place.at(address) for address in (await place.find())[1]]
        timeout = httpx2.Timeout(post.timeout_s, connect=post.timeout_s / len(urls))
        async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client:
            response = await _send(client, place, urls, post)
            try:
                return await _read(response, self._bytes_max)
            finally:
                await response.aclose()


def _proxy(proxy: Proxy) -> httpx2.Proxy:
    auth = None
    if proxy.credential is not None:
        user, _, password = proxy.credential.reveal().partition(":")
        auth = (user, password)
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return httpx2.Proxy(f"http://{host}:{proxy.port}", auth=auth)


async def _send(client: httpx2.AsyncClient, place: Place, urls: list[httpx2.URL], post: Post) -> httpx2.Response:
    """The head of what the first of these answers that can be connected to."""
    headers = {
        "Host": place.authority,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": "jotgate",
    }
    if post.authorization is not None:
        headers["Authorization"] = post.authorization.reveal()
    body = None
    if post.method == "POST":
        headers["Content-Type"] = post.content_type
        body = post.body.reveal().encode()
    requests = (client.build_request(post.method, url, content=body, headers=headers) for url in urls)
    return await send_first(client, place, requests)


async def _read(response: httpx2.Response, bytes_max: int) -> Answered:
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise PlaceRefused("it answered in a Content-Encoding that was not asked for")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > bytes_max:
            raise PlaceRefused(f"it answered with more than {bytes_max} bytes")
    text = Secret(body.decode("utf-8", "replace"))
    return Answered(response.status_code, text, response.headers.get("retry-after", ""))
