"""Reads what the entry of an issuer names: shared secrets, the certificates of `ca_file`, the place of a JWK Set."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.config import IssuerEntry, Server
from jotgate.core.faults import Fault, shown
from jotgate.core.issuer_checks import secret_variable
from jotgate.core.issuer_compiler import FoundIssuer
from jotgate.core.issuer_secrets import check_guessable, check_own, check_secrets, places_of
from jotgate.core.times import parse_time_s
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose.keys import KeySet
from jotgate.stores.credentials import secret_from_environment, secret_from_file
from jotgate.stores.named_files import read_named
from jotgate.stores.reaches import read_roots

_JWKS_BYTES_MAX: Final = 1_048_576
_PREVIOUS: Final = "_PREVIOUS"
_UNTIL: Final = "_PREVIOUS_UNTIL"
_TIME: Final = 'a time with its zone, such as "2027-01-31T00:00:00Z"'


class IssuerWay(Struct, frozen=True):
    """What an entry leads to, its faults, the files that were looked at, and which of them hold secrets."""

    found: FoundIssuer
    faults: tuple[Fault, ...] = ()
    files: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()


def read_issuer_way(path: str, entry: IssuerEntry, variables: Mapping[str, str], base: Path) -> IssuerWay:
    """Read what a sound entry names; `path` says where it stands, and file names start at `base`."""
    reading = _Reading(path, entry, variables, base)
    secret, previous = reading.read_secrets()
    until_s = reading.read_until(previous)
    found = FoundIssuer(
        path=path,
        entry=entry,
        secret=secret,
        secret_place=reading.place_of(entry.secret_file, secret_variable(entry)),
        changed_s=_changed_s(base / entry.secret_file) if entry.secret_file else None,
        previous=previous,
        previous_place=reading.place_of(entry.previous_secret_file, reading.previous_variable()),
        previous_until_s=until_s,
        roots=reading.read_roots(),
        file=reading.find_set(),
    )
    faults = (*reading.faults, *([] if secret is None else check_secrets(found)))
    return IssuerWay(found, faults, (*reading.files, *reading.secret_files), tuple(reading.secret_files))


def read_issuer_ways(
    entries: Mapping[str, IssuerEntry], variables: Mapping[str, str], base: Path, server: Server | None
) -> list[IssuerWay]:
    """Read what each of these entries names, by their paths.

    A secret must be its issuer's alone, and strong for where `server` listens.
    """
    places: dict[str, str] = {}
    ways = []
    for path, entry in entries.items():
        way = read_issuer_way(path, entry, variables, base)
        ways.append(replace(way, faults=(*way.faults, *check_own(way.found, places))))
        places = places_of(way.found) | places
    if server is None:
        return ways
    return [replace(way, faults=(*way.faults, *check_guessable(way.found, server))) for way in ways]


class _Reading:
    """The reading of one entry. Mutable: what it has come upon."""

    def __init__(self, path: str, entry: IssuerEntry, variables: Mapping[str, str], base: Path) -> None:
        self._path = path
        self._entry = entry
        self._variables = variables
        self._base = base
        self.faults: list[Fault] = []
        self.files: list[Path] = []
        self.secret_files: list[Path] = []

    def place_of(self, file: str, variable: str) -> str:
        """Where a secret is, in words."""
        return f"the file '{self._base / file}'" if file else f"the environment variable {variable}"

    def previous_variable(self) -> str:
        """The variable of the previous secret: the one that is named, else the one that is implied and set."""
        if self._entry.previous_secret_env or self._entry.previous_secret_file:
            return self._entry.previous_secret_env
        implied = secret_variable(self._entry)
        return implied + _PREVIOUS if implied and self._variables.get(implied + _PREVIOUS) else ""

    def read_secrets(self) -> tuple[Secret | None, Secret | None]:
        """The secret and the previous one; None where there is none."""
        entry = self._entry
        secret = self._read("secret", secret_variable(entry), entry.secret_file)
        return secret, self._read("previous_secret", self.previous_variable(), entry.previous_secret_file)

    def read_until(self, previous: Secret | None) -> int | None:
        """Until when the previous secret verifies."""
        if previous is None:
            return None
        if self._entry.previous_until:
            return parse_time_s(self._entry.previous_until)
        variable = secret_variable(self._entry) + _UNTIL
        text = self._variables.get(variable, "") if variable != _UNTIL else ""
        until_s = parse_time_s(text)
        if until_s is None:
            said = f"in {variable} is {shown(text)}, and must be {_TIME}" if text else self._missing_time(variable)
            self.faults.append((f"{self._path}.previous_until", said))
        return until_s

    def _missing_time(self, variable: str) -> str:
        place = "" if variable == _UNTIL else f", or the environment variable {variable}"
        return f"is missing beside a previous secret, which must end some day; write it here{place}: {_TIME}"

    def read_roots(self) -> str:
        """The certificates of `ca_file`."""
        name = self._entry.ca_file
        if not name:
            return ""
        self.files.append(self._base / name)
        try:
            return read_roots(self._base, name)
        except ValueError as fault:
            self.faults.append((f"{self._path}.ca_file", str(fault)))
            return ""

    def find_set(self) -> str:
        """The absolute path of `jwks_file`, in which there must be a JWK Set."""
        name = self._entry.jwks_file
        if not name:
            return ""
        where = os.path.abspath(self._base / name)
        try:
            KeySet.from_jwks(read_named(self._base, name, _JWKS_BYTES_MAX))
        except ValueError as fault:
            self.faults.append((f"{self._path}.jwks_file", str(fault)))
        except KeyRefused as refusal:
            self.faults.append(
                (f"{self._path}.jwks_file", f"names '{where}', in which there is none: {refusal.message}")
            )
        return where

    def _read(self, kind: str, variable: str, file: str) -> Secret | None:
        setting = f"{kind}_file" if file else f"{kind}_env"
        try:
            if file:
                self.secret_files.append(self._base / file)
                return secret_from_file(self._base, file)
            return secret_from_environment(self._variables, variable) if variable else None
        except ValueError as fault:
            self.faults.append((f"{self._path}.{setting}", str(fault)))
            return None


def _changed_s(path: Path) -> int | None:
    try:
        return int(path.stat().st_mtime)
    except (OSError, ValueError):
        return None  # That it cannot be read is a fault of its setting.
