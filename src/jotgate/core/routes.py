"""Routes and upstreams: which upstreams answer for a model alias, in which order."""

from typing import Literal

from msgspec import Struct

from jotgate.core.values import Secret


class Upstream(Struct, frozen=True):
    """One place that answers AI calls.

    `kind` "echo" is built in and needs nothing else; "openai" is any OpenAI-compatible HTTP API below `base_url`
    (scheme, host, port and path prefix such as `/v1`).
    """

    name: str
    kind: Literal["openai", "echo"]
    base_url: str = ""
    credential: Secret | None = None
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 900.0


class Attempt(Struct, frozen=True):
    """One try of a route: the upstream's name, and the name under which that upstream knows the model."""

    upstream: str
    model: str


class Route(Struct, frozen=True):
    """A model alias and the attempts made for it, in order."""

    alias: str
    attempts: tuple[Attempt, ...]
