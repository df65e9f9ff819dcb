"""Reads what Kong has, page by page: what carries our tag, and all plugins."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, TypeVar

from jotgate.core.kong_admin import (
    PAGES_MAX,
    KongAnswer,
    KongAsk,
    OffsetRefused,
    Row,
    ask,
    check,
    list_path,
    read_page,
    read_row,
    segment,
)
from jotgate.core.kong_aims import KongAims
from jotgate.core.kong_found import FoundKong, id_of, read_consumer, read_credential, read_group, read_plugin
from jotgate.errors import KongRefused, KongUnavailable
from jotgate.ports import KongAdmin

TRIES: Final = 3
"""So often is something asked of a Kong that does not answer or fails, before it counts as failed."""
_BACK_OFF_S: Final = 0.2

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""

_Found = TypeVar("_Found")


class PatientAdmin:
    """The Admin API, asked again where it fails (ports.KongAdmin). Immutable.

    What is asked may have been done: only what may be done twice is sent through here.
    """

    def __init__(self, admin: KongAdmin, pause: Pause) -> None:
        self._admin = admin
        self._pause = pause

    async def ask(self, ask: KongAsk) -> KongAnswer:
        """Send one request. Raises KongUnavailable, KongTimeout: it failed each time."""
        for tried in range(1, TRIES):
            try:
                answer = await self._admin.ask(ask)
            except KongUnavailable:
                pass
            else:
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return answer
            await self._pause(_BACK_OFF_S * 4 ** (tried - 1))
        answer = await self._admin.ask(ask)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            check(answer)
        return answer


async def read_all(admin: KongAdmin, path: str, tag: str, read: Callable[[Row], _Found]) -> list[_Found]:
    """A whole list; with a `tag` what carries it.

    Raises:
        KongUnavailable, KongRefused: it cannot be read.
    """
    try:
        return await _read_pages(admin, path, tag, read)
    except OffsetRefused:
        return await _read_pages(admin, path, tag, read)


async def _read_pages(admin: KongAdmin, path: str, tag: str, read: Callable[[Row], _Found]) -> list[_Found]:
    found: list[_Found] = []
    offset = ""
    for _ in range(PAGES_MAX):
        page = read_page(await admin.ask(ask("GET", list_path(path, tag=tag, offset=offset))))
        found += map(read, page.rows)
        if not page.offset:
            return found
        if page.offset == offset:
            break
        offset = page.offset
        await asyncio.sleep(0)  # Others of this loop have their turn.
    raise KongRefused(f"the pages of {path} at Kong do not end")


async def read_kong(admin: KongAdmin, aims: KongAims) -> FoundKong:
    """What Kong has that concerns us.

    Raises:
        KongUnavailable, KongRefused: it cannot be read, or the service or route of the settings is not there.
    """
    return FoundKong(
        consumers=await read_all(admin, "/consumers", aims.tag, read_consumer),
        credentials=await read_all(admin, "/jwts", aims.tag, read_credential),
        groups=await read_all(admin, "/acls", aims.tag, read_group),
        plugins=await read_all(admin, "/plugins", "", read_plugin),
        service_id=await _find(admin, "services", aims.service),
        route_id=await _find(admin, "routes", aims.route),
    )


async def read_migration(admin: KongAdmin, aims: KongAims) -> FoundKong:
    """What Kong has, whosever it is: for taking over what an older service made. Raises as `read_kong`."""
    return FoundKong(
        consumers=await read_all(admin, "/consumers", "", read_consumer),
        credentials=await read_all(admin, "/jwts", "", read_credential),
        groups=(),
        plugins=await read_all(admin, "/plugins", "", read_plugin),
        service_id=await _find(admin, "services", aims.service),
        route_id=await _find(admin, "routes", aims.route),
    )


async def _find(admin: KongAdmin, path: str, name: str) -> str:
    """The id of a service or a route; empty without a name."""
    if not name:
        return ""
    answer = await admin.ask(ask("GET", f"/{path}/{segment(name)}"))
    if answer.status == HTTPStatus.NOT_FOUND:
        kind = path.removesuffix("s")
        raise KongRefused(f"Kong has no {kind} '{name}'", hint=f"Make it there, or mend kong.{kind}")
    return id_of(read_row(answer))
