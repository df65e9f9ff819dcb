"""Reads what configures jotgate: `jotgate.toml`, the environment with `.env`, and the credentials that they name.

Nothing is raised for a fault: all of them are collected, each with the place where its owner mends it.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.core.config import Config, Tls
from jotgate.core.config_reader import find_literal_secrets, read
from jotgate.core.faults import Fault
from jotgate.core.issuer_compiler import FoundIssuer, warn_of_fetches
from jotgate.core.issuer_secrets import warn_of_guessable
from jotgate.core.key_checks import check_master_key
from jotgate.core.oauth_checks import GrantSecrets
from jotgate.core.overlay import Overlaid, overlay
from jotgate.core.policy_book import warn_of
from jotgate.core.preset_checks import check_presets
from jotgate.core.preset_tables import Names
from jotgate.core.presets import Preset
from jotgate.core.redaction import redact
from jotgate.core.routes import Reach
from jotgate.core.toml_lines import find_lines, nearest_line
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.stores.addresses import check_driver, check_server
from jotgate.stores.credentials import read_secret
from jotgate.stores.dotenv import Environment, with_dotenv
from jotgate.stores.issuers import read_issuer_ways
from jotgate.stores.kong import KongWay, read_kong_way
from jotgate.stores.named_files import warn_of_readers
from jotgate.stores.presets import find_presets
from jotgate.stores.prompts import read_prompts
from jotgate.stores.upstream_ways import UpstreamWays, read_upstream_ways
from jotgate.stores.zones import check_quota_zones, read_zones

_VARIABLE: Final = re.compile(r"JOTGATE_\w+|[A-Z][A-Z0-9_]*", re.ASCII)
_TOML_LINE: Final = re.compile(r"\(at line (\d+),")
_NOTHING: Final = Secret("")


class Sources(Struct, frozen=True, kw_only=True):
    """Where settings come from. `options` are those of the command line, by path such as `server.port`.

    `presets` are those that jotgate is started with (`core.preset_names`), in the order of their listeners.
    In `development` the file may hold secrets. A file that is `awaited` need not be there, and counts when it comes if
    it is this user's or root's: nobody has looked at it as they have at one that was there, or that they named.
    `accepted` is read in place of what stands in the file.
    """

    file: Path | None = None
    environment: Mapping[str, str] = {}
    dotenv: Path | None = None
    options: Mapping[str, object] = {}
    development: bool = False
    awaited: bool = False
    accepted: Secret | None = None
    presets: tuple[str, ...] = ()


class Finding(Struct, frozen=True):
    """One fault: the file and line, the variable or the option that decided it; the setting's path; what is wrong."""

    where: str
    setting: str
    fault: str


class Settings(Struct, frozen=True, kw_only=True):
    """What the sources say, and everything that is wrong with it; `config` is None when anything is.

    `tls` is that table, if it alone is sound. `credentials`, `other_credentials`, `grant_secrets` and `reaches` are by
    upstream name, `issuers` the entries with what they name; `store_password`, `hints_password` and `master_key` are
    for `[store]`, `[hints]` and `[keys]`; `zones` are the rules of the time zones that policies name, `prompts` the
    texts of chains' prompt files, by what the settings call these. `origins` says for each path that is not at its
    default what decided it. `files` are those that were read or would have been, and `secret_files` those of them that
    hold secrets. `kong` is what `[kong]` leads to. `text` is what stands in the file: a secret, as it may hold some.
    `brought` are the names of those entries that came of `presets`.
    """

    config: Config | None
    tls: Tls | None
    credentials: Mapping[str, Secret]
    reaches: Mapping[str, Reach] = {}
    issuers: tuple[FoundIssuer, ...] = ()
    store_password: Secret | None = None
    hints_password: Secret | None = None
    master_key: Secret | None = None
    zones: Mapping[str, bytes] = {}
    prompts: Mapping[str, str] = {}
    origins: Mapping[str, str]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]
    secret_files: tuple[Path, ...] = ()
    text: Secret = _NOTHING
    presets: tuple[Preset, ...] = ()
    brought: Names = {}
    other_credentials: Mapping[str, Secret] = {}
    grant_secrets: Mapping[str, GrantSecrets] = {}
    kong: KongWay = KongWay()

    def find(self, path: str, fault: str) -> Finding:
        """A fault of a setting, with the place where it was decided."""
        origin = self.origins.get(path) or self.origins.get(path.rpartition(".")[0], "")
        return Finding(origin, path, redact(fault))

    def require(self) -> Config:
        """The configuration.

        Raises:
            ConfigurationError: with every fault, each as (where and which setting, what is wrong and what to write).
        """
        if self.findings or self.config is None:
            raise ConfigurationError(
                [(": ".join(filter(None, (one.where, one.setting))), one.fault) for one in self.findings]
            )
        return self.config


