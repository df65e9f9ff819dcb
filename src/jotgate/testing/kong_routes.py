"""Which route, service and plugins of Kong's stand-in a request meets."""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from jotgate.testing.kong_jwt import ProxyAsk
from jotgate.testing.kong_store import KongStore
from jotgate.testing.kong_values import Row

_REGEX: Final = "~"


class Match(Struct, frozen=True):
    """A route that fits, its service, and the start of the path by which it fits."""

    route: Row
    service: Row
    prefix: str

    def upstream_path(self, path: str) -> str:
        """The path that the service is asked for."""
        rest = path[len(self.prefix) :] if self.route["strip_path"] else path
        base = (self.service["path"] or "").rstrip("/")
        return base + (rest if rest.startswith("/") else "/" + rest)


def matched(store: KongStore, ask: ProxyAsk) -> Match | None:
    """The route that fits best: the longest path, a regular expression before all others."""
    found: list[tuple[bool, int, Match]] = []
    for route in store.rows("routes"):
        service = None if route["service"] is None else store.get("services", route["service"]["id"])
        if service is None or not service["enabled"] or not _fits(route, ask):
            continue
        for prefix, regex in _prefixes(route, ask.path):
            found.append((regex, len(prefix), Match(route, service, prefix)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def plugin_for(store: KongStore, name: str, match: Match, consumer: Row | None) -> Row | None:
    """The plugin of this name that is meant most exactly; None: there is none, or it is switched off."""
    here = {"route": match.route["id"], "service": match.service["id"], "consumer": (consumer or {}).get("id")}
    found: list[tuple[tuple[int, ...], Row]] = []
    for row in store.rows("plugins"):
        if row["name"] != name or not row["enabled"]:
            continue
        named = {field: row[field]["id"] for field in here if row[field] is not None}
        if all(here[field] == value for field, value in named.items()):
            weight = (len(named), *(int(field in named) for field in ("consumer", "route", "service")))
            found.append((weight, row))
    return max(found, key=lambda one: one[0])[1] if found else None


def _fits(route: Row, ask: ProxyAsk) -> bool:
    methods, hosts = route["methods"], route["hosts"]
    host = (ask.header("host") or "").rpartition(":")[0] or ask.header("host") or ""
    return (not methods or ask.method in methods) and (not hosts or any(_is_host(one, host) for one in hosts))


def _is_host(pattern: str, host: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), host, re.IGNORECASE) is not None


def _prefixes(route: Row, path: str) -> Iterator[tuple[str, bool]]:
    if not route["paths"]:
        yield "", False
    for one in route["paths"] or ():
        if one.startswith(_REGEX):
            match = re.match(one[1:], path)
            if match:
                yield match[0], True
        elif path.startswith(one):
            yield one, False
