"""Turns a configuration into the snapshot that it means; apart from `snapshot`, so that workers need not import it."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.breakers import BreakerRules
from jotgate.core.chain_compiler import chain_routes, chain_upstream, compile_chain, route_by_chains
from jotgate.core.chains import Chain
from jotgate.core.claims import ACCESS_TOKEN_TYPE
from jotgate.core.config import ECHO, Config, RouteEntry, UpstreamEntry, seconds
from jotgate.core.decision_entries import compile_decisions
from jotgate.core.edge import Edge, TlsMaterial
from jotgate.core.expectations import RouteExpectation
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.key_life import OwnKeys
from jotgate.core.listen_texts import is_loopback
from jotgate.core.mcp_compiler import compile_mcp, mcp_upstream
from jotgate.core.policy_values import PolicySet
from jotgate.core.preset_tables import Names, native_part
from jotgate.core.price_entries import PriceFinder, price_finder
from jotgate.core.price_table import PriceTable
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.routes import Attempt, Bounds, HealthCheck, MeteringRules, Reach, Route, Upstream
from jotgate.core.snapshot import Snapshot
from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from jotgate.jose.jwt import media_type


class Materials(Struct, frozen=True):
    """What a configuration names and does not hold. Credentials, grants and `reaches` are by upstream name.

    `prices` is the table of what is known of prices. `prompts` are the texts of the prompt files, by their setting.
    `brought` are the names of what stands in the configuration on behalf of presets. `mcp_session_key` seals the
    sessions of MCP clients.
    """

    credentials: Mapping[str, Secret] = {}
    reaches: Mapping[str, Reach] = {}
    tls: TlsMaterial | None = None
    policies: PolicySet = PolicySet()
    prices: PriceTable = PriceTable()
    prompts: Mapping[str, str] = {}
    brought: Names = {}
    other_credentials: Mapping[str, Secret] = {}
    grants: Mapping[str, TokenGrant] = {}
    mcp_session_key: Secret | None = None


_NONE: Final = Materials()
_NO_PROMPTS: Final[Mapping[str, str]] = {}


def compile_snapshot(
    config: Config, issuer_url: str, keys: OwnKeys, version: int, materials: Materials = _NONE
) -> Snapshot:
    """The snapshot of a configuration. The echo upstream is always there."""
    return Snapshot(
        version=version,
        issuers=(compile_issuer(config, issuer_url, keys),),
        upstreams=(
            Upstream(ECHO, "echo"),
            *(_upstream(entry, materials) for entry in config.upstreams),
            *map(chain_upstream, config.chains),
            *(
                mcp_upstream(entry, materials.credentials, materials.reaches, materials.grants)
                for entry in config.mcp.servers
            ),
        ),
        routes=price_routes(
            compile_routes(native_part(config, materials.brought)), config, materials.prices, materials.prompts
        ),
        limits=config.limits,
        edge=compile_edge(config, materials.tls),
        policies=materials.policies,
        quotas=compile_quotas(config.quotas),
        chains=compile_chains(config, materials.prices, materials.prompts),
        decisions=compile_decisions(config.decisions),
        mcp=compile_mcp(config.mcp, materials.mcp_session_key),
    )


def compile_routes(config: Config) -> tuple[Route, ...]:
    """The routes. Upstreams that name the same alias are its attempts, in file order; then come those with an entry."""
    attempts: dict[str, list[Attempt]] = {ECHO: [Attempt(ECHO, ECHO)]}
    for upstream in config.upstreams:
        for alias, model in upstream.routes.items():
            attempts.setdefault(alias, []).append(Attempt(upstream.name, model))
    short = [Route(alias, tuple(tries)) for alias, tries in attempts.items()]
    named = {attempt.upstream for route in config.routes for attempt in route.attempts}
    return (*short, *map(_route, config.routes), *chain_routes(config.chains, named))


def price_routes(
    routes: Iterable[Route], config: Config, table: PriceTable, prompts: Mapping[str, str] = _NO_PROMPTS
) -> tuple[Route, ...]:
    """The routes, with what is known of the prices of their attempts; of a chain, what its steps cost and use."""
    find = _price_finder(config, table)
    chains = {chain.name: chain for chain in compile_chains(config, table, prompts)}
    return tuple(route_by_chains(_priced(route, find), chains) for route in routes)


def compile_chains(config: Config, table: PriceTable, prompts: Mapping[str, str]) -> tuple[Chain, ...]:
    """The chains. Their steps' models are those of the routes, whichever listener these are for."""
    if not config.chains:
        return ()
    routes = {route.alias: route for route in compile_routes(config)}
    find = _price_finder(config, table)
    return tuple(compile_chain(entry, routes, prompts, find) for entry in config.chains)


