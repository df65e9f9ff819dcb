"""Kong's Admin API over the rows of the stand-in: what each request does, in pages, by tags, nested in owners."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, unquote

from msgspec import Struct

from jotgate.testing import kong_errors as errors
from jotgate.testing.kong_declared import load
from jotgate.testing.kong_entities import BY_PATH, ENTITIES, Entity, fields_of
from jotgate.testing.kong_errors import nowhere, said
from jotgate.testing.kong_fields import Field, inferred, is_uuid, tag_fault
from jotgate.testing.kong_plugins import PLUGINS
from jotgate.testing.kong_store import KongStore
from jotgate.testing.kong_values import Row

VERSION: Final = "3.9.1"
_PAGE: Final = 100
_PAGE_MAX: Final = 1_000
_VERBS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_URL_PORTS: Final = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443}
_WRITES: Final = {"POST": "create", "PUT": "create or update", "PATCH": "update", "DELETE": "remove"}


class Asked(Struct, frozen=True):
    """A request as it was read; `form`: the values of its body are texts."""

    method: str
    path: str
    query: Mapping[str, str]
    given: Row
    form: bool = False

    @property
    def parts(self) -> list[str]:
        """The parts of the path, unescaped; a slash at the end is none."""
        parts = self.path.removeprefix("/").removesuffix("/").split("/")
        return [unquote(part) for part in parts] if parts != [""] else []


class Said(Struct, frozen=True):
    """An answer: its status and the object of its body, if it has one."""

    status: int
    body: Row | None = None


def _ok(body: Row) -> Said:
    return Said(200, body)


class KongAdmin:
    """The Admin API. `declared`: Kong runs without a database, and takes its configuration as a whole at `/config`."""

    def __init__(self, store: KongStore) -> None:
        self.store = store
        self.declared = False

    def answer(self, asked: Asked) -> Said:
        """Do what is asked. Raises KongRefused."""
        if asked.method not in _VERBS:
            raise said(405, "Method not allowed")
        parts = asked.parts
        if not parts or parts[0] not in BY_PATH or parts == ["plugins", "enabled"]:
            return self._other(asked, parts)
        if self.declared and asked.method in _WRITES:
            raise errors.refused(12, _unsupported(asked.method, self._meant(parts)))
        entity = BY_PATH[parts[0]]
        if len(parts) == 1:
            return self._collection(asked, entity, None)
        if len(parts) == 2:
            return self._one(asked, entity, parts[1])
        parent = self.store.find(entity, parts[1])
        if parent is None:
            raise nowhere()
        if len(parts) == 3 and parts[2] in BY_PATH[parts[0]].parents:
            return self._owner(asked, entity, parent, parts[2])
        child, field = _child(entity, parts[2])
        if len(parts) == 3:
            return self._collection(asked, child, (entity, field, parent))
        if len(parts) == 4:
            return self._nested(asked, child, (field, parent), parts[3])
        raise nowhere()

    # Collections

    def _collection(self, asked: Asked, entity: Entity, of: tuple[Entity, str, Row] | None) -> Said:
        if asked.method == "POST":
            given = _given(asked, entity)
            if of is not None:
                given[of[1]] = {"id": of[2]["id"]}
            return Said(201, self.store.insert(entity, given))
        if asked.method not in ("GET", "HEAD"):
            raise said(405, "Method not allowed")
        size = _size(asked.query)
        offset = asked.query.get("offset")
        if of is not None:
            parent, field, owner = of
            rows, after = self.store.page_of(self.store.owned(entity, field, owner["id"]), size, offset)
            return _page(rows, after, f"/{parent.path}/{owner['id']}/{entity.nested}", {})
        custom = asked.query.get("custom_id")
        if entity.name == "consumers" and custom is not None:
            return _page([row for row in self.store.rows("consumers") if row["custom_id"] == custom], "", "", {})
        rows, after = self.store.page(entity, size, offset, _kept(asked.query.get("tags")))
        told = {name: asked.query[name] for name in ("tags", "size") if name in asked.query}
        return _page(rows, after, f"/{entity.path}", told)

    # Single entities

    def _one(self, asked: Asked, entity: Entity, key: str) -> Said:
        if asked.method == "PUT":
            return _ok(self.store.upsert(entity, key, _given(asked, entity)))
        row = self.store.find(entity, key)
        if asked.method == "PATCH":
            return _ok(self.store.update(entity, key, _given(asked, entity, row)))
        if asked.method == "DELETE":
            if row is not None:
                self.store.delete(entity, row)
            return Said(204)
        if asked.method == "POST":
            raise said(405, "Method not allowed")
        if row is None:
            raise nowhere()
        return _ok(row)

    def _nested(self, asked: Asked, entity: Entity, of: tuple[str, Row], key: str) -> Said:
        field, owner = of
        row = self._below(entity, field, owner, key)
        if asked.method == "PUT":
            given = {**_given(asked, entity), field: {"id": owner["id"]}}
            if not is_uuid(key):
                given[entity.key] = key
            # Whose it was does not matter to Kong: a PUT moves it.
            return _ok(self.store.upsert(entity, row["id"] if row is not None else key, given))
        if asked.method == "POST":
            raise said(405, "Method not allowed")
        if row is None:
            raise nowhere()
        if asked.method == "PATCH":
            given = {field: {"id": owner["id"]}, **_given(asked, entity, row)}
            return _ok(self.store.update(entity, row["id"], given))
        if asked.method == "DELETE":
            self.store.delete(entity, row)
            return Said(204)
        return _ok(row)

    def _below(self, entity: Entity, field: str, owner: Row, key: str) -> Row | None:
        if entity.fields[entity.key].unique or is_uuid(key):
            row = self.store.find(entity, key)
            return row if row is not None and row[field] == {"id": owner["id"]} else None
        return next((row for row in self.store.owned(entity, field, owner["id"]) if row[entity.key] == key), None)

    def _owner(self, asked: Asked, entity: Entity, row: Row, field: str) -> Said:
        parent = ENTITIES[entity.parents[field]]
        owner = None if row[field] is None else self.store.get(parent.name, row[field]["id"])
        if owner is None:
            raise nowhere()
        if asked.method in ("POST", "DELETE"):
            raise said(405, "Method not allowed")
        return self._one(asked, parent, owner["id"])

    # What is no entity

    def _other(self, asked: Asked, parts: list[str]) -> Said:
        if parts == ["config"]:
            return self._config(asked)
        if asked.method not in ("GET", "HEAD"):
            raise said(405, "Method not allowed") if self._information(parts, asked) else nowhere()
        found = self._information(parts, asked)
        if found is None:
            raise nowhere()
        return _ok(found)

    def _information(self, parts: list[str], asked: Asked) -> Row | None:
        if not parts:
            plugins = {name: {"version": VERSION} for name in PLUGINS}
            database = "off" if self.declared else "postgres"
            return {
                "version": VERSION,
                "edition": "community",
                "tagline": "Welcome to kong",
                "plugins": {"available_on_server": plugins, "enabled_in_cluster": self._in_use()},
                "configuration": {"database": database},
            }
        if parts == ["status"]:
            return {"database": {"reachable": True}, "server": {"connections_active": 1}, "memory": {}}
        if parts == ["plugins", "enabled"]:
            return {"enabled_plugins": list(PLUGINS)}
        if parts[:2] == ["schemas", "plugins"] and len(parts) == 3:
            if parts[2] not in PLUGINS:
                raise said(404, f"No plugin named '{parts[2]}'")
            config = {"type": "record", "required": True, "fields": _schema(PLUGINS[parts[2]].config)}
            return {"fields": [{"config": config}], "entity_checks": []}
        if parts[0] == "tags" and len(parts) < 3:
            return self._tags(asked, parts[1:])
        return None

    def _in_use(self) -> list[str]:
        return sorted({row["name"] for row in self.store.rows("plugins")})

    def _tags(self, asked: Asked, named: list[str]) -> Row:
        found = [
            {"entity_name": name, "entity_id": row["id"], "tag": tag}
            for name in ENTITIES
            for row in self.store.rows(name)
            for tag in row["tags"] or ()
            if not named or tag == named[0]
        ]
        start = _count(asked.query.get("offset", "0"))
        size = _size(asked.query)
        path = "/".join(["/tags", *(quote(tag, safe="") for tag in named)])
        after = str(start + size) if len(found) > start + size else ""
        told = _page(found[start : start + size], after, path, {}).body
        assert told is not None
        return told

    def _config(self, asked: Asked) -> Said:
        if not self.declared:
            raise said(400, "this endpoint is only available when Kong is configured to not use a database")
        if asked.method != "POST":
            raise said(405, "Method not allowed")
        load(self.store, asked.given)
        return Said(201, {name: len(self.store.rows(name)) for name in ENTITIES})

    def _meant(self, parts: list[str]) -> str:
        """The entity that a path is about, as messages name it."""
        entity = BY_PATH[parts[0]]
        if len(parts) > 2:
            parents = entity.parents
            return parents[parts[2]] if parts[2] in parents else _child(entity, parts[2])[0].name
        return entity.name


def _unsupported(method: str, entity: str) -> str:
    return f"cannot {_WRITES[method]} '{entity}' entities when not using a database"


def _child(parent: Entity, name: str) -> tuple[Entity, str]:
    """The entity that is called so below this one, and its field for it."""
    for child in ENTITIES.values():
        for field, reference in child.parents.items():
            if reference == parent.name and child.nested == name:
                return child, field
    raise nowhere()


def _given(asked: Asked, entity: Entity, before: Row | None = None) -> Row:
    """What the body says, in the types that the fields have."""
    given = dict(asked.given)
    if entity.name == "services" and isinstance(given.get("url"), str):
        given.update(_address(given.pop("url")))
    if not asked.form:
        return given
    fields = fields_of(entity, {**(before or {}), **given})
    return {name: inferred(fields.get(name), value) for name, value in given.items()}


def _address(url: str) -> Row:
    """The fields of a service that its `url` stands for."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    name, colon, port = host.rpartition(":")
    if not colon:
        name = host
    return {
        "protocol": scheme,
        "host": name,
        "port": int(port) if colon and port.isdecimal() else _URL_PORTS.get(scheme, 80),
        "path": slash + path or None,
    }


