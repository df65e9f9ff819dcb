"""Entries of issuers for tests: read, compiled and put into a verifier as control does it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jotgate.core.config_reader import read
from jotgate.core.faults import Fault
from jotgate.core.issuer_compiler import compile_issuers
from jotgate.gateway.world import build_verifier
from jotgate.services.verifier import Verifier
from jotgate.stores.issuers import IssuerWay, read_issuer_ways
from tests.callers import issuer_of, make_issuer

STRONG: Final = "q8Zr1nVw5LkT0yBhXc7dMf3gJs9pUe2A"
OLDER: Final = "W4eXb6RtN1mQz8KvHs5yLp0cFj3uDg7S"


def faults_of(text: str) -> list[Fault]:
    """The faults of a configuration."""
    return list(read(tomllib.loads(text)).faults)


def fault_of(text: str) -> Fault:
    """The only fault of a configuration."""
    (found,) = faults_of(text)
    return found


def ways_of(text: str, variables: Mapping[str, str] | None = None, base: Path = Path("/nowhere")) -> list[IssuerWay]:
    """What the issuers of a sound configuration lead to."""
    reading = read(tomllib.loads(text))
    assert reading.faults == ()
    return read_issuer_ways(reading.issuers, variables or {}, base, reading.server)


def verifier_of(
    text: str, variables: Mapping[str, str] | None = None, sets: Mapping[str, bytes] | None = None
) -> Verifier:
    """The verifier of a sound configuration, beside an installation of this name."""
    ways = ways_of(text, variables)
    assert [way.faults for way in ways] == [()] * len(ways)
    issuers = compile_issuers(issuer_of(make_issuer()), [way.found for way in ways], sets or {})
    return build_verifier(issuers, 100)
