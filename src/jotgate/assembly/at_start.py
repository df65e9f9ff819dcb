"""The settings that are read when jotgate starts, and not again: a process that is started later is told of them."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from jotgate.core.config import Config
from jotgate.core.config_checks import check_bound
from jotgate.core.coze_proxy import CozeProxyRules, opened
from jotgate.core.faults import Fault
from jotgate.core.preset_checks import check_open
from jotgate.core.presets import Preset
from jotgate.errors import ConfigurationError

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

OPEN_LOCAL: Final = "coze_proxy.open_local"
"""Whether the face that may be open is: no running gateway is opened by a change of its settings."""

AtStart = Mapping[str, str | int]
"""Their values by path."""


def at_start(config: Config, presets: Iterable[Preset] = ()) -> AtStart:
    """What a configuration, and the presets that go with it, say of them."""
    found: dict[str, str | int] = {}
    for path in _AT_START:
        section, _, name = path.partition(".")
        found[path] = getattr(getattr(config, section), name)
    for one in presets:
        found[_listen_of(one.name)] = f"{one.listen[0]} {one.listen[1]}"
        if isinstance(one.rules, CozeProxyRules):
            found[OPEN_LOCAL] = int(one.rules.open_local)
    return found


def standing_since(started: AtStart, presets: Iterable[Preset], config: Config) -> list[Preset]:
    """The presets as they stand since the start, under settings that are read later.

    Raises:
        ConfigurationError: others would reach one in the clear, or one that looks at no credential.
    """
    standing = [_as_started(started, one) for one in presets]
    faults: list[Fault] = []
    for one in standing:
        faults += check_bound(one.listen[0], config.server, config.tls, one.listen_settings[0])
        faults += check_open(one, config.server)
    if faults:
        raise ConfigurationError(faults)
    return standing


def _as_started(started: AtStart, preset: Preset) -> Preset:
    """A preset that listens where it did, and asks for credentials if it did, whatever its settings say now."""
    host, _, port = str(started[_listen_of(preset.name)]).partition(" ")
    preset, rules = replace(preset, listen=(host, int(port))), preset.rules
    if not isinstance(rules, CozeProxyRules):
        return preset
    return replace(preset, rules=opened(rules, open_local=bool(started[OPEN_LOCAL])))


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
