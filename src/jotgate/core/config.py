"""`jotgate.toml` as values: what may stand in it, its defaults and units, and every fault that it has at once.

The structs are the list of settings; docs/configuration.md is checked against them. A setting's type carries a
description, which is what a fault tells its owner to write. Reading the file and the environment is not done here.
"""

import difflib
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from jotgate.core.operations import SCOPES
from jotgate.core.snapshot import Limits
from jotgate.core.values import parse_duration_s
from jotgate.errors import ConfigurationError

ECHO: Final = "echo"
"""The name of the built-in upstream and of its only model; it needs no entry."""

_LITERAL_SECRETS: Final = frozenset({"credential", "api_key", "apikey", "key", "token", "secret", "password"})
_LITERAL_SECRET: Final = (
    'is a secret, and none may stand in this file; write credential_env = "NAME" of an environment variable, '
    'or credential_file = "PATH"'
)
_SHOWN_MAX: Final = 60
_LEEWAY_MAX_S: Final = 60
_TIMEOUT_MAX_S: Final = 86_400
_DRAIN_MAX_S: Final = 3_600
_TIMEOUTS: Final = ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout")


Text = Annotated[str, Meta(description="a text in quotes", max_length=4096)]
Name = Annotated[str, Meta(description="1 to 64 letters, digits, '.', '_' or '-'", pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Alias = Annotated[
    str, Meta(description="a model's name, 1 to 256 characters without spaces", pattern=r"^[!-~]{1,256}\Z")
]
Span = Annotated[
    str, Meta(description='a duration in quotes, such as "90s" or "5m"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
]
Leeway = Annotated[
    str,
    Meta(description='a duration in quotes from "0s" to "60s"', pattern=r"^(0s|[1-9][0-9]{0,8}[smhdw])\Z"),
]


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where the gateway listens, and the name it goes by."""

    host: Annotated[str, Meta(description="an address of this machine in quotes", min_length=1, max_length=253)] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(description="a whole number from 0 to 65535", ge=0, le=65535)] = 8080
    workers: Annotated[int, Meta(description="a whole number from 1 to 64", ge=1, le=64)] = 1
    public_url: Text = ""
    drain_timeout: Span = "30s"


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """`[metrics]`: where the figures are shown besides `/metrics` on the data port."""

    listen: Text = ""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of `listen`; None when there is no such listener. Raises ValueError for anything else."""
        if not self.listen:
            return None
        parts = urlsplit(f"//{self.listen}")
        if parts.port is None or not parts.hostname or parts.netloc != self.listen or "@" in self.listen:
            raise ValueError("not a host and port")
        return parts.hostname, parts.port


class Logs(Struct, frozen=True, forbid_unknown_fields=True):
    """`[logs]`: what the processes say on stderr, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description='"debug", "info", "warning" or "error"')
    ] = "info"
    format: Annotated[Literal["auto", "json", "text"], Meta(description='"auto", "json" or "text"')] = "auto"


class IssuerRules(Struct, frozen=True, forbid_unknown_fields=True):
    """`[issuer]`: what is demanded of jotgate's own tokens."""

    default_scopes: Annotated[tuple[str, ...], Meta(description="a list of scopes in quotes")] = ()
    leeway: Leeway = "5s"


class UpstreamEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[upstreams]]`: one place that answers AI calls. `models` maps each alias to the upstream's own name."""

    name: Name
    kind: Annotated[Literal["openai"], Meta(description='"openai" (the echo upstream is built in)')]
    base_url: Text
    credential_env: Text = ""
    credential_file: Text = ""
    models: Annotated[
        Annotated[tuple[Alias, ...], Meta(min_length=1)] | Annotated[dict[Alias, Alias], Meta(min_length=1)],
        Meta(description="a list of models, or a table of alias = the upstream's name for it, and not empty"),
    ]
    connect_timeout: Span = "5s"
    first_byte_timeout: Span = "2m"
    idle_timeout: Span = "1m"
    total_timeout: Span = "15m"

    @property
    def routes(self) -> Mapping[str, str]:
        """Alias -> the name that the upstream has for the model."""
        return self.models if isinstance(self.models, dict) else {name: name for name in self.models}


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    server: Server = Server()
    issuer: IssuerRules = IssuerRules()
    limits: Limits = Limits()
    metrics: Metrics = Metrics()
    logs: Logs = Logs()
    upstreams: tuple[UpstreamEntry, ...] = ()


Fault = tuple[str, str]
_Section = TypeVar("_Section", bound=Struct)


def parse(document: Mapping[str, object]) -> Config:
    """Read a decoded TOML document.

    Raises:
        ConfigurationError: with every fault found, each as (path, what is wrong and what to write).
    """
    faults: list[Fault] = []
    faults += _unknown("", document, [field.encode_name for field in msgspec.structs.fields(Config)])
    server = _read_section(Server, document.get("server", {}), "server", faults)
    issuer = _read_section(IssuerRules, document.get("issuer", {}), "issuer", faults)
    limits = _read_section(Limits, document.get("limits", {}), "limits", faults)
    metrics = _read_section(Metrics, document.get("metrics", {}), "metrics", faults)
    logs = _read_section(Logs, document.get("logs", {}), "logs", faults)
    upstreams = _read_upstreams(document.get("upstreams", []), faults)
    faults += _check_upstream_names(upstreams)
    if server is not None:
        faults += _check_public_url(server.public_url)
        if seconds(server.drain_timeout) > _DRAIN_MAX_S:
            faults.append(("server.drain_timeout", 'is longer than an hour; write at most "1h"'))
    if issuer is not None:
        faults += _check_issuer(issuer)
    if metrics is not None:
        faults += _check_metrics(metrics)
    if faults or server is None or issuer is None or limits is None or metrics is None or logs is None:
        raise ConfigurationError(faults)
    return Config(
        server=server, issuer=issuer, limits=limits, metrics=metrics, logs=logs, upstreams=tuple(upstreams.values())
    )


def seconds(span: str) -> int:
    """The seconds of a duration that stands in a Config."""
    return 0 if span == "0s" else parse_duration_s(span)


def _read_section(kind: type[_Section], value: object, path: str, faults: list[Fault]) -> _Section | None:
    """One table as its struct, or None when it has faults, which are added to `faults`."""
    if not isinstance(value, Mapping):
        faults.append((path, f"is {_shown(value)}, and must be a table: [{path}]"))
        return None
    fields = msgspec.structs.fields(kind)
    found = _unknown(f"{path}.", value, [field.encode_name for field in fields])
    content: dict[str, object] = {}
    for field in fields:
        if field.name in value:
            try:
                content[field.name] = msgspec.convert(value[field.name], field.type)
            except msgspec.ValidationError:
                wanted = _description(field.type)
                found.append((f"{path}.{field.name}", f"is {_shown(value[field.name])}, and must be {wanted}"))
        elif field.required:
            found.append((f"{path}.{field.name}", f"is missing; write {_description(field.type)}"))
    faults += found
    return None if found else kind(**content)


def _read_upstreams(value: object, faults: list[Fault]) -> dict[str, UpstreamEntry]:
    """The sound entries by their path, such as `upstreams[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("upstreams", f"is {_shown(value)}, and must be tables, each headed [[upstreams]]"))
        return {}
    entries: dict[str, UpstreamEntry] = {}
    for index, item in enumerate(value):
        path = f"upstreams[{index}]"
        secrets = _LITERAL_SECRETS & item.keys() if isinstance(item, Mapping) else frozenset()
        faults += [(f"{path}.{name}", _LITERAL_SECRET) for name in sorted(secrets)]
        known = {name: item[name] for name in item if name not in secrets} if secrets else item
        entry = _read_section(UpstreamEntry, known, path, faults)
        if entry is not None:
            faults += _check_upstream(path, entry)
            entries[path] = entry
    return entries


def _check_upstream(path: str, entry: UpstreamEntry) -> list[Fault]:
    faults = []
    if entry.name == ECHO:
        faults.append((f"{path}.name", f"is '{ECHO}', which is built in; choose another name"))
    if ECHO in entry.routes:
        faults.append((f"{path}.models", f"holds '{ECHO}', which is built in; choose another alias"))
    if len(set(entry.models)) < len(entry.models):
        faults.append((f"{path}.models", "names a model twice; write each once"))
    if entry.credential_env and entry.credential_file:
        faults.append((f"{path}.credential_file", "stands beside credential_env; write one of them"))
    fault = _url_fault(entry.base_url)
    if fault:
        faults.append((f"{path}.base_url", fault))
    for name in _TIMEOUTS:
        if seconds(getattr(entry, name)) > _TIMEOUT_MAX_S:
            faults.append((f"{path}.{name}", 'is longer than a day; write at most "24h"'))
    return faults


def _check_upstream_names(upstreams: Mapping[str, UpstreamEntry]) -> list[Fault]:
    first: dict[str, str] = {}
    faults = []
    for path, entry in upstreams.items():
        if first.setdefault(entry.name, path) != path:
            faults.append((f"{path}.name", f"is '{entry.name}' as in {first[entry.name]}; each name stands once"))
    return faults


def _check_issuer(issuer: IssuerRules) -> list[Fault]:
    faults = []
    if seconds(issuer.leeway) > _LEEWAY_MAX_S:
        faults.append(("issuer.leeway", f"is '{issuer.leeway}', and must be at most \"60s\""))
    for scope in issuer.default_scopes:
        if scope not in SCOPES:
            faults.append(("issuer.default_scopes", f"holds {_shown(scope)}; {_advice(scope, sorted(SCOPES))}"))
    return faults


def _check_metrics(metrics: Metrics) -> list[Fault]:
    try:
        address = metrics.address
    except ValueError:
        return [("metrics.listen", f'is {_shown(metrics.listen)}, and must be such as "127.0.0.1:9464"')]
    if address is None or is_loopback(address[0]):
        return []
    fault = (
        f"is {_shown(metrics.listen)}, which other machines can reach, and nobody is asked for a token there; write "
        '"127.0.0.1:9464", or read /metrics of the gateway with a token that has the scope metrics'
    )
    return [("metrics.listen", fault)]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_public_url(url: str) -> list[Fault]:
    if not url:
        return []
    fault = _url_fault(url)
    if not fault and urlsplit(url).path:
        fault = 'has a path; write scheme, host and port alone, such as "https://gateway.example"'
    return [("server.public_url", fault)] if fault else []


def _url_fault(url: str) -> str:
    """What is wrong with an http or https URL that holds no credentials, query or fragment; empty when nothing."""
    remedy = 'write one such as "https://host:port/v1"'
    if not url.isascii() or not url.isprintable() or " " in url:
        return f"holds characters that no URL has; {remedy}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"is not a URL; {remedy}"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"is not an http or https URL with a host; {remedy}"
    if "@" in parts.netloc:
        return "holds a user name or password; take it out and use credential_env or credential_file"
    if "?" in url or "#" in url:
        return "holds a query or fragment; leave it out"
    return ""


def _description(kind: object) -> str:
    return next(
        (one.description for one in getattr(kind, "__metadata__", ()) if isinstance(one, Meta) and one.description),
        "something else",
    )


def _shown(value: object) -> str:
    """A value as a fault may show it: short, and never the inside of something larger."""
    if isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"
    return "a table" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else "of another type"


def _unknown(prefix: str, table: Mapping[str, object], known: list[str]) -> list[Fault]:
    faults = []
    for name in table:
        if name in known:
            continue
        faults.append((f"{prefix}{name}", f"is not a setting; {_advice(name, known)}"))
    return faults


def _advice(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
