"""Kong on loopback: its Admin API, and the gateway that lets through what its plugins let through.

It refuses what Kong refuses, in Kong's words. `kong_told` says what it can be told and what it keeps of what it saw;
`python -m jotgate.testing.kong --admin-port 8001 --proxy-port 8000` runs it by itself.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Self

from jotgate.testing.kong_api import AdminServer
from jotgate.testing.kong_proxy import ProxyServer
from jotgate.testing.kong_told import CHAT_PATH, ROUTE_PATH, SERVICE, KongTold
from jotgate.testing.kong_upstream import ChatUpstream
from jotgate.testing.threads import in_thread


class Kong(KongTold):
    """The stand-in; use it with `async with`, or in a thread with `kong_in_thread`.

    `api` is the port of its Admin API, `gateway` that of its gateway, `upstream` the service behind it, to which a
    route leads from the start. No plugin is there: `protect` puts the jwt plugin of document 002 before it.
    """

    def __init__(self, *, host: str = "127.0.0.1", admin_port: int = 0, proxy_port: int = 0) -> None:
        super().__init__()
        self.api = AdminServer(self, host=host, port=admin_port)
        self.gateway = ProxyServer(self, host=host, port=proxy_port)
        self.upstream = ChatUpstream(self)
        self._running = AsyncExitStack()

    @property
    def admin_url(self) -> str:
        """The URL of the Admin API: `KONG_ADMIN_URL`."""
        return self.api.origin

    @property
    def proxy_url(self) -> str:
        """The URL of the gateway, as `https://gw.ai-lab.ir` is that of the document."""
        return self.gateway.origin

    @property
    def chat_url(self) -> str:
        """The URL of chat completions behind the gateway."""
        return self.proxy_url + CHAT_PATH

    async def __aenter__(self) -> Self:
        for server in (self.upstream, self.api, self.gateway):
            await self._running.enter_async_context(server)
        service = self.add("services", name=SERVICE, host="127.0.0.1", port=self.upstream.port)
        self.add("routes", name=SERVICE, paths=[ROUTE_PATH], service={"id": service["id"]})
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._running.aclose()


def kong_in_thread(
    *, host: str = "127.0.0.1", admin_port: int = 0, proxy_port: int = 0
) -> AbstractContextManager[Kong]:
    """The same stand-in with a loop and a thread of its own, for tests that have no loop.

    An outage of its Admin API is `kong.api.do(kong.api.refuse())` and `kong.api.do(kong.api.hang_up())`, its end
    `kong.api.do(kong.api.accept())`.
    """
    return in_thread(Kong(host=host, admin_port=admin_port, proxy_port=proxy_port))


async def _serve(kong: Kong, *, protect: bool) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with kong:
        if protect:
            kong.protect()
        sys.stdout.write(f"admin {kong.admin_url}\nproxy {kong.proxy_url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Serve until SIGTERM; the first two lines say where."""
    parser = argparse.ArgumentParser(prog="python -m jotgate.testing.kong")
    parser.add_argument("--admin-port", type=int, default=0, help="port of the Admin API; 0 is any that is free")
    parser.add_argument("--proxy-port", type=int, default=0, help="port of the gateway; 0 is any that is free")
    parser.add_argument("--protect", action="store_true", help="with the jwt plugin as document 002 configures it")
    options = parser.parse_args()
    kong = Kong(admin_port=options.admin_port, proxy_port=options.proxy_port)
    asyncio.run(_serve(kong, protect=options.protect))
    return 0


if __name__ == "__main__":
    sys.exit(main())
