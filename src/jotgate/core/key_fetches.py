"""Fetching keys of other issuers, as values: one GET and what comes of it, and what became of a wanted fetch."""

from typing import Literal

from msgspec import Struct

from jotgate.core.reach import Way

FetchEnd = Literal["changed", "unchanged", "failed"]
"""How a fetch ended."""


class Get(Struct, frozen=True):
    """One conditional GET. `timeout_s` bounds all of it, from the name's resolution to the last byte.

    `etag` and `modified` are the validators of what is held (RFC 9110 s8.8), empty where there are none. `led_by` is
    how the document was come by that named this location; None: the operator named it. `roots` are certificates in
    PEM; empty: the machine's. `accept` is what is wanted, as media types.
    """

    location: str
    timeout_s: float
    etag: str = ""
    modified: str = ""
    led_by: Way | None = None
    roots: str = ""
    accept: str = "application/jwk-set+json, application/json"


class Got(Struct, frozen=True):
    """A document. `max_age_s` is what is left of its freshness (RFC 9111 s4.2), None where nothing was said of it."""

    body: bytes
    way: Way
    etag: str = ""
    modified: str = ""
    max_age_s: float | None = None


class Unchanged(Struct, frozen=True):
    """What is held is what stands there (304)."""

    max_age_s: float | None = None


class Failed(Struct, frozen=True):
    """There is no document to be had. `reason` is for the operator: a clause that names what was asked."""

    reason: str


class KeptSet(Struct, frozen=True):
    """A JWK Set as it is kept for the next control process, with when it was last confirmed (seconds since the epoch).

    `source` is a digest of what made it this issuer's: kept for another source, it is nobody's. `location`, `etag` and
    `modified` say where it was found, and its validators there.
    """

    source: str
    jwks: bytes
    location: str
    etag: str
    modified: str
    confirmed_at_s: float


class KeysOutcome(Struct, frozen=True):
    """What is known of an issuer's keys after they were wanted.

    `reached`: the last fetch succeeded, and the next one may be made when the cooldown is over, so that a key that is
    not held is not published; else nobody knows. For `useless_s` seconds nobody will learn more by asking again.
    """

    reached: bool
    useless_s: float


class KeyStanding(Struct, frozen=True):
    """How the keys of one remote issuer are doing. `kids` are those held, `age_s` since they were fetched or confirmed.

    `fault` is why the last fetch failed; empty: it did not. `next_s` is how long until the next fetch.
    """

    issuer: str
    kids: tuple[str, ...]
    age_s: float | None
    fault: str
    next_s: float
    fetches: dict[FetchEnd, int]
