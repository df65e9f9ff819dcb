"""What a configuration may not say although each setting is of its type: ranges, URLs, names, and what contradicts."""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.core.config import (
    ECHO,
    Cors,
    DpopEntry,
    HintsEntry,
    IssuerRules,
    KeysEntry,
    Metrics,
    Server,
    StoreEntry,
    Tls,
    TokensEntry,
    UpstreamEntry,
    seconds,
)
from jotgate.core.coze_checks import check_coze
from jotgate.core.decision_entries import DecisionsEntry, check_paths
from jotgate.core.edge_checks import check_asking_proxies, check_cors, check_proxies, check_tls
from jotgate.core.faults import Fault, advice, beside, shown
from jotgate.core.hint_checks import check_hints
from jotgate.core.key_checks import check_keys
from jotgate.core.kong_checks import check_kong
from jotgate.core.kong_entries import KongEntry
from jotgate.core.listen_texts import is_loopback, takes_from
from jotgate.core.oauth_checks import check_oauth
from jotgate.core.operations import SCOPES
from jotgate.core.route_checks import check_reach
from jotgate.core.store_checks import check_store
from jotgate.core.token_checks import check_dpop, check_tokens
from jotgate.core.url_parts import HTTP, url_parts

_LEEWAY_MAX_S: Final = 60
_TIMEOUT_MAX_S: Final = 86_400
_DRAIN_MAX_S: Final = 3_600
_ISSUER_WAIT_MAX_S: Final = 300
_TIMEOUTS: Final = (
    *("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout"),
    *("queue_timeout", "idle_connection_timeout", "breaker_timeout", "health_interval"),
)


def check_section(section: Struct) -> list[Fault]:
    """The faults of one table."""
    match section:
        case Server():
            return _check_server(section)
        case IssuerRules():
            return _check_issuer(section)
        case Metrics():
            return _check_metrics(section)
        case Tls():
            return check_tls(section)
        case Cors():
            return check_cors(section)
        case StoreEntry():
            return check_store(section)
        case HintsEntry():
            return check_hints(section)
        case KeysEntry():
            return check_keys(section)
        case TokensEntry():
            return check_tokens(section)
        case DpopEntry():
            return check_dpop(section)
        case DecisionsEntry():
            faults = _check_public_url(section.public_url, "decisions.public_url")
            return faults + check_asking_proxies(section.proxies) + check_paths(section)
        case KongEntry():
            return check_kong(section)
    return []


def check_exposure(server: Server, tls: Tls) -> list[Fault]:
    """The fault of a listener that others reach in the clear."""
    if is_loopback(server.host):
        return []
    if tls.cert or server.behind_proxy:
        return _check_name(server)
    fault = (
        f"is '{server.host}', which other machines can reach, and tokens would cross the network in the clear; write "
        "the paths of a certificate and its key to tls.cert and tls.key (--tls-cert, --tls-key), or set "
        "server.behind_proxy (--behind-proxy) when only a proxy that speaks TLS can reach it"
    )
    return [("server.host", fault)]


def check_listeners(server: Server, metrics: Metrics) -> list[Fault]:
    """The fault of two listeners on one address."""
    try:
        address = metrics.address
    except ValueError:
        return []  # Its own fault.
    if address is None or not server.port or address[1] != server.port or not takes_from(server.host, address[0]):
        return []
    fault = (
        f"is {shown(metrics.listen)}, where the gateway itself listens (server.port is {server.port}); write another "
        'port, such as "127.0.0.1:9464"'
    )
    return [("metrics.listen", fault)]


def check_bound(host: str, server: Server, tls: Tls, setting: str = "server.host") -> list[Fault]:
    """The fault of settings that put a running listener in the clear while others reach it.

    It stays on the `host` of its start whatever `setting` says now.
    """
    if is_loopback(host) or tls.cert or server.behind_proxy:
        return []
    fault = (
        f"was '{host}' at the start, and it is still listened on: other machines can reach it, and tokens would cross "
        "the network in the clear; leave tls.cert and tls.key as they were, and start jotgate again to change both"
    )
    return [(setting, fault)]


def _check_name(server: Server) -> list[Fault]:
    """The fault of a gateway whose name would be no address at all."""
    try:
        named = not ipaddress.ip_address(server.host).is_unspecified
    except ValueError:
        named = True
    if server.public_url or named:
        return []
    fault = (
        f"is missing beside server.host '{server.host}', which is no address that callers can use; write the URL that "
        'they know, such as "https://gateway.example"'
    )
    return [("server.public_url", fault)]


