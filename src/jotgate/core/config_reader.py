"""Makes a configuration of a decoded document, and finds every fault that it has at once."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from jotgate.core.config import AttemptEntry, Config, Metrics, RouteEntry, Server, Tls, UpstreamEntry
from jotgate.core.config_checks import check_exposure, check_listeners, check_section, check_upstream, check_upstreams
from jotgate.core.faults import Fault, advice, shown
from jotgate.core.route_checks import check_bounds, check_routes
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError

SECRETS: Final = frozenset({"credential"})
"""Settings that hold a secret; their values are never shown."""

_HIDDEN: Final = SECRETS | {"password"}
_STORE_SECRET: Final = (
    'is a secret, and none may stand in this file; write password_env = "NAME" of an environment variable, or '
    'password_file = "PATH"'
)
_LITERAL_SECRETS: Final = SECRETS | {"api_key", "apikey", "key", "token", "secret", "password"}
_LITERAL_SECRET: Final = (
    'is a secret, and none may stand in this file; write credential_env = "NAME" of an environment variable, '
    'or credential_file = "PATH"'
)

_Struct = TypeVar("_Struct", bound=Struct)


class Reading(Struct, frozen=True):
    """What a document says. `config` is None when there are faults; `tls` is that table, if it alone is sound."""

    config: Config | None
    tls: Tls | None
    faults: tuple[Fault, ...]


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
    faults = _unknown("", document, [field.name for field in fields])
    content: dict[str, object] = {}
    for field in fields:
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            section = _read_table(field.type, document.get(field.name, {}), field.name, faults)
            if section is not None:
                faults += check_section(section)
                content[field.name] = section
    upstreams = _read_upstreams(document.get("upstreams", []), faults)
    faults += check_upstreams(upstreams)
    content["upstreams"] = tuple(upstreams.values())
    sound = len(faults)
    routes = _read_routes(document.get("routes", []), faults)
    if len(faults) == sound:
        faults += check_routes(routes, upstreams, _names(document.get("upstreams")))
    content["routes"] = tuple(routes.values())
    server, tls = content.get("server"), content.get("tls")
    if isinstance(server, Server):
        faults += check_bounds(upstreams, server.workers)
    if isinstance(server, Server) and isinstance(tls, Tls):
        faults += check_exposure(server, tls)
    if isinstance(server, Server) and isinstance(metrics := content.get("metrics"), Metrics):
        faults += check_listeners(server, metrics)
    config = None if faults else _make(Config, content)
    return Reading(config, tls if isinstance(tls, Tls) else None, tuple(faults))


def find_literal_secrets(document: Mapping[str, object], *, development: bool = False) -> list[Fault]:
    """The secrets that stand in a document itself; in development they may, where there is a setting for them."""
    refused = _LITERAL_SECRETS - SECRETS if development else _LITERAL_SECRETS
    entries, store = document.get("upstreams"), document.get("store")
    in_store = isinstance(store, Mapping) and "password" in store and not development
    return [("store.password", _STORE_SECRET)] * in_store + [
        (f"upstreams[{index}].{name}", _LITERAL_SECRET)
        for index, item in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(item, Mapping)
        for name in sorted(refused & item.keys())
    ]


def _read_table(kind: type[_Struct], value: object, path: str, faults: list[Fault]) -> _Struct | None:
    """One table as its struct, or None when it has faults, which are added to `faults`."""
    if not isinstance(value, Mapping):
        faults.append((path, f"is {shown(value)}, and must be a table: [{path}]"))
        return None
    fields = msgspec.structs.fields(kind)
    found = _unknown(f"{path}.", value, [field.name for field in fields])
    content: dict[str, object] = {}
    for field in fields:
        if field.name in value:
            try:
                content[field.name] = msgspec.convert(value[field.name], field.type, dec_hook=_conceal)
            except msgspec.ValidationError:
                what = "not that" if field.name in _HIDDEN else shown(value[field.name])
                found.append((f"{path}.{field.name}", f"is {what}, and must be {description(field.type)}"))
        elif field.required:
            found.append((f"{path}.{field.name}", f"is missing; write {description(field.type)}"))
    faults += found
    return None if found else _make(kind, content)


def _read_upstreams(value: object, faults: list[Fault]) -> dict[str, UpstreamEntry]:
    """The sound entries by their path, such as `upstreams[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("upstreams", f"is {shown(value)}, and must be tables, each headed [[upstreams]]"))
        return {}
    entries: dict[str, UpstreamEntry] = {}
    for index, item in enumerate(value):
        path = f"upstreams[{index}]"
        entry = _read_table(UpstreamEntry, item, path, faults)
        if entry is not None:
            faults += check_upstream(path, entry)
            entries[path] = entry
    return entries


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
        entry = _read_table(RouteEntry, _with_attempts(path, item, faults), path, faults)
        if entry is not None:
            entries[path] = entry
    return entries


def _with_attempts(path: str, route: object, faults: list[Fault]) -> object:
    """A route's table with its attempts read one by one, so that a fault names its own."""
    attempts = route.get("attempts") if isinstance(route, Mapping) else None
    if not isinstance(route, Mapping) or not isinstance(attempts, list):
        return route
    found = [_read_table(AttemptEntry, one, f"{path}.attempts[{index}]", faults) for index, one in enumerate(attempts)]
    # One that has faults stands for itself, so that the list is not empty for want of it.
    return {**route, "attempts": [one or AttemptEntry(upstream="") for one in found]}


def description(kind: object) -> str:
    """What a setting of this type wants to be, from its annotation."""
    return next(
        (one.description for one in getattr(kind, "__metadata__", ()) if isinstance(one, Meta) and one.description),
        "something else",
    )


def _unknown(prefix: str, table: Mapping[str, object], known: list[str]) -> list[Fault]:
    return [
        (f"{prefix}{name}", f"is not a setting; {advice(name, known)}")
        for name in table
        if name not in known and not (prefix.startswith("upstreams[") and name in _LITERAL_SECRETS)
    ]


def _conceal(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError("no text")  # msgspec makes a fault of it.


def _make(kind: type[_Struct], content: Mapping[str, object]) -> _Struct:
    return kind(**content)
