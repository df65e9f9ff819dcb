"""What upstreams and routes may not say of one another, and of the way to an upstream."""

from collections.abc import Iterable, Mapping, Set
from typing import Final
from urllib.parse import urlsplit

from jotgate.core.chain_entries import ChainEntry
from jotgate.core.config import ECHO, Cors, RouteEntry, UpstreamEntry
from jotgate.core.faults import Fault, advice, shown
from jotgate.jose.jwt import media_type

_PROXY_REMEDY: Final = 'write one such as "http://proxy.example:3128"'


def check_reach(path: str, entry: UpstreamEntry) -> list[Fault]:
    """The faults of the way to one upstream: its proxy and its roots."""
    faults = []
    if entry.ca_file and not entry.base_url.startswith("https:"):
        faults.append((f"{path}.ca_file", "stands beside a base_url that is not https; take one of them out"))
    fault = _proxy_fault(entry.proxy) if entry.proxy else ""
    if fault:
        faults.append((f"{path}.proxy", fault))
    written = [name for name in ("proxy_credential_env", "proxy_credential_file") if getattr(entry, name)]
    if len(written) == 2:
        faults.append((f"{path}.{written[1]}", f"stands beside {written[0]}; write one of them"))
    if written and not entry.proxy:
        faults.append((f"{path}.{written[0]}", "stands without a proxy; write proxy, or take it out"))
    return faults


def check_bounds(upstreams: Mapping[str, UpstreamEntry], workers: int) -> list[Fault]:
    """Bounds hold for all workers together, and each worker needs a share."""
    return [
        (f"{path}.{name}", f"is {bound} for {workers} workers, and each needs a share; write 0 for no bound, or more")
        for path, entry in upstreams.items()
        for name in ("max_concurrent", "max_concurrent_per_tenant", "max_connections")
        if 0 < (bound := getattr(entry, name)) < workers
    ]


def check_routes(
    routes: Mapping[str, RouteEntry],
    upstreams: Mapping[str, UpstreamEntry],
    chains: Mapping[str, ChainEntry],
    names: Set[str],
) -> list[Fault]:
    """The faults of the routes, by path, and of upstreams that no call would reach. `names` are of all upstreams."""
    names = names | {ECHO} | {chain.name for chain in chains.values()}
    listed = {alias: f"{path}.models" for path, entry in upstreams.items() for alias in entry.routes}
    faults: list[Fault] = []
    for path, route in routes.items():
        if route.alias == ECHO:
            faults.append((f"{path}.alias", f"is '{ECHO}', which is built in; choose another alias"))
        elif route.alias in listed:
            where = listed[route.alias]
            faults.append((f"{path}.alias", f"is '{route.alias}', which {where} holds too; write it in one place"))
        listed.setdefault(route.alias, f"{path}.alias")
        faults += _check_attempts(path, route, names)
    used = {attempt.upstream for route in routes.values() for attempt in route.attempts}
    used |= {step.upstream for chain in chains.values() for step in chain.steps}
    for path, entry in upstreams.items():
        # Callers of the Coze proxy's face may name what no setting does.
        if not entry.models and entry.name not in used and entry.kind != "coze":
            fault = "is missing, and no route names this upstream, nor does a chain; write a list of models"
            faults.append((f"{path}.models", fault))
    return faults


def models_of(
    upstreams: Iterable[UpstreamEntry], routes: Iterable[RouteEntry], chains: Iterable[ChainEntry]
) -> dict[str, set[str]]:
    """The models of each upstream, by the names that it has for them; those of the built-in one too."""
    models = {ECHO: {ECHO}} | {entry.name: set(entry.routes.values()) for entry in upstreams}
    for route in routes:
        for attempt in route.attempts:
            models.setdefault(attempt.upstream, set()).add(attempt.model or route.alias)
    for step in (step for chain in chains for step in chain.steps if step.upstream):
        models.setdefault(step.upstream, set()).add(step.model)
    return models


def check_credentials(routes: Mapping[str, RouteEntry], cors: Cors) -> list[Fault]:
    """The faults of the places where routes take tokens. A cookie needs pages that may send it."""
    faults = []
    for path, route in routes.items():
        place = f"{path}.credentials"
        if len(set(route.credentials)) < len(route.credentials):
            faults.append((place, "names a place twice; write each once"))
        if "cookie" in route.credentials and not cors.origins:
            fault = "takes tokens from cookies while no page may send one; write the pages' origins to cors.origins"
            faults.append((place, fault))
    return faults


def check_expectations(routes: Mapping[str, RouteEntry]) -> list[Fault]:
    """The faults of what routes expect of tokens: what no token has, and what is said twice."""
    faults: list[Fault] = []
    for path, route in routes.items():
        types = list(map(media_type, route.token_types))
        for name, texts, empty in (("audiences", list(route.audiences), False), ("token_types", types, True)):
            if len(set(texts)) < len(texts):
                faults.append((f"{path}.{name}", "says the same twice; write each once"))
            if any(not (text or empty) or not text.isprintable() or text != text.strip() for text in texts):
                faults.append((f"{path}.{name}", "has one that no token has; write it as tokens have it"))
    return faults


def _check_attempts(path: str, route: RouteEntry, names: Set[str]) -> list[Fault]:
    faults = []
    seen: set[tuple[str, str | None]] = set()
    for index, attempt in enumerate(route.attempts):
        place = f"{path}.attempts[{index}]"
        if attempt.upstream not in names:
            known = advice(attempt.upstream, sorted(names))
            faults.append((f"{place}.upstream", f"is {shown(attempt.upstream)}, which no upstream is called; {known}"))
        if (attempt.upstream, attempt.model) in seen:
            faults.append((place, "stands twice; write each upstream and model once"))
        seen.add((attempt.upstream, attempt.model))
        if attempt.weight and index and not route.attempts[index - 1].weight:
            faults.append((f"{place}.weight", "stands behind an attempt without one; those with a weight come first"))
    return faults


def _proxy_fault(url: str) -> str:
    """What is wrong with a proxy's URL; a fault never shows it, because a password may stand in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"is not a URL; {_PROXY_REMEDY}"
    if "@" in parts.netloc:
        return "holds a user name or password; take it out and use proxy_credential_env or proxy_credential_file"
    if parts.scheme != "http" or not parts.hostname or not port or not url.isascii() or not url.isprintable():
        return f"is not an http URL with host and port; {_PROXY_REMEDY}"
    if parts.path.strip("/") or "?" in url or "#" in url or " " in url:
        return f"holds more than scheme, host and port; {_PROXY_REMEDY}"
    return ""
