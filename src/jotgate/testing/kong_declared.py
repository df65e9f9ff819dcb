"""A declarative configuration in Kong's stand-in: what stands in it replaces all that was there, or nothing does.

It is taken as JSON, which is YAML too; the text that decK writes is to be read by whoever sends it.
"""

from typing import Any, Final

import msgspec

from jotgate.testing import kong_errors as errors
from jotgate.testing.kong_entities import ENTITIES
from jotgate.testing.kong_store import KongStore
from jotgate.testing.kong_values import Row

FORMATS: Final = ("1.1", "2.1", "3.0")
_BELOW: Final = {
    "services": {"routes": ("routes", "service"), "plugins": ("plugins", "service")},
    "routes": {"plugins": ("plugins", "route")},
    "consumers": {
        "jwt_secrets": ("jwt_secrets", "consumer"),
        "acls": ("acls", "consumer"),
        "plugins": ("plugins", "consumer"),
    },
}
_TOP: Final = frozenset({"services", "routes", "consumers", "plugins", "jwt_secrets", "acls"})
_OURS: Final = "_"


def load(store: KongStore, given: Row) -> None:
    """Replace all rows by these. Raises KongRefused and changes nothing where one of them is refused."""
    config = _text(given["config"]) if isinstance(given.get("config"), str) else given
    _fill(KongStore(lambda: 0.0), config)
    store.clear()
    _fill(store, config)


def _text(text: str) -> Row:
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise _wrong({"error": "failed parsing declarative configuration"}) from error
    if not isinstance(told, dict):
        raise _wrong({"error": "expected a table"})
    return told


def _fill(store: KongStore, config: Row) -> None:
    if config.get("_format_version") not in FORMATS:
        raise _wrong({"_format_version": "expected one of: " + ", ".join(FORMATS)})
    for name, entries in config.items():
        if name.startswith(_OURS):
            continue
        if name not in _TOP:
            raise _wrong({name: "unknown field"})
        for entry in _listed(name, entries):
            _put(store, name, entry)


def _put(store: KongStore, name: str, entry: Row) -> None:
    below = _BELOW.get(name, {})
    own = {member: value for member, value in entry.items() if member not in below}
    for field, parent in ENTITIES[name].parents.items():
        if isinstance(own.get(field), str):
            own[field] = {ENTITIES[parent].key: own[field]}
    try:
        row = store.insert(ENTITIES[name], own)
    except errors.KongRefused as refusal:
        raise _wrong({name: refusal.body.get("fields", refusal.body.get("message"))}) from refusal
    for member, (child, field) in below.items():
        for inner in _listed(member, entry.get(member, [])):
            _put(store, child, {**inner, field: {"id": row["id"]}})


def _listed(name: str, entries: Any) -> list[Row]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong({name: "expected an array"})
    return entries


def _wrong(fields: Row) -> errors.KongRefused:
    message = f"declarative config is invalid: {errors.lua(fields)}"
    name = "invalid declarative configuration"
    return errors.KongRefused(400, {"code": 14, "name": name, "message": message, "fields": fields})