class _Text(Struct, frozen=True):
    """The file as it was read: its document, or why there is none."""

    document: Mapping[str, object]
    lines: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    text: Secret = _NOTHING


def load_settings(sources: Sources, *, secrets: bool = True) -> Settings:
    """Read all sources; without `secrets`, no credential is looked for, and one in the file is nobody's business.

    The password of the store and the master key are always looked for.
    """
    environment = with_dotenv(sources.environment, sources.dotenv)
    text = _read_text(sources) if sources.accepted is None else _understand(sources.file, sources.accepted)
    watched = [path for path in (sources.file, sources.dotenv) if path is not None]
    if text.findings:
        return Settings(
            config=None,
            tls=None,
            credentials={},
            origins={},
            findings=text.findings,
            warnings=environment.warnings,
            files=tuple(watched),
            secret_files=tuple(_holders_of_secrets(sources, text)),
        )
    found = find_presets(sources.presets, text.document, environment.values, sources.options)
    laid = overlay(found.laid.document, environment.values, sources.options)
    faults = find_literal_secrets(text.document, development=sources.development or not secrets)
    refused = {path for path, _ in faults}
    reading = read(laid.document)
    faults += reading.faults
    base = sources.file.parent if sources.file is not None else Path()
    ways = read_upstream_ways(laid.document, environment.values, base) if secrets else UpstreamWays()
    issuers = read_issuer_ways(reading.issuers, environment.values, base, reading.server) if secrets else []
    # A preset's variables are nobody's file: with a key that is none the face says so, and the rest of it serves.
    ours = found.laid.brought.get("upstreams", frozenset())
    faults += [fault for fault in (*ways.faults, *ways.unusable(ours)) if fault[0] not in refused]
    faults += [fault for way in issuers for fault in way.faults]
    watched += [*ways.files, *(file for way in issuers for file in way.files)]
    secret_files = [*ways.secret_files, *(file for way in issuers for file in way.secret_files)]
    own = _read_own(laid.document, environment.values, base)
    kong = read_kong_way(_texts_of(laid.document, "kong"), environment.values, base) if secrets else KongWay()
    secret_files += (*own.secret_files, *kong.secret_files)
    faults += [*_check_extras(laid.document), *(one for one in (*own.faults, *kong.faults) if one[0] not in refused)]
    prompts = read_prompts(reading.chains, base)
    watched += (*kong.files, *prompts.files)
    zones, unknown = read_zones(reading.policies)
    faults += [*prompts.faults, *unknown, *check_quota_zones(reading.quotas)]
    faults += check_presets(found.presets, reading.config, reading.issuers)
    origins = _Origins(sources.file, text.lines, laid, environment, found.laid.owners)
    return Settings(
        config=None if faults or laid.faults else reading.config,
        tls=reading.tls,
        credentials=ways.credentials,
        other_credentials=ways.other_credentials,
        grant_secrets=ways.grant_secrets,
        kong=kong,
        reaches=ways.reaches,
        issuers=tuple(way.found for way in issuers),
        store_password=own.store_password,
        hints_password=own.hints_password,
        master_key=own.master_key,
        zones=zones,
        prompts=prompts.texts,
        origins=origins.of_settings(),
        findings=tuple(origins.find(path, redact(fault)) for path, fault in (*faults, *laid.faults)),
        warnings=(
            *environment.warnings,
            *(warning for one in found.presets for warning in (*one.missing, *one.warnings)),
            *(f"{path} {fault}" for path, fault in ways.unusable(among=ours)),
            *warn_of_readers(secret_files),
            *(warning for way in issuers for warning in (*warn_of_guessable(way.found), *warn_of_fetches(way.found))),
            *([] if reading.config is None else warn_of(reading.config.policies)),
        ),
        files=tuple(dict.fromkeys((*watched, *secret_files))),
        secret_files=(*_holders_of_secrets(sources, text), *secret_files),
        text=text.text,
        presets=found.presets,
        brought=found.laid.brought,
    )


def _check_extras(document: Mapping[str, object]) -> list[Fault]:
    """The faults of settings that need what is not installed."""
    hints, decisions = _texts_of(document, "hints"), _texts_of(document, "decisions")
    return [*check_driver(hints.get("url", "")), *check_server(decisions.get("grpc", ""))]


def _holders_of_secrets(sources: Sources, text: "_Text") -> Iterator[Path]:
    """`.env`, and in development a configuration with a credential in it."""
    if sources.dotenv is not None:
        yield sources.dotenv
    if sources.file is not None and find_literal_secrets(text.document):
        yield sources.file


