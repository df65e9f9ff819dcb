"""The snapshot: all that a worker needs to decide, compiled by control, swapped by pointer, read once per call.

A snapshot holds public keys only. It is plain data, so that it can cross the bus; a worker builds its typed keys and
connections from it once, when it arrives.
"""

from msgspec import Struct

from jotgate.core.routes import Route, Upstream


class Issuer(Struct, frozen=True):
    """What jotgate demands of the tokens of one issuer.

    `jwks` is the JWK Set (RFC 7517 s5) as JSON. `leeway_s` is 0 to 60. `default_scopes` are those of a token that
    carries no `scope` claim.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    types: tuple[str, ...]
    jwks: bytes
    leeway_s: int = 5
    lifetime_max_s: int = 31_536_000
    default_scopes: tuple[str, ...] = ()


class Limits(Struct, frozen=True):
    """Everything has a limit, and the limit has a name and a unit."""

    header_bytes: int = 32_768
    header_count: int = 100
    body_bytes: int = 20_971_520
    pipelined_requests: int = 8
    verified_tokens: int = 65_536
    audit_rows: int = 65_536
    max_staleness_s: float = 60.0


class Snapshot(Struct, frozen=True):
    """One version of the world. `version` grows by one with each swap of a control process."""

    version: int
    issuer: Issuer
    upstreams: tuple[Upstream, ...]
    routes: tuple[Route, ...]
    limits: Limits = Limits()
