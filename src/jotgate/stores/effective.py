"""Says what is in effect: each setting's value and what decided it."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from jotgate.core.chain_schemas import Schema, as_json
from jotgate.core.config import Config
from jotgate.core.values import Secret

_DEFAULT = "default"


def effective(config: Config, origins: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    """Value and origin of each setting by path, in the order of the documentation. No secret is shown."""
    found: dict[str, tuple[object, str]] = {}
    for path, value, default in _flatten("", config, default=False):
        found[path] = (value, origins.get(path, _DEFAULT) if default else _nearest(origins, path))
    return found


def _nearest(origins: Mapping[str, str], path: str) -> str:
    """What decided a setting, or a table around it: what stands in an inline table has no line of its own."""
    while path not in origins and "." in path:
        path = path.rpartition(".")[0]
    return origins.get(path, _DEFAULT)


def _flatten(path: str, value: object, *, default: bool) -> Iterator[tuple[str, object, bool]]:
    """Path, value, and whether that is the default, of each setting in a struct."""
    if isinstance(value, Schema):
        yield path, as_json(value), default
    elif isinstance(value, Struct):
        for field in msgspec.structs.fields(value):
            inner = getattr(value, field.name)
            if inner is not None:
                yield from _flatten(f"{path}.{field.name}".removeprefix("."), inner, default=inner == field.default)
    elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
        for index, item in enumerate(value):
            yield from _flatten(f"{path}[{index}]", item, default=False)
    elif "." in path:
        yield path, "(secret)" if isinstance(value, Secret) else value, default
