"""Bots, users and files of Coze's stand-in."""

from collections.abc import Iterable
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from jotgate.testing.coze_conversations import Handler, number
from jotgate.testing.coze_tokens import Holder
from jotgate.testing.coze_told import ACCOUNT_ID, CozeTold
from jotgate.testing.coze_values import Bot
from jotgate.testing.coze_wire import Ask, Refused, granted
from jotgate.testing.upstream import Answer

_PUBLISHED_S: Final = 1_790_000_000


class ResourceDesk:
    """Answers their paths."""

    def __init__(self, told: CozeTold) -> None:
        self._told = told
        self._names: dict[str, str] = {}
        self.routes: dict[tuple[str, str], Handler] = {
            ("GET", "/v1/bots"): self._bots,
            ("GET", "/v1/bots/{}"): self._bot,
            ("GET", "/v1/bot/get_online_info"): self._online,
            ("GET", "/v1/space/published_bots_list"): self._published,
            ("GET", "/v1/users/me"): self._me,
            ("POST", "/v1/files/upload"): self._upload,
            ("GET", "/v1/files/retrieve"): self._file,
        }

    def _bots(self, ask: Ask, _holder: Holder) -> Answer:
        ask.needed("workspace_id")
        wanted = ask.query.get("publish_status", "published_online")
        found = [bot for bot in self._told.bots.values() if wanted == "all" or bot.published == wanted.startswith("p")]
        items = [
            {
                "id": bot.bot_id,
                "name": bot.name,
                "icon_url": "",
                "description": "",
                "is_published": bot.published,
                "updated_at": _PUBLISHED_S,
                "published_at": _PUBLISHED_S,
                "owner_user_id": ACCOUNT_ID,
                "folder_id": "",
            }
            for bot in _page(ask, found)
        ]
        return granted({"items": items, "total": len(found)})

    def _published(self, ask: Ask, _holder: Holder) -> Answer:
        ask.needed("space_id")
        found = [bot for bot in self._told.bots.values() if bot.published]
        items = [
            {
                "bot_id": bot.bot_id,
                "bot_name": bot.name,
                "description": "",
                "icon_url": "",
                "publish_time": str(_PUBLISHED_S),
            }
            for bot in _page(ask, found)
        ]
        return granted({"space_bots": items, "total": len(found)})

    def _bot(self, ask: Ask, _holder: Holder) -> Answer:
        return self._one(ask.numbers()[0])

    def _online(self, ask: Ask, _holder: Holder) -> Answer:
        return self._one(ask.needed("bot_id"))

    def _one(self, bot_id: str) -> Answer:
        bot = self._told.bots.get(bot_id)
        if bot is None:
            raise Refused(4006)
        if not bot.published:
            raise Refused(4015)
        return granted({"bot_id": bot.bot_id, "name": bot.name, "description": "", "icon_url": "", "version": "1"})

    def _me(self, _ask: Ask, _holder: Holder) -> Answer:
        return granted({"user_id": ACCOUNT_ID, "user_name": "standin", "nick_name": "Stand-in", "avatar_url": ""})

    def _upload(self, ask: Ask, _holder: Holder) -> Answer:
        part = _file_of(ask)
        if part is None:
            raise Refused(4000, "Request parameter error: file is required")
        file_id, content = self._told.new_id(), part.get_payload(decode=True)
        self._told.uploads[file_id] = content if isinstance(content, bytes) else b""
        self._names[file_id] = part.get_filename() or ""
        return self._said(file_id)

    def _file(self, ask: Ask, _holder: Holder) -> Answer:
        file_id = ask.needed("file_id")
        if file_id not in self._told.uploads:
            raise Refused(4300)
        return self._said(file_id)

    def _said(self, file_id: str) -> Answer:
        size, name = len(self._told.uploads[file_id]), self._names.get(file_id, "")
        return granted({"id": file_id, "bytes": size, "created_at": int(self._told.now_s()), "file_name": name})


def _page(ask: Ask, found: list[Bot]) -> Iterable[Bot]:
    page = number(ask, "page_num", 0) or number(ask, "page_index", 1)
    size = number(ask, "page_size", 20)
    return found[(page - 1) * size : page * size]


def _file_of(ask: Ask) -> Message | None:
    """The part named `file` of a form (RFC 7578)."""
    kind = ask.headers.get("content-type", "")
    whole = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode("latin-1") + ask.raw)
    for part in whole.walk():
        if part.get_param("name", header="content-disposition") == "file":
            return part
    return None
