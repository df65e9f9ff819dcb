"""The snapshot: all that a worker needs to decide, compiled by control, swapped by pointer, read once per call.

A snapshot holds public keys only. It is plain data, so that it can cross the bus; a worker builds its typed keys and
connections from it once, when it arrives.
"""

from typing import Annotated

from msgspec import Meta, Struct

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

    header_bytes: Annotated[
        int, Meta(description="a whole number of bytes from 1024 to 1048576", ge=1024, le=1_048_576)
    ] = 32_768
    header_count: Annotated[int, Meta(description="a whole number from 8 to 1000", ge=8, le=1000)] = 100
    body_bytes: Annotated[
        int, Meta(description="a whole number of bytes from 1024 to 1073741824", ge=1024, le=1_073_741_824)
    ] = 20_971_520
    pipelined_requests: Annotated[int, Meta(description="a whole number from 1 to 100", ge=1, le=100)] = 8
    verified_tokens: Annotated[int, Meta(description="a whole number from 2 to 10000000", ge=2, le=10_000_000)] = 65_536
    audit_rows: Annotated[int, Meta(description="a whole number from 64 to 10000000", ge=64, le=10_000_000)] = 65_536
    max_staleness_s: Annotated[float, Meta(description="a number of seconds from 5 to 86400", ge=5, le=86_400)] = 60.0


class Snapshot(Struct, frozen=True):
    """One version of the world. `version` grows by one with each swap of a control process."""

    version: int
    issuer: Issuer
    upstreams: tuple[Upstream, ...]
    routes: tuple[Route, ...]
    limits: Limits = Limits()
