"""The issuers of the settings and those of the store, put together: who counts, who does not, and why."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.issuer_checks import way_of
from jotgate.core.issuer_compiler import FoundIssuer, identities_of, iss_of, same_iss_fault
from jotgate.core.issuer_secrets import check_own, places_of
from jotgate.core.issuers import Issuer
from jotgate.core.status import IssuerState

_IN_FILE = "the configuration, which goes before the store"


class Kept(Struct, frozen=True):
    """One issuer of the store: its name, its `iss` if that is known, and what its entry leads to or why to nothing."""

    name: str
    enabled: bool
    iss: str | None
    found: FoundIssuer | None
    faults: tuple[Fault, ...] = ()


class Book(Struct, frozen=True):
    """Who is trusted. The tokens of those that are `unusable` cannot be judged now. `states` tells of all of them."""

    found: tuple[FoundIssuer, ...]
    unusable: tuple[Issuer, ...]
    states: tuple[IssuerState, ...]


def put_together(
    ours: Issuer, configured: Sequence[FoundIssuer], kept: Iterable[Kept], of_presets: Iterable[Issuer] = ()
) -> Book:
    """Those of the settings, and of the store those that are enabled and in nobody's way; the settings go first.

    `of_presets` are issuers whose tokens a face makes: nobody else is known as they are, and they are not in the book.
    """
    found = list(configured)
    unusable: list[Issuer] = []
    states = [_state(Kept(one.entry.name, True, iss_of(one.entry), one), "file", ()) for one in configured]
    owners = {ours.issuer: "this installation"}
    for entry in (one.entry for one in configured):
        owners.update(dict.fromkeys(identities_of(iss_of(entry), entry.name), _IN_FILE))
    for own in of_presets:
        owners.update(dict.fromkeys((own.name, *identities_of(own.issuer, own.name)), f"the preset '{own.name}'"))
    names = {ours.name, *(one.entry.name for one in configured)}
    places = {mark: place for one in configured for mark, place in places_of(one).items()}
    for one in kept:
        if not one.enabled:
            states.append(_state(one, "store", one.faults))
            continue
        shared = [] if one.found is None else check_own(one.found, places)
        faults = [*one.faults, *_clashes(one, names, owners), *shared]
        states.append(_state(one, "store", faults))
        if not faults and one.found is not None:
            found.append(one.found)
        elif one.iss is not None and not _clashes(one, names, owners):
            unusable.append(_closed(one.name, one.iss, ours))
        if one.found is not None:
            places = places_of(one.found) | places
        if one.iss is not None:
            for known_as in identities_of(one.iss, one.name):
                owners.setdefault(known_as, f"the issuer '{one.name}' of the store")
    return Book(tuple(found), tuple(unusable), tuple(states))


def faults_of(state: IssuerState) -> list[Fault]:
    """What is wrong with an issuer, each with the setting that it is about; empty: with all of it."""
    parts = [fault.partition(": ") for fault in state.faults]
    return [("", head + colon + rest) if " " in head or not colon else (head, rest) for head, colon, rest in parts]


def _clashes(one: Kept, names: set[str], owners: dict[str, str]) -> list[Fault]:
    if one.name in names:
        return [("name", f"is '{one.name}' as in {_IN_FILE}")]
    if one.name in owners:
        return [("name", f"is '{one.name}', as {owners[one.name]} is known; choose another")]
    for known_as in () if one.iss is None else identities_of(one.iss, one.name):
        if known_as in owners:
            return [("issuer", same_iss_fault(known_as, owners[known_as]))]
    return []


def _closed(name: str, iss: str, ours: Issuer) -> Issuer:
    """An issuer without keys: whatever names it cannot be judged, and is told so."""
    return Issuer(
        name=name,
        issuer=iss,
        audiences=ours.audiences if iss else (),
        algorithms=ours.algorithms,
        types=ours.types,
        jwks=None,
        required=(),
        readable=False,
    )


def _state(one: Kept, origin: str, faults: Iterable[Fault]) -> IssuerState:
    return IssuerState(
        name=one.name,
        issuer=one.iss or "",
        origin=origin,
        enabled=one.enabled,
        way="" if one.found is None else way_of(one.found.entry),
        profile="" if one.found is None else one.found.entry.profile,
        faults=[": ".join(filter(None, fault)) for fault in faults],
    )