class _Origins(Struct, frozen=True):
    """Says where a setting was decided."""

    file: Path | None
    lines: Mapping[str, int]
    laid: Overlaid
    environment: Environment
    owners: Mapping[str, str]

    def find(self, path: str, fault: str) -> Finding:
        """A fault of a setting, or of a variable, with the place where its owner mends it."""
        return Finding(self.of(path), "" if _VARIABLE.fullmatch(path) else path, fault)

    def of(self, path: str) -> str:
        """The variable, option, file and line, or preset that a path's owner looks at; empty when there is nothing."""
        name = self.laid.origins.get(path, path)
        if _VARIABLE.fullmatch(name):
            return f".env {name}" if name in self.environment.from_file else f"environment {name}"
        if name.startswith("--"):
            return f"option {name}"
        if preset := next((self.owners[one] for one in (path, path.partition(".")[0]) if one in self.owners), ""):
            return f"preset {preset}"
        if self.file is None:
            return ""
        line = nearest_line(self.lines, path)
        return str(self.file) if line is None else f"{self.file}:{line}"

    def of_settings(self) -> dict[str, str]:
        return {path: self.of(path) for path in {**self.owners, **self.lines, **self.laid.origins}}


def _read_text(sources: Sources) -> _Text:
    path = sources.file
    if path is None:
        return _Text({}, {})
    try:
        if sources.awaited and _is_of_others(path.stat()):
            fault = "was put there by another user, or can be; name it with --config if it is meant"
            return _Text({}, {}, (Finding(str(path), "", fault),))
        return _understand(path, Secret(path.read_text("utf-8")))
    except OSError as error:
        if sources.awaited and isinstance(error, FileNotFoundError):
            return _Text({}, {})
        fault = f"cannot be read: {error.strerror}; name another with --config or JOTGATE_CONFIG"
        return _Text({}, {}, (Finding(str(path), "", fault),))
    except UnicodeDecodeError:
        return _Text({}, {}, (Finding(str(path), "", "is not UTF-8 text; save it as UTF-8"),))


def _understand(path: Path | None, text: Secret) -> _Text:
    try:
        return _Text(tomllib.loads(text.reveal()), find_lines(text.reveal()), (), text)
    except tomllib.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        return _Text({}, {}, (Finding(where, "", f"is not TOML: {error}"),))
    except (ValueError, RecursionError):
        fault = "holds a number of thousands of digits, or is nested hundreds deep; take that out"
        return _Text({}, {}, (Finding(str(path), "", fault),))


def _is_of_others(found: os.stat_result) -> bool:
    return found.st_uid not in {0, os.geteuid()} or bool(found.st_mode & stat.S_IWOTH)


def find_named(sources: Sources, table: str, kind: str, entry: Mapping[str, str]) -> Secret | None:
    """The secret that `entry` names, as settings that were read earlier had it; `kind` is as for `[table]`.

    Raises:
        ConfigurationError: it is not there, or cannot be one.
    """
    environment = with_dotenv(sources.environment, sources.dotenv).values
    base = sources.file.parent if sources.file is not None else Path()
    found = read_secret(table, kind, {name: text for name, text in entry.items() if text}, environment, base)
    if isinstance(found, tuple):
        raise ConfigurationError([found])
    return found


class _Own(Struct, frozen=True):
    """The secrets of jotgate itself."""

    store_password: Secret | None
    hints_password: Secret | None
    master_key: Secret | None
    faults: tuple[Fault, ...]
    secret_files: tuple[Path, ...]


def _read_own(document: Mapping[str, object], variables: Mapping[str, str], base: Path) -> _Own:
    store, hints, keys = (_texts_of(document, name) for name in ("store", "hints", "keys"))
    password = read_secret("store", "password", store, variables, base)
    of_hints = read_secret("hints", "password", hints, variables, base)
    master = read_secret("keys", "master_key", keys, variables, base)
    if isinstance(master, Secret) and (fault := check_master_key(master)):
        master = (f"keys.{'master_key_env' if 'master_key_env' in keys else 'master_key_file'}", fault)
    return _Own(
        store_password=password if isinstance(password, Secret) else None,
        hints_password=of_hints if isinstance(of_hints, Secret) else None,
        master_key=master if isinstance(master, Secret) else None,
        faults=tuple(one for one in (password, of_hints, master) if isinstance(one, tuple)),
        secret_files=tuple(
            base / table[name]
            for table, name in ((store, "password_file"), (hints, "password_file"), (keys, "master_key_file"))
            if name in table
        ),
    )


def _texts_of(document: Mapping[str, object], name: str) -> Mapping[str, str]:
    """What is text in a table, and not empty."""
    found = document.get(name)
    table = found if isinstance(found, Mapping) else {}
    return {name: text for name, text in table.items() if isinstance(text, str) and text}
