"""Owned objects: what an upstream keeps under the credential that all callers share, and whose each of it is.

Such are conversations, interrupts of workflows, and chats that wait for what a tool says. An upstream hands them to
whoever shows the shared credential; so whose they are is kept here, and the owner is part of each object's name: what
belongs to somebody else is not found, exactly as what nobody has. Times are whole seconds since the epoch.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

from msgspec import Struct

from jotgate.core.durable import check_texts
from jotgate.core.principals import Principal
from jotgate.errors import CommandError

NAME_BYTES_MAX: Final = 512
"""The name of an object in UTF-8: a label of 128 characters has at most so many."""
DATA_BYTES_MAX: Final = 16_384
OWNED_MAX: Final = 256
"""So many of one kind has an owner at one place; for a further one, that goes which was not used for longest."""
LIFE_MAX_S: Final = 400 * 86_400

_KIND_BYTES_MAX: Final = 256
_DOMAIN: Final = b"jotgate owner"


class ObjectKey(Struct, frozen=True):
    """What names an object.

    `kind` is a word of whoever keeps such objects, as `coze.conversation`; `place` is the name of the upstream that
    has it; `owner` comes of `owner_of`. `name` is unique among the owner's objects of that kind there. It may be any
    text that a caller writes; by one that no store takes there is nothing (`is_storable`).
    """

    kind: str
    place: str
    owner: str
    name: str

    @property
    def is_storable(self) -> bool:
        """Whether an object can have this name."""
        try:
            check_texts(self, NAME_BYTES_MAX)
        except CommandError:
            return False
        return max(len(one.encode()) for one in (self.kind, self.place, self.owner)) <= _KIND_BYTES_MAX


class OwnedObject(Struct, frozen=True, kw_only=True):
    """One object of somebody. It is there until `expires_s`; `used_s` is when it was last made, changed or used.

    `data` is what the upstream's adapter wrote. `version` counts its changes, from 1.
    """

    kind: str
    place: str
    owner: str
    name: str
    data: bytes
    version: int
    created_s: int
    used_s: int
    expires_s: int

    @property
    def key(self) -> ObjectKey:
        """What names it."""
        return ObjectKey(self.kind, self.place, self.owner, self.name)


class FindObject(Struct, frozen=True, tag="find"):
    """Look for an object. With `keep_s` it is used, and there for at least so many seconds more."""

    key: ObjectKey
    keep_s: int = 0


class PutObject(Struct, frozen=True, tag="put"):
    """Keep an object for `keep_s` seconds, if it has this version still; 0: if there is none of this name.

    A worker may have to give it a second time, to the next control process: if it was carried out already, then the
    worker is told that somebody was first, and what stands is its own.
    """

    key: ObjectKey
    data: bytes
    keep_s: int
    version: int = 0

    def __post_init__(self) -> None:
        if not self.key.is_storable:
            raise CommandError(
                f"an object of this name cannot be kept: a name has {NAME_BYTES_MAX} bytes at most, and no NUL",
                hint="Use a plain, shorter name",
            )
        if len(self.data) > DATA_BYTES_MAX:
            raise CommandError(
                f"an object of {len(self.data)} bytes cannot be kept: {DATA_BYTES_MAX} are the most",
                hint="Use shorter names",
            )


class ListObjects(Struct, frozen=True, tag="list"):
    """Look for the newest `limit` objects of an owner: those of one kind at one place."""

    kind: str
    place: str
    owner: str
    limit: int = OWNED_MAX


class DropObject(Struct, frozen=True, tag="drop"):
    """Forget an object, if it has this version still; 0: whatever version it has."""

    key: ObjectKey
    version: int = 0


ObjectOrder = FindObject | PutObject | ListObjects | DropObject


class ObjectAnswer(Struct, frozen=True):
    """What came of an order: whether it was found, kept or forgotten; and what stands now.

    After `FindObject` that is the one that was found, after `PutObject` the one that is kept, or the one of somebody
    who was first; after `ListObjects` all that were found, the newest first; after `DropObject` nothing.
    """

    done: bool
    objects: tuple[OwnedObject, ...] = ()


def owner_of(principal: Principal) -> str:
    """Whose objects a principal's are: a text of 43 characters, unlike for any two (issuer, tenant, subject).

    It is no secret, and says nothing of those three.
    """
    digest = hashlib.sha256(_DOMAIN)
    for part in (principal.issuer, principal.tenant, principal.subject):
        written = part.encode("utf-8", "surrogatepass")
        digest.update(len(written).to_bytes(8, "big") + written)
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii")
