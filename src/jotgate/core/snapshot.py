"""The snapshot: all that a worker needs to decide, compiled by control, swapped by pointer, read once per call.

A snapshot holds public keys only. It is plain data, so that it can cross the bus; a worker builds its typed keys and
connections from it once, when it arrives.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from jotgate.core.issuers import Issuer
from jotgate.core.policy_values import PolicySet
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.routes import Route, Upstream
from jotgate.core.values import Secret

Patience = Annotated[float, Meta(description="a number of seconds from 1 to 3600", ge=1, le=3_600)]


CertificateField = Literal["", "client-cert", "x-ssl-client-cert"]
"""The field in which trusted proxies write the certificate of the caller; empty: in none."""


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
    personal_tokens: Annotated[int, Meta(description="a whole number from 2 to 10000000", ge=2, le=10_000_000)] = 16_384
    failed_attempts: Annotated[int, Meta(description="a whole number from 0 to 1000000", ge=0, le=1_000_000)] = 300
    failed_attempts_per_minute: Annotated[
        int, Meta(description="a whole number from 1 to 1000000", ge=1, le=1_000_000)
    ] = 300


class TlsMaterial(Struct, frozen=True):
    """What the edge shows and demands under TLS, all PEM: the certificate and its chain, its key, the clients' roots.

    `client_ca` empty: clients are asked for no certificate; `client_optional`: one that has none may come all the same.
    Control has read and checked it; workers open no file.
    """

    certificates: str
    key: Secret
    client_ca: str = ""
    min_version: Literal["1.2", "1.3"] = "1.2"
    client_optional: bool = False


class Edge(Struct, frozen=True):
    """How the edge treats those who connect.

    `trusted_proxies` are networks. `forwarded_fields` is the family of fields that they are believed. `origins` are
    the web origins that may read answers. `hsts`: browsers are told to come back under TLS only. `credential_cookie`
    is the name of the cookie that holds a token; empty: no route allows cookies. `certificate_field` is where trusted
    proxies write the certificate of the caller.
    """

    trusted_proxies: tuple[str, ...] = ()
    forwarded_fields: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    origins: tuple[str, ...] = ()
    hsts: bool = False
    credential_cookie: str = ""
    tls: TlsMaterial | None = None
    certificate_field: CertificateField = ""


class Snapshot(Struct, frozen=True):
    """One version of the world. `version` grows by one with each swap of a control process.

    The first of `issuers` is this installation. No two have the same `iss`, and at most one has none. `metered`: limits
    exist beside those that tokens bring, so that control must be asked which of them a call meets.
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
