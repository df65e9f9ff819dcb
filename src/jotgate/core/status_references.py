"""Where the status of a token stands, as it says itself (draft-ietf-oauth-status-list-21 s6.2), and what is asked."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.errors import ClaimFault, ClaimRefused

STATUS_CLAIM: Final = "status"
LIST_CLAIM: Final = "status_list"


class StatusReference(Struct, frozen=True, gc=False):
    """A place in a list."""

    uri: str
    index: int


class StatusQuestion(Struct, frozen=True):
    """What stands at a place in a list of an issuer, by the `iss` of its tokens."""

    issuer: str
    uri: str
    index: int


class StatusFound(Struct, frozen=True):
    """What stands there, and for how many seconds that is good."""

    status: int
    good_s: float


def read_reference(raw: Mapping[str, object]) -> StatusReference | None:
    """Where the status of a verified token stands; None: it names no list. Raises ClaimRefused."""
    if STATUS_CLAIM not in raw:
        return None
    status = raw[STATUS_CLAIM]
    if not isinstance(status, dict):
        raise refused("invalid", "the claim 'status' is not an object")
    if LIST_CLAIM not in status:
        return None
    found = status[LIST_CLAIM]
    if not isinstance(found, dict):
        raise refused("invalid", "the claim 'status' has a 'status_list' that is not an object")
    index, uri = found.get("idx"), found.get("uri")
    if type(index) is not int or index < 0:
        raise refused("invalid", "the claim 'status' has an 'idx' that is not a whole number from 0 on")
    if not isinstance(uri, str) or not uri:
        raise refused("invalid", "the claim 'status' has a 'uri' that is not a text")
    return StatusReference(uri, index)


def refused(reason: ClaimFault, what: str, claim: str = STATUS_CLAIM) -> ClaimRefused:
    """The refusal of a claim that speaks of statuses."""
    return ClaimRefused(claim, reason, what)
