"""The entities of Kong's stand-in: fields, the names they go by in paths, what must hold of them, what they own."""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import Struct
from msgspec.structs import replace

from jotgate.testing.kong_errors import ENTITY
from jotgate.testing.kong_fields import CREATED, ID, TAGS, UPDATED, Field, completed, faults
from jotgate.testing.kong_plugins import AT_LEAST_ONE, PLUGINS, condition, quoted, together
from jotgate.testing.kong_values import Row

ALGORITHMS: Final = (
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"),
    *("PS256", "PS384", "PS512", "EdDSA"),
)
_WITH_PUBLIC_KEY: Final = re.compile(r"RS\d+|PS\d+|EdDSA")
_HTTP: Final = ("grpc", "grpcs", "http", "https")
_TEXT: Final = Field(kind="string")
_TEXTS: Final = Field(kind="set", elements=_TEXT)
_WAIT: Final = Field(kind="integer", default=60_000, between=(1, 2_147_483_646))


class Entity(Struct, frozen=True, kw_only=True):
    """A kind of entity. `path` is what its collection is called, `nested` below what it belongs to.

    `key` is the field that stands for the ID in paths. `ends` says what becomes of it when what a foreign field names
    is deleted. `together`: no two have the same in all of these fields.
    """

    name: str
    path: str
    nested: str
    key: str
    fields: Mapping[str, Field]
    checks: Callable[[Row], Row]
    ends: Mapping[str, Literal["cascade", "restrict"]] = {}
    together: tuple[str, ...] = ()

    @property
    def parents(self) -> dict[str, str]:
        """The entities that it may belong to, by the names of its fields."""
        return {name: field.reference for name, field in self.fields.items() if field.reference}


def fields_of(entity: Entity, row: Row) -> Mapping[str, Field]:
    """The fields of such a row; a plugin has those of its configuration."""
    plugin = PLUGINS.get(str(row.get("name")))
    if entity.name != "plugins" or plugin is None:
        return entity.fields
    config = Field(kind="record", required=True, fields=plugin.config, check=plugin.validator)
    consumer = entity.fields["consumer"] if plugin.of_consumer else replace(entity.fields["consumer"], shut=True)
    return {**entity.fields, "config": config, "consumer": consumer}


def wrong(entity: Entity, row: Row) -> Row:
    """What is wrong with a complete row; empty when nothing is."""
    name = row.get("name")
    if entity.name == "plugins" and isinstance(name, str) and name not in PLUGINS:
        return {"name": f"plugin '{name}' not enabled; add it to the 'plugins' configuration property"}
    found = faults(fields_of(entity, row), row)
    if found.keys() & entity.fields.keys():
        return found
    return together(found, entity.checks(row))


def complete(entity: Entity, row: Row) -> Row:
    """The row with the defaults of what was not given."""
    return completed(fields_of(entity, row), row)


def readable(pem: str) -> bool:
    """Whether Kong can read it as a key: a private one does too."""
    for load in (load_pem_public_key, lambda text: load_pem_private_key(text, None)):
        try:
            load(pem.encode())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return True
    return False


def _one_of(*names: str) -> Callable[[Row], Row]:
    def check(row: Row) -> Row:
        return {} if any(row.get(name) for name in names) else {ENTITY: [AT_LEAST_ONE.format(quoted(names))]}

    return check


def _check_secret(row: Row) -> Row:
    if not _WITH_PUBLIC_KEY.fullmatch(row["algorithm"] or ""):
        return {}
    pem = row["rsa_public_key"]
    if pem is None:
        return condition("algorithm", "rsa_public_key", "required field missing")
    return {} if readable(pem) else condition("algorithm", "rsa_public_key", "invalid key")


def _check_plugin(row: Row) -> Row:
    return PLUGINS[row["name"]].checks(row["config"])


def _nothing(_: Row) -> Row:
    return {}


def _absolute(path: str) -> str:
    return "" if path.startswith(("/", "~/")) else "should start with: / (fixed path) or ~/ (regex path)"


def _foreign(reference: str, *, required: bool = False) -> Field:
    return Field(kind="foreign", reference=reference, required=required)


def _protocols(*default: str) -> Field:
    return Field(kind="set", elements=Field(kind="string", one_of=_HTTP), default=default, required=True)


