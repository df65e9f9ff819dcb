"""The comment at the head of a printed configuration, and what it tells of how things have changed since.

It holds what the configuration was made of, so that it can be made again of what is so now, and compared.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.planes.facts import GateFacts, Printed, PrintedFile, Wish

_MARK: Final = "# jotgate-plane: "
_NAMES: Final = {
    "gate": "where jotgate is reached",
    "issuer": "the issuer",
    "audiences": "the audiences",
    "scopes": "the scopes that are demanded",
    "jwks_path": "the path of the key set",
    "forward_path": "the path of decisions",
    "nginx_path": "the path of decisions",
    "prefix": "the path of decisions",
    "grpc": "the address of decisions by gRPC",
    "identity": "the fields that tell who calls",
    "leeway_s": "the leeway",
    "keys": "the keys",
}


class Stamp(Struct, frozen=True, forbid_unknown_fields=True):
    """What a configuration was made of; `digests` are of its files as they were printed, by name."""

    plane: str
    main: str
    facts: GateFacts
    wish: Wish
    digests: dict[str, str]


def stamp(plane: str, command: str, facts: GateFacts, wish: Wish, printed: Printed) -> Printed:
    """The configuration with the comment in its main file; `command` is what printed it."""
    main = printed.files[0]
    content = Stamp(plane, main.name, without_pem(facts), wish, digests(printed.files))
    head = (
        f"# Printed by: {command}\n"
        f"# Whether it is still right, says: jotgate plane {plane} check FILE\n"
        f"{_MARK}{msgspec.json.encode(content).decode()}\n"
    )
    return msgspec.structs.replace(printed, files=(PrintedFile(main.name, head + main.text), *printed.files[1:]))


def read_stamp(text: str) -> tuple[Stamp, str] | None:
    """The comment of a main file and the configuration beside it; None: it has none that is understood."""
    at = text.find(_MARK)
    if at < 0:
        return None
    line, _, behind = text[at:].partition("\n")
    # Nothing but comments is printed above it.
    above = [one for one in text[:at].splitlines(keepends=True) if not one.lstrip().startswith("#")]
    try:
        return msgspec.json.decode(line[len(_MARK) :], type=Stamp), "".join(above) + behind
    except msgspec.DecodeError:
        return None


def digests(files: tuple[PrintedFile, ...]) -> dict[str, str]:
    """The SHA-256 of each file's text, by name."""
    return {one.name: digest(one.text) for one in files}


def digest(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def changes(before: GateFacts, now: GateFacts) -> list[str]:
    """What is not as it was, each as `name: before, now after`."""
    old, new = _shown(before), _shown(without_pem(now))
    return list(dict.fromkeys(_change(old, new)))


def without_pem(facts: GateFacts) -> GateFacts:
    """The facts with keys that are named alone."""
    return msgspec.structs.replace(facts, keys=tuple(msgspec.structs.replace(key, pem="") for key in facts.keys))


def _change(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name, value in old.items():
        if value != new[name]:
            yield f"{_NAMES[name]}: {value or 'none'}, now {new[name] or 'none'}"


def _shown(facts: GateFacts) -> dict[str, str]:
    found = msgspec.structs.asdict(facts) | {"keys": [key.kid for key in facts.keys]}
    return {name: " ".join(value) if isinstance(value, tuple | list) else str(value) for name, value in found.items()}
