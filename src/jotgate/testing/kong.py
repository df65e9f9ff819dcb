"""Kong on loopback: its Admin API, and the gateway that lets through what its plugins let through.

It refuses what Kong refuses, in Kong's words. `kong_told` says what it can be told and what it
keeps of what it saw; `python -m jotgate.testing.kong --admin-port 8001 --proxy-port 8000` runs it by itself.
"""

from contextlib import AbstractContextManager
from typing import Self

from jotgate.testing.kong_api import AdminServer
from jotgate.testing.kong_told import KongTold
from jotgate.testing.threads import in_thread


class Kong(KongTold):
    """The stand-in; use it with `async with`, or in a thread with `kong_in_thread`. `api` is its Admin API."""

    def __init__(self, *, host: str = "127.0.0.1", admin_port: int = 0) -> None:
        super().__init__()
        self.api = AdminServer(self, host=host, port=admin_port)

    @property
    def admin_url(self) -> str:
        """The URL of the Admin API: `KONG_ADMIN_URL`."""
        return self.api.origin

    async def __aenter__(self) -> Self:
        await self.api.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.api.__aexit__(*error)


def kong_in_thread(*, host: str = "127.0.0.1", admin_port: int = 0) -> AbstractContextManager[Kong]:
    """The same stand-in with a loop and a thread of its own, for tests that have no loop.

    An outage of its Admin API is `kong.api.do(kong.api.refuse())` and `kong.api.do(kong.api.hang_up())`, its end
    `kong.api.do(kong.api.accept())`.
    """
    return in_thread(Kong(host=host, admin_port=admin_port))