def _price_finder(config: Config, table: PriceTable) -> PriceFinder:
    return price_finder(config.prices, {entry.name: entry.base_url for entry in config.upstreams}, table)


def _priced(route: Route, find: PriceFinder) -> Route:
    attempts = tuple(replace(one, price=find(one.upstream, one.model)) for one in route.attempts)
    return replace(route, attempts=attempts)


def _route(entry: RouteEntry) -> Route:
    return Route(
        alias=entry.alias,
        attempts=tuple(Attempt(one.upstream, one.model or entry.alias, one.weight) for one in entry.attempts),
        attempts_max=entry.max_attempts,
        retry_unsafe=entry.retry_unsafe,
        credentials=entry.credentials,
        expects=_expectation(entry),
        ended_tokens=entry.ended_tokens,
        metering=MeteringRules(
            output_ceiling=entry.output_ceiling,
            output_step=entry.output_step,
            image_tokens=entry.image_tokens,
            audio_tokens=entry.audio_tokens,
            quota_spent=entry.quota_spent,
            quota_outage=entry.quota_outage,
        ),
    )


def _expectation(entry: RouteEntry) -> RouteExpectation | None:
    found = RouteExpectation(
        audiences=frozenset(entry.audiences),
        token_types=frozenset(map(media_type, entry.token_types)),
        age_s=None if entry.token_age is None else seconds(entry.token_age),
    )
    return None if found == RouteExpectation() else found


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
        credential_cookie=server.credential_cookie if any("cookie" in one.credentials for one in config.routes) else "",
        tls=tls,
        certificate_field=server.client_certificate_field,
    )


def compile_issuer(config: Config, issuer_url: str, keys: OwnKeys) -> Issuer:
    """What is demanded of jotgate's own tokens (RFC 9068 s4): `iss` and `aud` are the issuer's URL."""
    return Issuer(
        name=OURS,
        issuer=issuer_url,
        audiences=(issuer_url,),
        algorithms=keys.algorithms,
        types=(ACCESS_TOKEN_TYPE,),
        jwks=keys.jwks,
        key_ends=keys.ends,
        leeway_s=seconds(config.issuer.leeway),
        default_scopes=config.issuer.default_scopes,
    )


def _upstream(entry: UpstreamEntry, materials: Materials) -> Upstream:
    # Where a proxy or roots of its own are asked for, a missing reach is an error and never the direct way.
    needed = entry.proxy or entry.ca_file
    grant = materials.grants.get(entry.name)
    return Upstream(
        name=entry.name,
        kind=entry.kind,
        base_url=entry.base_url.rstrip("/"),
        credential=materials.credentials.get(entry.name),
        other_credential=materials.other_credentials.get(entry.name),
        # An entry that asks for tokens and has no grant gets none: it is never sent without a credential.
        exchanged=entry.oauth is not None,
        token_mark="" if grant is None else grant.mark,
        connect_timeout_s=seconds(entry.connect_timeout),
        first_byte_timeout_s=seconds(entry.first_byte_timeout),
        idle_timeout_s=seconds(entry.idle_timeout),
        total_timeout_s=seconds(entry.total_timeout),
        reach=materials.reaches[entry.name] if needed else Reach(),
        bounds=Bounds(
            concurrent=entry.max_concurrent,
            of_one_tenant=entry.max_concurrent_per_tenant,
            connections=entry.max_connections,
            queued=entry.queue_length,
            queue_s=seconds(entry.queue_timeout),
            idle_connections=entry.idle_connections,
            idle_s=seconds(entry.idle_connection_timeout),
        ),
        breaker=BreakerRules(entry.breaker_failures, seconds(entry.breaker_timeout)),
        health=HealthCheck(entry.health_path, seconds(entry.health_interval)),
        ceiling_field=entry.ceiling_field,
    )
