"""The snapshot: all that a worker needs to decide, compiled by control, swapped by pointer, read once per call.

A snapshot holds public keys only. It is plain data, so that it can cross the bus; a worker builds its typed keys and
connections from it once, when it arrives.
"""

from typing import Annotated

from msgspec import Meta, Struct

from jotgate.core.chains import Chain
from jotgate.core.decisions import DecisionRules
from jotgate.core.edge import Edge
from jotgate.core.faces import Face
from jotgate.core.issuers import Issuer
from jotgate.core.mcp_pins import KnownTools
from jotgate.core.mcp_servers import McpRules
from jotgate.core.policy_values import PolicySet
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.routes import Route, Upstream

Patience = Annotated[float, Meta(description="a number of seconds from 1 to 3600", ge=1, le=3_600)]


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
    connections_per_address: Annotated[
        int, Meta(description="a whole number from 1 to 1000000", ge=1, le=1_000_000)
    ] = 4096
    first_byte_s: Patience = 20.0
    header_s: Patience = 20.0
    body_s: Patience = 300.0
    idle_s: Patience = 75.0
    stall_s: Patience = 60.0
    message_bytes: Annotated[
        int, Meta(description="a whole number of bytes from 1024 to 33554432", ge=1024, le=33_554_432)
    ] = 16_777_216
    messages_per_s: Annotated[float, Meta(description="a number from 1 to 10000", ge=1, le=10_000)] = 200.0
    messages_at_once: Annotated[int, Meta(description="a whole number from 1 to 100000", ge=1, le=100_000)] = 400
    personal_tokens: Annotated[int, Meta(description="a whole number from 2 to 10000000", ge=2, le=10_000_000)] = 16_384
    failed_attempts: Annotated[int, Meta(description="a whole number from 0 to 1000000", ge=0, le=1_000_000)] = 300
    failed_attempts_per_minute: Annotated[
        int, Meta(description="a whole number from 1 to 1000000", ge=1, le=1_000_000)
    ] = 300


class Snapshot(Struct, frozen=True):
    """One version of the world. `version` grows by one with each swap of a control process.

    The first of `issuers` is this installation. No two have the same `iss`, and at most one has none. `metered`: limits
    exist beside those that tokens bring, so that control must be asked which of them a call meets. `faces` are the
    listeners beside the native one, each with issuers and routes of its own; `upstreams` are those of all. Each of
    `chains` is what the upstream of its name does. `decisions` None: no proxy is told any. `made_at_s` is when the
    installation was made (NumericDate).
    """

    version: int
    issuers: tuple[Issuer, ...]
    upstreams: tuple[Upstream, ...]
    routes: tuple[Route, ...]
    limits: Limits = Limits()
    edge: Edge = Edge()
    policies: PolicySet = PolicySet()
    quotas: tuple[QuotaRule, ...] = ()
    metered: bool = False
    faces: tuple[Face, ...] = ()
    chains: tuple[Chain, ...] = ()
    made_at_s: int = 0
    decisions: DecisionRules | None = None
    mcp: McpRules = McpRules()
    tools: KnownTools = KnownTools()

    @property
    def all_issuers(self) -> tuple[Issuer, ...]:
        """Those of the native listener and of all faces, this installation first."""
        return (*self.issuers, *(one for face in self.faces for one in face.issuers))

    @property
    def all_aliases(self) -> frozenset[str]:
        """The names of all routes: of the native listener, of all faces, and of paths that proxies ask about."""
        routes = (*self.routes, *(route for one in self.faces for route in one.routes))
        paths = () if self.decisions is None else self.decisions.paths
        return frozenset((*(route.alias for route in routes), *(one.name for one in paths)))
