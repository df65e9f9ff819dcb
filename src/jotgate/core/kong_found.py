"""What Kong has, as values: read from the rows of its lists, whose other members are nobody's business here."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from jotgate.core.kong_admin import Row
from jotgate.core.values import Secret
from jotgate.errors import KongRefused


class FoundConsumer(Struct, frozen=True):
    """A consumer that Kong has."""

    consumer_id: str
    username: str
    custom_id: str
    tags: tuple[str, ...]


class FoundCredential(Struct, frozen=True):
    """A credential of the jwt plugin that Kong has. `secret` is one of symmetric algorithms, and else nothing."""

    credential_id: str
    consumer_id: str
    key: str
    algorithm: str
    public_key_pem: str
    secret: Secret
    tags: tuple[str, ...]


class FoundGroup(Struct, frozen=True):
    """That a consumer is in a group."""

    group_id: str
    consumer_id: str
    group: str


class FoundPlugin(Struct, frozen=True):
    """A plugin that Kong has, and what it stands on, by id; empty: not on one."""

    plugin_id: str
    name: str
    config: Mapping[str, object]
    enabled: bool
    tags: tuple[str, ...]
    consumer_id: str = ""
    service_id: str = ""
    route_id: str = ""


class FoundKong(Struct, frozen=True, kw_only=True):
    """What Kong has: of consumers, credentials and groups those with our tag, and all plugins.

    `service_id` and `route_id` are of those that our plugins are to stand on, where they are to.
    """

    consumers: Sequence[FoundConsumer]
    credentials: Sequence[FoundCredential]
    groups: Sequence[FoundGroup]
    plugins: Sequence[FoundPlugin]
    service_id: str = ""
    route_id: str = ""


def read_consumer(row: Row) -> FoundConsumer:
    """A row of `/consumers`. Raises KongRefused."""
    return FoundConsumer(_id(row), _text(row, "username"), _text(row, "custom_id"), tags_of(row))


def read_credential(row: Row) -> FoundCredential:
    """A row of `/jwts`. Raises KongRefused."""
    return FoundCredential(
        credential_id=_id(row),
        consumer_id=_of(row, "consumer"),
        key=_text(row, "key"),
        algorithm=_text(row, "algorithm"),
        public_key_pem=_text(row, "rsa_public_key"),
        secret=Secret(_text(row, "secret")),
        tags=tags_of(row),
    )


def read_group(row: Row) -> FoundGroup:
    """A row of `/acls`. Raises KongRefused."""
    return FoundGroup(_id(row), _of(row, "consumer"), _text(row, "group"))


def read_plugin(row: Row) -> FoundPlugin:
    """A row of `/plugins`. Raises KongRefused."""
    config = row.get("config")
    return FoundPlugin(
        plugin_id=_id(row),
        name=_text(row, "name"),
        config=config if isinstance(config, dict) else {},
        enabled=row.get("enabled") is not False,
        tags=tags_of(row),
        consumer_id=_of(row, "consumer"),
        service_id=_of(row, "service"),
        route_id=_of(row, "route"),
    )


def id_of(row: Row) -> str:
    """The id of any entity. Raises KongRefused."""
    return _id(row)


def tags_of(row: Row) -> tuple[str, ...]:
    """The tags of an entity; Kong writes null for none."""
    found = row.get("tags")
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _id(row: Row) -> str:
    found = _text(row, "id")
    if not found:
        raise KongRefused("Kong's Admin API gave an entity without an id", hint="Look at what kong.admin_url leads to")
    return found


def _of(row: Row, name: str) -> str:
    """The id of what an entity belongs to; empty: it does not."""
    found = row.get(name)
    return _text(found, "id") if isinstance(found, dict) else ""


def _text(row: Row, name: str) -> str:
    found = row.get(name)
    return found if isinstance(found, str) else ""
