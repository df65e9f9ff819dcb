"""The issuers of an installation: those of the settings and those of the store, read with what they name."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.config import Server
from jotgate.core.durable import IssuerRecord
from jotgate.core.faults import Fault
from jotgate.core.issuer_book import Book, Kept, faults_of, put_together
from jotgate.core.issuer_compiler import FoundIssuer, check_stored, compile_issuers, iss_of_table
from jotgate.core.issuer_reader import read_issuer
from jotgate.core.issuer_secrets import check_guessable, secret_mark, warn_of_ages
from jotgate.core.issuers import Issuer
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.ports import Clock
from jotgate.processes.console import say
from jotgate.stores.dotenv import with_dotenv
from jotgate.stores.issuers import read_issuer_way
from jotgate.stores.secret_ages import SecretAges
from jotgate.stores.settings import Settings, Sources
from jotgate.telemetry.logs import learn

_ROOT: Final = Path("/")
_NO_TABLE: Final = ("", "is not a table of settings in JSON")


class _Basis(Struct, frozen=True):
    """What the issuers of the store are held against."""

    configured: tuple[FoundIssuer, ...]
    server: Server
    ours: Issuer
    of_presets: tuple[Issuer, ...]


class Issuers:
    """Who is trusted beside this installation. Mutable: the records of the store, what came of them, what was said."""

    def __init__(self, sources: Sources, ages: SecretAges, clock: Clock) -> None:
        self._sources = sources
        self._ages = ages
        self._clock = clock
        self._records: tuple[IssuerRecord, ...] = ()
        self._said: set[str] = set()
        self._basis: _Basis | None = None
        self.book = Book((), (), ())

    def take(self, records: Iterable[IssuerRecord]) -> None:
        """Go by these records of the store from the next reading on."""
        self._records = tuple(records)

    def read(self, settings: Settings, server: Server, ours: Issuer) -> Book:
        """Read all of them for a gateway that listens as `server` says.

        What is wrong with one of the store takes that one out, and is said.

        Raises:
            ConfigurationError: one of the settings has a secret that can be guessed, where others reach the gateway.
        """
        faults = [fault for one in settings.issuers for fault in check_guessable(one, server)]
        if faults:
            raise ConfigurationError(faults)
        of_presets = tuple(issuer for preset in settings.presets for issuer in preset.own_issuers)
        self._basis = _Basis(settings.issuers, server, ours, of_presets)
        self.book = self._put_together(self._records)
        secrets = secrets_of(self.book.found)
        learn(secrets)  # Before anything is said of them.
        self._warn(secrets)
        return self.book

    def examine(self, record: IssuerRecord) -> Sequence[Fault]:
        """What is wrong with an issuer that is to be kept in the store, by the settings that were read last."""
        others = [one for one in self._records if one.name != record.name]
        book = self._put_together([*others, record])
        return [fault for state in book.states[-1:] for fault in faults_of(state)]

    def _put_together(self, records: Iterable[IssuerRecord]) -> Book:
        if self._basis is None:
            return self.book
        variables = with_dotenv(self._sources.environment, self._sources.dotenv).values
        kept = [look_at(record, variables, self._basis.server) for record in records]
        return put_together(self._basis.ours, self._basis.configured, kept, self._basis.of_presets)

    def compile(self, ours: Issuer, sets: Mapping[str, bytes]) -> tuple[Issuer, ...]:
        """What is demanded of all of them, as read last; `sets` are the JWK Sets that were fetched, by name.

        Raises:
            ConfigurationError: one of the settings has the `iss` of this installation.
        """
        return (*compile_issuers(ours, self.book.found, sets), *self.book.unusable)

    def _warn(self, secrets: Iterable[Secret]) -> None:
        now_s = self._clock.now_s()
        try:
            seen = self._ages.note(map(secret_mark, secrets), now_s)
        except DirectoryRefused as refusal:
            seen = {}
            self._say(f"{refusal.message}; how old shared secrets are is not known")
        for one in self.book.found:
            for warning in warn_of_ages(one, seen, now_s):
                self._say(warning)
        for state in self.book.states:
            for fault in state.faults:
                self._say(f"the issuer '{state.name}' of the store does not count: {fault}")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(text)


def secrets_of(found: Iterable[FoundIssuer]) -> list[Secret]:
    """The shared secrets of issuers."""
    return [secret for one in found for secret in (one.secret, one.previous) if secret is not None]


def look_at(record: IssuerRecord, variables: Mapping[str, str], server: Server) -> Kept:
    """What a record of the store leads to on this machine."""
    try:
        table = msgspec.json.decode(record.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        table = None
    if not isinstance(table, dict):
        return Kept(record.name, record.enabled, None, None, (_NO_TABLE,))
    iss = iss_of_table(table)
    entry, faults = read_issuer({**table, "name": record.name})
    if entry is None:
        return Kept(record.name, record.enabled, iss, None, faults)
    way = read_issuer_way("", entry, variables, _ROOT)
    wrong = (*check_stored(entry), *way.faults, *check_guessable(way.found, server))
    named = tuple((path.removeprefix("."), fault) for path, fault in wrong)
    return Kept(record.name, record.enabled, iss, way.found, named)
