"""Turns a configuration into the snapshot that it means; apart from `snapshot`, so that workers need not import it."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.core.config import ECHO, Config, UpstreamEntry, seconds
from jotgate.core.config_checks import is_loopback
from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.snapshot import Edge, Issuer, Snapshot, TlsMaterial
from jotgate.core.values import Secret

_ALGORITHMS: Final = ("ES256",)


def compile_snapshot(
    config: Config,
    issuer_url: str,
    jwks: bytes,
    credentials: Mapping[str, Secret],
    version: int,
    *,
    tls: TlsMaterial | None = None,
) -> Snapshot:
    """The snapshot of a configuration. `credentials` are by upstream name; the echo upstream is always there.

    Upstreams that name the same alias are its attempts, in file order.
    """
    attempts: dict[str, list[Attempt]] = {ECHO: [Attempt(ECHO, ECHO)]}
    for entry in config.upstreams:
        for alias, model in entry.routes.items():
            attempts.setdefault(alias, []).append(Attempt(entry.name, model))
    return Snapshot(
        version=version,
        issuer=compile_issuer(config, issuer_url, jwks),
        upstreams=(
            Upstream(ECHO, "echo"),
            *(_upstream(entry, credentials.get(entry.name)) for entry in config.upstreams),
        ),
        routes=tuple(Route(alias, tuple(tries)) for alias, tries in attempts.items()),
        limits=config.limits,
        edge=compile_edge(config, tls),
    )


def compile_edge(config: Config, tls: TlsMaterial | None) -> Edge:
    """How the edge treats those who connect.

    Under TLS browsers are told to stay with it (RFC 6797), but not when only this machine is served: they would then
    ask for TLS on every port of `localhost`.
    """
    server = config.server
    return Edge(
        trusted_proxies=server.trusted_proxies,
        forwarded_fields=server.forwarded_fields,
        origins=config.cors.origins,
        hsts=tls is not None and not is_loopback(server.host),
        tls=tls,
    )


def compile_issuer(config: Config, issuer_url: str, jwks: bytes) -> Issuer:
    """What is demanded of jotgate's own tokens (RFC 9068 s4): `iss` and `aud` are the issuer's URL."""
    return Issuer(
        issuer=issuer_url,
        audience=issuer_url,
        algorithms=_ALGORITHMS,
        types=(ACCESS_TOKEN_TYPE,),
        jwks=jwks,
        leeway_s=seconds(config.issuer.leeway),
        default_scopes=config.issuer.default_scopes,
    )


def _upstream(entry: UpstreamEntry, credential: Secret | None) -> Upstream:
    return Upstream(
        name=entry.name,
        kind=entry.kind,
        base_url=entry.base_url.rstrip("/"),
        credential=credential,
        connect_timeout_s=seconds(entry.connect_timeout),
        first_byte_timeout_s=seconds(entry.first_byte_timeout),
        idle_timeout_s=seconds(entry.idle_timeout),
        total_timeout_s=seconds(entry.total_timeout),
    )
