"""Requests to Kong's Admin API, and what its answers mean: pages, refusals, failures.

What Kong says of a refusal is told to the operator as far as it is short and plain; fields' values are not repeated, as
they may be secrets. Names of others stand in a path only encoded.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from msgspec import Struct

from jotgate.core.login_answers import plain_cause
from jotgate.core.values import Secret
from jotgate.errors import JotgateError, KongConflict, KongRefused, KongUnavailable

Method = Literal["GET", "PUT", "POST", "PATCH", "DELETE"]

PAGE_SIZE: Final = 1_000
"""What Kong gives at once at most."""
PAGES_MAX: Final = 10_000
"""More pages than this are none: something goes round in a circle."""

_UNIQUE: Final = 5
_NO_DATABASE: Final = 12
_BAD_OFFSET: Final = 7
_UNAUTHORIZED: Final = frozenset({401, 403})

Row = Mapping[str, object]
"""An entity as Kong writes it."""


class KongAsk(Struct, frozen=True):
    """One request. `body` is JSON, which may hold secrets; None: there is none."""

    method: Method
    path: str
    body: Secret | None = None


class KongAnswer(Struct, frozen=True):
    """What Kong answered. `body` may hold secrets."""

    status: int
    body: Secret


class KongPage(Struct, frozen=True):
    """One page of a list. `offset` is where the next one begins; empty: this is the last."""

    rows: tuple[Row, ...]
    offset: str


class OffsetRefused(KongRefused):
    """The list has changed so that its next page is not found: it has to be read from the beginning."""


def segment(name: str) -> str:
    """A name as one part of a path.

    Raises:
        KongRefused: it can be none, since a server would take it for another path.
    """
    if name in ("", ".", ".."):
        raise KongRefused(f"'{name}' cannot be a name at Kong", hint="Choose another name")
    return quote(name, safe="")


def ask(method: Method, path: str, content: Mapping[str, object] | None = None) -> KongAsk:
    """A request with JSON. Secrets stand in `content` as they are, so nobody shows it."""
    return KongAsk(method, path, None if content is None else Secret(msgspec.json.encode(content).decode()))


def list_path(path: str, *, tag: str = "", offset: str = "") -> str:
    """The path of a page of a list; with a `tag`, only what carries it is there."""
    query = {"size": str(PAGE_SIZE)} | ({"tags": tag} if tag else {}) | ({"offset": offset} if offset else {})
    return f"{path}?{urlencode(query)}"


def read_page(answer: KongAnswer) -> KongPage:
    """One page of a list.

    Raises:
        OffsetRefused, KongRefused, KongUnavailable: it is none.
    """
    found = read_row(answer)
    rows, more = found.get("data"), found.get("next")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _not_kong()
    if more is None:
        return KongPage(tuple(rows), "")
    offset = found.get("offset")
    if not isinstance(offset, str):  # It stands in the path of the next page at least.
        offset = dict(parse_qsl(str(more).partition("?")[2])).get("offset", "")
    if not offset:
        raise _not_kong()
    return KongPage(tuple(rows), offset)


def read_row(answer: KongAnswer) -> Row:
    """The entity in an answer. Raises KongRefused, KongUnavailable."""
    check(answer)
    found = _read_object(answer)
    if found is None:
        raise _not_kong()
    return found


def check(answer: KongAnswer, *, fine: Iterable[int] = ()) -> None:
    """Refuse what is no success, nor of these statuses.

    Raises:
        KongUnavailable: Kong failed.
        KongConflict: it has another entity of that name or key.
        OffsetRefused, KongRefused: it refused.
    """
    if 200 <= answer.status < 300 or answer.status in fine:
        return
    raise _failure(answer)


def _failure(answer: KongAnswer) -> JotgateError:
    status = answer.status
    found = _read_object(answer) or {}
    said = _said(found)
    if status >= 500:
        return KongUnavailable(f"Kong's Admin API failed with status {status}{said}")
    if status in _UNAUTHORIZED:
        return KongRefused(
            f"Kong's Admin API wants a credential, or refuses the one that it was sent (status {status})",
            hint="Write kong.token_env or kong.token_file, and kong.token_header if the field has another name",
        )
    if found.get("code") == _NO_DATABASE:
        return KongRefused(
            "Kong runs without a database, and takes no changes through its Admin API",
            hint="Write a file for it: jotgate kong export FILE",
        )
    if status == 409:
        return KongConflict(f"Kong has that already{said}")
    if status == 400 and found.get("code") == _BAD_OFFSET:
        return OffsetRefused("the list has changed while it was read")
    if status in range(300, 400):
        return KongRefused(
            f"Kong's Admin API answers with a redirect (status {status}), and none is followed",
            hint="Write the URL that it leads to as kong.admin_url",
        )
    return KongRefused(f"Kong refuses what jotgate asks (status {status}){said}")


def _said(found: Row) -> str:
    """Kong's words for it; of what has to be unique the names of the fields alone, as a key stands beside them."""
    fields, message = found.get("fields"), found.get("message")
    if found.get("code") == _UNIQUE and isinstance(fields, dict):
        return f": {plain_cause(', '.join(str(name) for name in fields))}"
    return f": {plain_cause(message)}" if isinstance(message, str) and message else ""


def _read_object(answer: KongAnswer) -> Row | None:
    try:
        found: object = msgspec.json.decode(answer.body.reveal())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _not_kong() -> KongRefused:
    return KongRefused(
        "what answers is not Kong's Admin API, or one that jotgate does not understand",
        hint="Look at kong.admin_url: the Admin API listens on 8001 unless Kong's admin_listen says otherwise",
    )
