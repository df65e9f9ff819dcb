"""The settings that are read when jotgate starts, and not again: a process that is started later is told of them."""

from collections.abc import Iterable, Mapping
from typing import Final

from jotgate.core.config import Config
from jotgate.core.faces import Address
from jotgate.core.presets import Preset

_AT_START: Final = (
    "server.host",
    "server.port",
    "server.workers",
    "server.public_url",
    "server.drain_timeout",
    "server.issuer_wait",
    "store.url",
    "store.password_env",
    "store.password_file",
    "hints.url",
    "hints.password_env",
    "hints.password_file",
    "keys.master_key_env",
    "keys.master_key_file",
    "metrics.listen",
    "logs.level",
    "logs.format",
)

AtStart = Mapping[str, str | int]
"""Their values by path."""


def at_start(config: Config, presets: Iterable[Preset] = ()) -> AtStart:
    """What a configuration, and the presets that go with it, say of them."""
    found: dict[str, str | int] = {}
    for path in _AT_START:
        section, _, name = path.partition(".")
        found[path] = getattr(getattr(config, section), name)
    return found | {_listen_of(one.name): f"{one.listen[0]} {one.listen[1]}" for one in presets}


def listening_at(started: AtStart, preset: Preset) -> Address:
    """Where a preset's face listens since the start, whatever its variables say now."""
    host, _, port = str(started[_listen_of(preset.name)]).partition(" ")
    return host, int(port)


def at_urls(urls: Mapping[str, str]) -> AtStart:
    """That the faces of these names are reached there: which port was free is known when they listen."""
    return {_url_of(name): url for name, url in urls.items()}


def url_at(started: AtStart, face: str) -> str:
    """Where a face is reached on this machine since the start."""
    return str(started.get(_url_of(face), ""))


def _url_of(face: str) -> str:
    return f"the URL of the face '{face}'"


def _listen_of(name: str) -> str:
    return f"the address of the preset '{name}'"