def check_upstream(path: str, entry: UpstreamEntry) -> list[Fault]:
    """The faults of one `[[upstreams]]`, whose path is given."""
    faults = []
    if entry.name == ECHO:
        faults.append((f"{path}.name", f"is '{ECHO}', which is built in; choose another name"))
    if ECHO in entry.routes:
        faults.append((f"{path}.models", f"holds '{ECHO}', which is built in; choose another alias"))
    if len(set(entry.models)) < len(entry.models):
        faults.append((f"{path}.models", "names a model twice; write each once"))
    faults += _check_credentials(path, entry)
    fault = _url_fault(entry.base_url)
    if fault:
        faults.append((f"{path}.base_url", fault))
    if entry.kind == "coze":
        faults += check_coze(path, entry)
    faults += check_reach(path, entry)
    for name in _TIMEOUTS:
        if seconds(getattr(entry, name)) > _TIMEOUT_MAX_S:
            faults.append((f"{path}.{name}", 'is longer than a day; write at most "24h"'))
    return faults


def _check_credentials(path: str, entry: UpstreamEntry) -> list[Fault]:
    """What an upstream is shown is said once: nothing is ever shown because something else failed."""
    written = [name for name in ("credential", "credential_env", "credential_file") if getattr(entry, name)]
    others = [name for name in ("other_credential_env", "other_credential_file") if getattr(entry, name)]
    faults = beside(path, written) + beside(path, others)
    if others and not written:
        faults.append((f"{path}.{others[0]}", "stands without a credential; write credential_env, or take it out"))
    if entry.oauth is None:
        return faults
    if written:
        fault = "stands beside oauth, and one never stands in for the other; take one of them out"
        faults.append((f"{path}.{written[0]}", fault))
    return faults + check_oauth(f"{path}.oauth", entry.oauth, entry.kind, entry.base_url)


def check_upstreams(upstreams: Mapping[str, UpstreamEntry]) -> list[Fault]:
    """The faults of the entries among themselves, by their paths."""
    first: dict[str, str] = {}
    faults = []
    for path, entry in upstreams.items():
        if first.setdefault(entry.name, path) != path:
            faults.append((f"{path}.name", f"is '{entry.name}' as in {first[entry.name]}; each name stands once"))
    return faults


def _check_issuer(issuer: IssuerRules) -> list[Fault]:
    faults = []
    if seconds(issuer.leeway) > _LEEWAY_MAX_S:
        faults.append(("issuer.leeway", f"is '{issuer.leeway}', and must be at most \"60s\""))
    for scope in issuer.default_scopes:
        if scope not in SCOPES:
            faults.append(("issuer.default_scopes", f"holds {shown(scope)}; {advice(scope, sorted(SCOPES))}"))
    return faults


def _check_metrics(metrics: Metrics) -> list[Fault]:
    try:
        address = metrics.address
    except ValueError:
        return [("metrics.listen", f'is {shown(metrics.listen)}, and must be such as "127.0.0.1:9464"')]
    if address is None or is_loopback(address[0]):
        return []
    fault = (
        f"is {shown(metrics.listen)}, which other machines can reach, and nobody is asked for a token there; write "
        '"127.0.0.1:9464", or read /metrics of the gateway with a token that has the scope metrics'
    )
    return [("metrics.listen", fault)]


def _check_server(server: Server) -> list[Fault]:
    faults = _check_public_url(server.public_url)
    if seconds(server.drain_timeout) > _DRAIN_MAX_S:
        faults.append(("server.drain_timeout", 'is longer than an hour; write at most "1h"'))
    if seconds(server.issuer_wait) > _ISSUER_WAIT_MAX_S:
        faults.append(("server.issuer_wait", 'is longer than five minutes; write at most "5m"'))
    return faults + check_proxies(server)


def _check_public_url(url: str, path: str = "server.public_url") -> list[Fault]:
    if not url:
        return []
    fault = _url_fault(url)
    if not fault and urlsplit(url).path:
        fault = 'has a path; write scheme, host and port alone, such as "https://gateway.example"'
    return [(path, fault)] if fault else []


def _url_fault(url: str) -> str:
    """What is wrong with an http or https URL that holds no credentials, query or fragment; empty when nothing."""
    remedy = 'write one such as "https://host:port/v1"'
    try:
        parts = url_parts(url, HTTP, "is not an http or https URL with a host")
    except ValueError as fault:
        return f"{fault}; {remedy}"
    if "@" in parts.netloc:
        return "holds a user name or password; take it out and use credential_env or credential_file"
    if "?" in url or "#" in url:
        return "holds a query or fragment; leave it out"
    return ""
