"""Makes a configuration of a decoded document, and finds every fault that it has at once."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.chain_checks import check_chains
from jotgate.core.chain_entries import ChainEntry, read_chains
from jotgate.core.config import AttemptEntry, Config, Cors, IssuerEntry, Metrics, RouteEntry, Server, Tls, UpstreamEntry
from jotgate.core.config_checks import check_exposure, check_listeners, check_section, check_upstream, check_upstreams
from jotgate.core.decision_entries import with_paths
from jotgate.core.faults import Fault, shown
from jotgate.core.issuer_reader import read_issuers
from jotgate.core.kong_checks import read_kong_consumers
from jotgate.core.mcp_entries import mcp_servers, read_mcp
from jotgate.core.oauth_entries import OAuthEntry
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_reader import read_policies
from jotgate.core.price_entries import check_prices, read_prices
from jotgate.core.quota_entries import QuotaEntry
from jotgate.core.quota_reader import read_quotas
from jotgate.core.route_checks import check_bounds, check_credentials, check_expectations, check_routes, models_of
from jotgate.core.tables import GRANT_SECRETS, LITERAL_SECRETS, SECRETS, SHARED_SECRETS, make, read_table, unknown
from jotgate.errors import ConfigurationError

_STORE_SECRET: Final = (
    'is a secret, and none may stand in this file; write password_env = "NAME" of an environment variable, or '
    'password_file = "PATH"'
)
_KONG_SECRET: Final = (
    'is a secret, and none may stand in this file; write token_env = "NAME" of an environment variable, or '
    'token_file = "PATH"'
)
_LITERAL_SECRET: Final = (
    'is a secret, and none may stand in this file; write credential_env = "NAME" of an environment variable, '
    'or credential_file = "PATH"'
)
_SHARED_SECRET: Final = (
    'is a secret, and none may stand in this file; write secret_env = "NAME" of an environment variable, or '
    'secret_file = "PATH"'
)

_GRANT_SECRET: Final = (
    "is a secret, and none may stand in this file; write the name of an environment variable to the setting that ends "
    "in _env, or a file's path to the one that ends in _file"
)


class Reading(Struct, frozen=True):
    """What a document says. `config` is None when there are faults.

    `tls` and `server` are those tables, if they alone are sound; `issuers`, `policies`, `quotas` and `chains` are the
    sound entries by their path.
    """

    config: Config | None
    tls: Tls | None
    faults: tuple[Fault, ...]
    issuers: Mapping[str, IssuerEntry] = {}
    server: Server | None = None
    policies: Mapping[str, PolicyEntry] = {}
    quotas: Mapping[str, QuotaEntry] = {}
    chains: Mapping[str, ChainEntry] = {}


def parse(document: Mapping[str, object]) -> Config:
    """The configuration in a document.

    Raises:
        ConfigurationError: with every fault found, each as (path, what is wrong and what to write).
    """
    reading = read(document)
    faults = [*find_literal_secrets(document), *reading.faults]
    if faults or reading.config is None:
        raise ConfigurationError(faults)
    return reading.config


def read(document: Mapping[str, object]) -> Reading:
    """The configuration in a document, or its faults. Secrets in it are taken: see `find_literal_secrets`."""
    fields = msgspec.structs.fields(Config)
    faults = unknown("", document, [field.name for field in fields])
    content: dict[str, object] = {}
    document = with_paths(document, faults)
    for field in fields:
        if field.name == "mcp":
            content["mcp"] = read_mcp(document.get("mcp", {}), faults)
        elif isinstance(field.type, type) and issubclass(field.type, Struct):
            section = read_table(field.type, document.get(field.name, {}), field.name, faults)
            if section is not None:
                faults += check_section(section)
                content[field.name] = section
    upstreams = _read_upstreams(document.get("upstreams", []), faults)
    faults += check_upstreams(upstreams)
    content["upstreams"] = tuple(upstreams.values())
    sound = len(faults)
    routes = _read_routes(document.get("routes", []), faults)
    chains = read_chains(document.get("chains", []), faults)
    if len(faults) == sound:
        faults += check_routes(routes, upstreams, chains, _names(document.get("upstreams")))
        faults += check_expectations(routes)
        faults += check_chains(chains, upstreams, routes)
        if isinstance(cors := content.get("cors"), Cors):
            faults += check_credentials(routes, cors)
    content["routes"] = tuple(routes.values())
    content["chains"] = tuple(chains.values())
    prices = read_prices(document.get("prices", []), faults)
    if len(faults) == sound:
        faults += check_prices(prices, models_of(upstreams.values(), routes.values(), chains.values()))
    content["prices"] = tuple(prices.values())
    issuers = read_issuers(document.get("issuers", []), faults)
    content["issuers"] = tuple(issuers.values())
    policies = read_policies(document.get("policies", []), faults)
    content["policies"] = tuple(policies.values())
    quotas = read_quotas(document.get("quotas", []), faults)
    content["quotas"] = tuple(quotas.values())
    content["kong_consumers"] = tuple(read_kong_consumers(document.get("kong_consumers", []), faults).values())
    server, tls = content.get("server"), content.get("tls")
    if isinstance(server, Server):
        faults += check_bounds(upstreams, server.workers)
    if isinstance(server, Server) and isinstance(tls, Tls):
        faults += check_exposure(server, tls)
    if isinstance(server, Server) and isinstance(metrics := content.get("metrics"), Metrics):
        faults += check_listeners(server, metrics)
    config = None if faults else make(Config, content)
    return Reading(
        config,
        tls if isinstance(tls, Tls) else None,
        tuple(faults),
        issuers,
        server if isinstance(server, Server) else None,
        policies,
        quotas,
        chains,
    )


def find_literal_secrets(document: Mapping[str, object], *, development: bool = False) -> list[Fault]:
    """The secrets that stand in a document itself; in development they may, where there is a setting for them."""
    refused = LITERAL_SECRETS - SECRETS if development else LITERAL_SECRETS
    return [
        *([] if development else _passwords_in(document)),
        *_secrets_in("upstreams", document.get("upstreams"), refused, _LITERAL_SECRET),
        *_secrets_in("issuers", document.get("issuers"), SHARED_SECRETS, _SHARED_SECRET),
        *_secrets_of_grants("upstreams", document.get("upstreams")),
        *_secrets_in("mcp.servers", mcp_servers(document), refused, _LITERAL_SECRET),
        *_secrets_of_grants("mcp.servers", mcp_servers(document)),
        *_secrets_of_tools(mcp_servers(document)),
    ]


def _secrets_of_grants(name: str, upstreams: object) -> list[Fault]:
    return [
        (f"{name}[{index}].oauth.{setting}", _GRANT_SECRET)
        for index, item in enumerate(upstreams if isinstance(upstreams, list) else [])
        if isinstance(item, Mapping) and isinstance(table := item.get("oauth"), Mapping)
        for setting in sorted(GRANT_SECRETS & table.keys())
    ]


def _secrets_of_tools(servers: object) -> list[Fault]:
    """Those that stand in the tools of MCP servers, which have their server's credential."""
    return [
        fault
        for index, item in enumerate(servers if isinstance(servers, list) else [])
        if isinstance(item, Mapping)
        for fault in _secrets_in(f"mcp.servers[{index}].tools", item.get("tools"), LITERAL_SECRETS, _LITERAL_SECRET)
    ]