_CONSUMERS: Final = Entity(
    name="consumers",
    path="consumers",
    nested="consumers",
    key="username",
    checks=_one_of("custom_id", "username"),
    fields={
        "id": ID,
        "created_at": CREATED,
        "updated_at": UPDATED,
        "username": Field(kind="string", unique=True),
        "custom_id": Field(kind="string", unique=True),
        "tags": TAGS,
    },
)
_SECRETS: Final = Entity(
    name="jwt_secrets",
    path="jwts",
    nested="jwt",
    key="key",
    checks=_check_secret,
    ends={"consumer": "cascade"},
    fields={
        "id": ID,
        "created_at": CREATED,
        "consumer": _foreign("consumers", required=True),
        "key": Field(kind="string", unique=True, filled="random"),
        "secret": Field(kind="string", filled="random"),
        "rsa_public_key": _TEXT,
        "algorithm": Field(kind="string", default="HS256", one_of=ALGORITHMS),
        "tags": TAGS,
    },
)
_GROUPS: Final = Entity(
    name="acls",
    path="acls",
    nested="acls",
    key="group",
    checks=_nothing,
    ends={"consumer": "cascade"},
    together=("consumer", "group"),
    fields={
        "id": ID,
        "created_at": CREATED,
        "consumer": _foreign("consumers", required=True),
        "group": Field(kind="string", required=True),
        "tags": TAGS,
    },
)
_SERVICES: Final = Entity(
    name="services",
    path="services",
    nested="services",
    key="name",
    checks=_nothing,
    fields={
        "id": ID,
        "created_at": CREATED,
        "updated_at": UPDATED,
        "name": Field(kind="string", unique=True),
        "retries": Field(kind="integer", default=5, between=(0, 32_767)),
        "protocol": Field(kind="string", default="http", one_of=_HTTP),
        "host": Field(kind="string", required=True),
        "port": Field(kind="integer", default=80, between=(0, 65_535)),
        "path": Field(kind="string", check=_absolute),
        "connect_timeout": _WAIT,
        "write_timeout": _WAIT,
        "read_timeout": _WAIT,
        "enabled": Field(kind="boolean", default=True, required=True),
        "tags": TAGS,
    },
)
_ROUTES: Final = Entity(
    name="routes",
    path="routes",
    nested="routes",
    key="name",
    checks=_one_of("methods", "hosts", "headers", "paths", "snis"),
    ends={"service": "restrict"},
    fields={
        "id": ID,
        "created_at": CREATED,
        "updated_at": UPDATED,
        "name": Field(kind="string", unique=True),
        "protocols": _protocols("http", "https"),
        "methods": _TEXTS,
        "hosts": _TEXTS,
        "paths": Field(kind="set", elements=Field(kind="string", check=_absolute)),
        "headers": Field(kind="map"),
        "snis": _TEXTS,
        "https_redirect_status_code": Field(kind="integer", default=426, one_of=(426, 301, 302, 307, 308)),
        "regex_priority": Field(kind="integer", default=0),
        "strip_path": Field(kind="boolean", default=True, required=True),
        "path_handling": Field(kind="string", default="v0", one_of=("v0", "v1")),
        "preserve_host": Field(kind="boolean", default=False, required=True),
        "request_buffering": Field(kind="boolean", default=True, required=True),
        "response_buffering": Field(kind="boolean", default=True, required=True),
        "service": _foreign("services"),
        "tags": TAGS,
    },
)
_PLUGINS: Final = Entity(
    name="plugins",
    path="plugins",
    nested="plugins",
    key="instance_name",
    checks=_check_plugin,
    ends={"route": "cascade", "service": "cascade", "consumer": "cascade"},
    together=("name", "route", "service", "consumer"),
    fields={
        "id": ID,
        "name": Field(kind="string", required=True),
        "instance_name": Field(kind="string", unique=True),
        "created_at": CREATED,
        "updated_at": UPDATED,
        "route": _foreign("routes"),
        "service": _foreign("services"),
        "consumer": _foreign("consumers"),
        "config": Field(kind="record", required=True),
        "protocols": _protocols(*_HTTP),
        "enabled": Field(kind="boolean", default=True, required=True),
        "tags": TAGS,
    },
)

ENTITIES: Final[Mapping[str, Entity]] = {
    one.name: one for one in (_CONSUMERS, _SECRETS, _GROUPS, _SERVICES, _ROUTES, _PLUGINS)
}
BY_PATH: Final[Mapping[str, Entity]] = {one.path: one for one in ENTITIES.values()}
