"""Principals, requests and worlds for the tests of the gateway."""

from collections.abc import Iterable, Mapping
from typing import Final

from jotgate.core.calls import Request
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.principals import Principal
from jotgate.core.routes import Attempt, Route, Upstream
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.gateway.world import Place, World, build_world
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.ports import UpstreamPort
from jotgate.testing.issuer import TestIssuer

NAME: Final = "https://gate.example"
NOW_S: Final = 1_800_000_000.0


def principal(
    *, subject: str = "alice", scopes: Iterable[str] = ("ai",), models: Iterable[str] | None = None
) -> Principal:
    """A principal of the test issuer."""
    return Principal(
        issuer=NAME,
        subject=subject,
        client_id="jotgate-cli",
        token_id="t-1",
        kid="k-1",
        scopes=frozenset(scopes),
        models=None if models is None else frozenset(models),
        expires_at_s=NOW_S + 600,
        not_before_s=0.0,
    )


def request(
    body: bytes = b"", *, method: bytes = b"POST", path: bytes = b"/v1/chat/completions", **headers: bytes
) -> Request:
    """A request of 127.0.0.1, begun when a `ManualClock` begins; `_` in a header's name stands for `-`."""
    fields = {name.replace("_", "-").encode("ascii"): value for name, value in headers.items()}
    return Request(method, path, b"", fields, "127.0.0.1", 1_000.0, body)


def make_issuer(key: SigningKey | None = None) -> TestIssuer:
    """An issuer of good and bad tokens."""
    return TestIssuer(key or generate("ES256"), NAME, NAME, NOW_S)


def issuer_of(source: TestIssuer, *, default_scopes: tuple[str, ...] = ()) -> Issuer:
    """What a snapshot says of this issuer."""
    return Issuer(
        name=OURS,
        issuer=source.issuer,
        audiences=(source.audience,),
        algorithms=("ES256",),
        types=(ACCESS_TOKEN_TYPE,),
        jwks=KeySet([source.key.verification_key]).to_jwks(),
        default_scopes=default_scopes,
    )


def own_issuer(jwks: bytes, *, leeway_s: int = 5) -> Issuer:
    """What a snapshot says of the installation `http://i` with these keys."""
    return Issuer(
        name=OURS,
        issuer="http://i",
        audiences=("http://i",),
        algorithms=("ES256",),
        types=(ACCESS_TOKEN_TYPE,),
        jwks=jwks,
        leeway_s=leeway_s,
    )


def make_world(
    source: TestIssuer,
    ports: Mapping[str, UpstreamPort],
    routes: Mapping[str, tuple[str, ...]],
    *,
    limits: Limits | None = None,
    upstream: Upstream | None = None,
) -> World:
    """A world with these upstreams; `routes` maps an alias to upstreams, each of which knows it as `real-ALIAS`."""
    pattern = upstream or Upstream("", "openai", "http://127.0.0.1:1/v1")
    upstreams = {
        name: Upstream(
            name,
            pattern.kind,
            pattern.base_url,
            first_byte_timeout_s=pattern.first_byte_timeout_s,
            idle_timeout_s=pattern.idle_timeout_s,
            total_timeout_s=pattern.total_timeout_s,
        )
        for name in ports
    }
    snapshot = Snapshot(
        version=7,
        issuers=(issuer_of(source),),
        upstreams=tuple(upstreams.values()),
        routes=tuple(
            Route(alias, tuple(Attempt(name, f"real-{alias}") for name in names)) for alias, names in routes.items()
        ),
        limits=limits or Limits(),
    )
    return build_world(snapshot, {name: Place(upstreams[name], port) for name, port in ports.items()}, None)
