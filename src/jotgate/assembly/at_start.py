"""The settings that are read when jotgate starts, and not again: a process that is started later is told of them."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.config import Config

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


def at_start(config: Config) -> AtStart:
    """What a configuration says of them."""
    found: dict[str, str | int] = {}
    for path in _AT_START:
        section, _, name = path.partition(".")
        found[path] = getattr(getattr(config, section), name)
    return found