def _passwords_in(document: Mapping[str, object]) -> list[Fault]:
    refused = (("store.password", _STORE_SECRET), ("hints.password", _STORE_SECRET), ("kong.token", _KONG_SECRET))
    return [
        (path, fault)
        for path, fault in refused
        if isinstance(table := document.get(path.partition(".")[0]), Mapping) and path.partition(".")[2] in table
    ]


def _secrets_in(name: str, entries: object, refused: frozenset[str], fault: str) -> list[Fault]:
    return [
        (f"{name}[{index}].{setting}", fault)
        for index, item in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(item, Mapping)
        for setting in sorted(refused & item.keys())
    ]


def _read_upstreams(value: object, faults: list[Fault]) -> dict[str, UpstreamEntry]:
    """The sound entries by their path, such as `upstreams[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("upstreams", f"is {shown(value)}, and must be tables, each headed [[upstreams]]"))
        return {}
    entries: dict[str, UpstreamEntry] = {}
    for index, item in enumerate(value):
        path = f"upstreams[{index}]"
        sound = len(faults)
        entry = read_table(UpstreamEntry, _with_oauth(path, item, faults), path, faults)
        if entry is not None and len(faults) == sound:
            faults += check_upstream(path, entry)
            entries[path] = entry
    return entries


def _with_oauth(path: str, upstream: object, faults: list[Fault]) -> object:
    """An upstream's table with that of its grant read on its own, so that a fault names its setting."""
    table = upstream.get("oauth") if isinstance(upstream, Mapping) else None
    if not isinstance(upstream, Mapping) or not isinstance(table, Mapping):
        return upstream
    found = read_table(OAuthEntry, table, f"{path}.oauth", faults)
    rest = {name: value for name, value in upstream.items() if name != "oauth"}
    return rest if found is None else {**rest, "oauth": found}


def _names(entries: object) -> set[str]:
    """The names of the upstreams in a document, of those with faults too."""
    tables = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    return {name for entry in tables if isinstance(name := entry.get("name"), str)}


def _read_routes(value: object, faults: list[Fault]) -> dict[str, RouteEntry]:
    """The sound routes by their path, such as `routes[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("routes", f"is {shown(value)}, and must be tables, each headed [[routes]]"))
        return {}
    entries: dict[str, RouteEntry] = {}
    for index, item in enumerate(value):
        path = f"routes[{index}]"
        entry = read_table(RouteEntry, _with_attempts(path, item, faults), path, faults)
        if entry is not None:
            entries[path] = entry
    return entries


def _with_attempts(path: str, route: object, faults: list[Fault]) -> object:
    """A route's table with its attempts read one by one, so that a fault names its own."""
    attempts = route.get("attempts") if isinstance(route, Mapping) else None
    if not isinstance(route, Mapping) or not isinstance(attempts, list):
        return route
    found = [read_table(AttemptEntry, one, f"{path}.attempts[{index}]", faults) for index, one in enumerate(attempts)]
    # One that has faults stands for itself, so that the list is not empty for want of it.
    return {**route, "attempts": [one or AttemptEntry(upstream="") for one in found]}
