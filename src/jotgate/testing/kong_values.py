"""What tests tell Kong's stand-in to do, and what it has seen: faults, requests to it, requests that it let through."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Row = dict[str, Any]
"""An entity, or any other object of JSON."""


class KongFault(Struct, frozen=True, kw_only=True):
    """What goes wrong with the next requests to the Admin API that fit: `method` ("" is any), the start of the path.

    `skip` requests that fit pass first, then `times` go wrong. `status`: that status, 500 as Kong words it. `page`: the
    page of a load balancer with that status. `silence`: nothing comes. `slow`: the answer comes after `span_s`. `drop`
    and `reset` end the connection, `malformed` cuts the JSON off. `done`: what was asked is carried out all the same,
    so that only the answer is lost; for `slow` it always is.
    """

    ill: Literal["status", "page", "silence", "slow", "drop", "reset", "malformed"]
    method: str = ""
    path: str = "/"
    skip: int = 0
    times: int = 1
    status: int = 500
    span_s: float = 0.0
    done: bool = False

    def fits(self, method: str, path: str) -> bool:
        """Whether it is meant."""
        return self.method in ("", method) and path.startswith(self.path)


class AdminAsk(Struct, frozen=True):
    """A request to the Admin API as it was read, and the status that it was answered with; 0: it got no answer."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    status: int = 0


class Reached(Struct, frozen=True):
    """A request that got to an upstream behind Kong. `headers` are by lower-case name, repeated ones in order."""

    method: str
    target: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header; None when it is not there."""
        values = self.headers.get(name.lower())
        return values[0] if values else None
