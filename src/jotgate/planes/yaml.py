"""Writes YAML: mappings, lists and scalars, in block style; every text is quoted, so that none is taken for another."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def to_yaml(value: Mapping[str, Value]) -> str:
    """The document of a mapping."""
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: Mapping[str, Value]) -> Iterator[str]:
    for key, member in value.items():
        name = key if _PLAIN_KEY.fullmatch(key) else json.dumps(key)
        if _is_scalar(member):
            yield f"{name}: {_scalar(member)}"
        else:
            yield f"{name}:"
            yield from (f"  {line}" for line in _block(member))


def _sequence(value: Sequence[Value]) -> Iterator[str]:
    for member in value:
        lines = [_scalar(member)] if _is_scalar(member) else list(_block(member))
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _block(value: Value) -> Iterator[str]:
    return _mapping(value) if isinstance(value, Mapping) else _sequence(value)  # type: ignore[arg-type]


def _is_scalar(value: Value) -> bool:
    return not value or isinstance(value, str | int)


def _scalar(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