def _page(rows: list[Row], after: str, path: str, told: Mapping[str, str]) -> Said:
    if not after:
        return _ok({"data": rows, "next": None})
    query = "".join(f"&{name}={quote(value, safe='')}" for name, value in told.items())
    return _ok({"data": rows, "next": f"{path}?offset={quote(after, safe='')}{query}", "offset": after})


def _size(query: Mapping[str, str]) -> int:
    text = query.get("size")
    if text is None:
        return _PAGE
    try:
        size = float(text)
    except ValueError as error:
        raise errors.refused(9, "size must be a number") from error
    if not size.is_integer() or not 1 <= size <= _PAGE_MAX:
        raise errors.refused(9, f"size must be an integer between 1 and {_PAGE_MAX}")
    return int(size)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise errors.refused(7, f"'{text}' is not a valid offset: bad base64 encoding")
    return int(text)


def _kept(tags: str | None) -> Callable[[Row], bool]:
    """Which rows have these tags: all of `a,b`, one of `a/b`."""
    if tags is None:
        return lambda _: True
    if "," in tags and "/" in tags:
        told = "invalid filter syntax"
        raise errors.refused(11, f"invalid option (tags: {told})", {"tags": told})
    wanted = set(tags.replace("/", ",").split(","))
    if any(not tag or tag_fault(tag) for tag in wanted):
        told = "invalid filter syntax"
        raise errors.refused(11, f"invalid option (tags: {told})", {"tags": told})
    if "/" in tags:
        return lambda row: bool(wanted & set(row["tags"] or ()))
    return lambda row: wanted <= set(row["tags"] or ())


def _schema(fields: Mapping[str, Field]) -> list[Row]:
    """Fields as Kong tells them."""
    found: list[Row] = []
    for name, field in fields.items():
        told: Row = {"type": field.kind, "required": field.required}
        if field.default is not None:
            told["default"] = field.default
        if field.one_of:
            told["one_of"] = list(field.one_of)
        if field.between is not None:
            told["between"] = list(field.between)
        if field.elements is not None:
            told["elements"] = _schema({"": field.elements})[0][""]
        if field.fields:
            told["fields"] = _schema(field.fields)
        found.append({name: told})
    return found
