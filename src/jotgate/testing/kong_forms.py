"""How Kong's Admin API reads bodies: JSON, forms and multipart forms, whose names say where a value belongs."""

import re
from collections.abc import Iterable
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from jotgate.testing.kong_errors import said
from jotgate.testing.kong_values import Row

_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_INDEX: Final = re.compile(r"\[(\d*)\]$")


def read_body(content_type: str, body: bytes) -> tuple[Row, bool]:
    """The members of a body, and whether their values are texts of a form. Raises KongRefused."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return _json(body), False
    if kind == _FORM:
        return nested(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)), True
    if kind == _MULTIPART:
        return nested(_parts(content_type, body)), True
    if not kind and not body:
        return {}, False
    raise said(415, "Unsupported media type")


def nested(pairs: Iterable[tuple[str, str]]) -> Row:
    """The members that names with dots and brackets mean; what stands twice is a list."""
    found: Row = {}
    for name, value in pairs:
        *outer, last = name.split(".")
        place = found
        for part in outer:
            below = place.setdefault(part, {})
            if not isinstance(below, dict):
                raise said(400, "Cannot parse form body")
            place = below
        _hold(place, last, value)
    return found


def _hold(place: Row, name: str, value: str) -> None:
    base = _INDEX.sub("", name)
    before = place.get(base)
    if base != name or before is not None:
        held: list[Any] = before if isinstance(before, list) else [] if before is None else [before]
        place[base] = [*held, value]
    else:
        place[base] = value


def _json(body: bytes) -> Row:
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise said(400, "Cannot parse JSON body") from error
    if not isinstance(told, dict):
        raise said(400, "Cannot parse JSON body")
    return told


def _parts(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    return [(str(part.get_param("name", "", "content-disposition")), _text(part)) for part in message.iter_parts()]


def _text(part: Any) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
