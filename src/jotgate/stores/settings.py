"""Reads `jotgate.toml`, and the credentials that it names in the environment or in files."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jotgate.core.config import Config
from jotgate.core.config_reader import parse
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError

_CREDENTIAL_BYTES_MAX: Final = 16_384


def read_config(path: Path | None) -> Config:
    """The configuration in a file, or the defaults when there is none.

    Raises:
        ConfigurationError: it cannot be read, is not TOML (with line and column), or has faults (all of them).
    """
    if path is None:
        return parse({})
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            [(str(path), f"cannot be read: {error.strerror}; name another with --config or JOTGATE_CONFIG")]
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError([(str(path), "is not UTF-8 text; save it as UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([(str(path), f"is not TOML: {error}")]) from None
    try:
        return parse(document)
    except ConfigurationError as error:
        raise ConfigurationError([(f"{path}: {where}", fault) for where, fault in error.faults]) from None


def read_credentials(config: Config, environment: Mapping[str, str], config_file: Path | None) -> dict[str, Secret]:
    """The credentials of the upstreams, by upstream name; file names are relative to the configuration's directory.

    Raises:
        ConfigurationError: with each variable that is not set and each file that holds no credential.
    """
    base = config_file.parent if config_file is not None else Path()
    found: dict[str, Secret] = {}
    faults: list[tuple[str, str]] = []
    for index, entry in enumerate(config.upstreams):
        path = f"upstreams[{index}]"
        try:
            if entry.credential_env:
                found[entry.name] = _from_environment(environment, entry.credential_env)
            elif entry.credential_file:
                found[entry.name] = _from_file(base / entry.credential_file)
        except ValueError as fault:
            faults.append((f"{path}.{'credential_env' if entry.credential_env else 'credential_file'}", str(fault)))
    if faults:
        raise ConfigurationError(faults)
    return found


def _from_environment(environment: Mapping[str, str], name: str) -> Secret:
    if name not in environment:
        raise ValueError(f"names the environment variable {name!r}, which is not set; set it, and start again")
    return _credential(environment[name], f"the environment variable {name!r}")


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            content = file.read(_CREDENTIAL_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"names '{path}', which cannot be read: {error.strerror}") from None
    return _credential(content.decode("utf-8", "replace"), f"'{path}'")


def _credential(text: str, where: str) -> Secret:
    """One line of printable ASCII: it goes into a header."""
    credential = text.strip()
    if not credential or not credential.isascii() or not credential.isprintable():
        raise ValueError(f"names {where}, which is empty or not one line of printable ASCII")
    if len(credential) > _CREDENTIAL_BYTES_MAX:
        raise ValueError(f"names {where}, which is longer than {_CREDENTIAL_BYTES_MAX} characters")
    return Secret(credential)
