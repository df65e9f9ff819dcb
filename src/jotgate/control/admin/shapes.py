"""What a route of the admin API is, what its handler is told and what it answers: values, and no behaviour."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from jotgate.core.scopes import AdminNoun

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_Item = TypeVar("_Item")
_Body_co = TypeVar("_Body_co", covariant=True)


class Parameter(Struct, frozen=True):
    """A parameter of the query by which a list is narrowed, or an action told more."""

    name: str
    summary: str


class AdminRoute(Struct, frozen=True, kw_only=True):
    """One row of the table. `path` stands below `/admin/api`; the parts in braces are names.

    `name` is its operationId. `body` and `answer` are types of Structs; without an answer the status is 204. The query
    of a `paged` one has `limit` and `cursor`. A `tagged` answer has an ETag, and a request to a `guarded` one must have
    If-Match. `secret`: the answer shows a secret, once.
    """

    name: str
    method: Method
    path: str
    noun: AdminNoun | None
    summary: str
    answer: Any = None
    status: int = 200
    body: type[Struct] | None = None
    filters: tuple[Parameter, ...] = ()
    paged: bool = False
    tagged: bool = False
    guarded: bool = False
    secret: bool = False

    @property
    def changes(self) -> bool:
        """Whether something is done, so that seeing is not enough."""
        return self.method != "GET"

    @property
    def versioned(self) -> bool:
        """Whether it changes a record that has versions, so that If-Match may be sent."""
        return self.guarded or (self.changes and self.tagged and bool(self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


class By(Struct, frozen=True):
    """Who calls: what the token says, and the id of the request. `scopes` are those of the admin API, and others."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    request_id: str

    @property
    def details(self) -> Mapping[str, str]:
        """What the audit log has of a change beside its actor, who is the subject."""
        return {"client_id": self.client_id, "request_id": self.request_id}


class Window(Struct, frozen=True):
    """Which part of a list is wanted: at most `limit` items behind the key `after` (empty: from the beginning)."""

    after: str = ""
    limit: int = 50


class Call(Struct, frozen=True, kw_only=True):
    """One request that is let through. `body` is of the route's type. `version` None: whatever is there."""

    by: By
    names: Mapping[str, str] = {}
    filters: Mapping[str, str] = {}
    window: Window = Window()
    version: int | None = None
    body: Any = None

    @property
    def name(self) -> str:
        """The one name in the path."""
        (name,) = self.names.values()
        return name


class Page(Struct, Generic[_Item], frozen=True):
    """A part of a list, in the order of its keys. `next_cursor` leads to the next part; null: there is none."""

    items: tuple[_Item, ...]
    next_cursor: str | None


class Done(Struct, frozen=True):
    """What a handler answers. `version` becomes the ETag, `location` names what was made, below `/admin/api`."""

    content: Any = None
    version: int | None = None
    location: str = ""


Handler = Callable[[Call], Awaitable[Done]]
"""Does what one route is for. Raises JotgateError."""
