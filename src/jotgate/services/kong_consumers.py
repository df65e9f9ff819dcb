"""Tells admins which consumers Kong has, page by page: nothing of their credentials is asked for."""

from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from jotgate.core.kong_admin import KongPage, OffsetRefused, Row, ask, list_path, read_page
from jotgate.errors import RequestMalformed
from jotgate.ports import KongAdmin
from jotgate.services.kong_counts import CountedGate

_OFFSET_MAX: Final = 2_048


class ListedConsumer(Struct, frozen=True):
    """A consumer of Kong. `created_at` is a NumericDate; what is not known is None."""

    id: str | None
    username: str | None
    custom_id: str | None
    created_at: int | None
    tags: tuple[str, ...]


class ConsumerPage(Struct, frozen=True):
    """One page, and the path of the next one at the face; None: this is the last."""

    data: list[ListedConsumer]
    next: str | None
    offset: str | None


class KongConsumers:
    """Immutable. Each request is counted with those of `gate`."""

    def __init__(self, admin: KongAdmin, gate: CountedGate) -> None:
        self._admin = admin
        self._gate = gate

    async def page(self, offset: str) -> ConsumerPage:
        """One page, from where the one before has said; `offset` empty: from the beginning.

        Raises:
            RequestMalformed: no page has said this.
            KongUnavailable, KongRefused: Kong does not say.
        """
        if len(offset) > _OFFSET_MAX or not (offset.isascii() and offset.isprintable()):
            raise _no_offset()
        try:
            page = await self._gate.counted("consumers", "GET", lambda: self._read(offset))
        except OffsetRefused:
            raise _no_offset() from None
        following = page.offset or None
        next_path = f"/consumers?{urlencode({'offset': following})}" if following else None
        return ConsumerPage([_listed(row) for row in page.rows], next_path, following)

    async def _read(self, offset: str) -> KongPage:
        return read_page(await self._admin.ask(ask("GET", list_path("/consumers", offset=offset))))


def _no_offset() -> RequestMalformed:
    return RequestMalformed("'offset' is none that a page has named, or the list has changed", param="offset")


def _listed(row: Row) -> ListedConsumer:
    created, tags = row.get("created_at"), row.get("tags")
    return ListedConsumer(
        id=_text(row.get("id")),
        username=_text(row.get("username")),
        custom_id=_text(row.get("custom_id")),
        created_at=created if isinstance(created, int) else None,
        tags=tuple(one for one in tags if isinstance(one, str)) if isinstance(tags, list) else (),
    )


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None
