"""Turns entries of issuers, with what they name, into what is demanded of the issuers' tokens."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.claim_paths import parse_path
from jotgate.core.config import ClaimsEntry, IssuerEntry, seconds
from jotgate.core.faults import Fault, shown
from jotgate.core.issuer_checks import way_of
from jotgate.core.issuer_profiles import PROFILES, PUBLIC, SECRET
from jotgate.core.issuers import ClaimMapping, Condition, Issuer, KeySource, Path, SharedSecret
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError

_MINUTE_S: Final = 60


class FoundIssuer(Struct, frozen=True, kw_only=True):
    """An entry, and what it names and does not hold: secrets, the older one with its end (NumericDate), roots in PEM.

    `path` says where the entry stands, such as `issuers[0]`; the places, where its secrets do. `changed_s` is when the
    secret's file changed last, if it is in one. `file` is the absolute path of its `jwks_file`.
    """

    path: str
    entry: IssuerEntry
    secret: Secret | None = None
    secret_place: str = ""
    changed_s: int | None = None
    previous: Secret | None = None
    previous_place: str = ""
    previous_until_s: int | None = None
    roots: str = ""
    file: str = ""


def check_issuers(entries: Mapping[str, IssuerEntry]) -> list[Fault]:
    """The faults of entries among themselves, by their paths: two with one name, or with one `iss`."""
    names: dict[str, str] = {}
    issuers: dict[str, str] = {}
    faults = []
    for path, entry in entries.items():
        if names.setdefault(entry.name, path) != path:
            faults.append((f"{path}.name", f"is '{entry.name}' as in {names[entry.name]}; each name stands once"))
        for known_as in identities_of(iss_of(entry), entry.name):
            if issuers.setdefault(known_as, path) != path:
                faults.append((f"{path}.issuer", same_iss_fault(known_as, issuers[known_as])))
    return faults


def same_iss_fault(iss: str, where: str) -> str:
    """What is said of an issuer whose `iss` another one has."""
    if iss:
        return f"is {shown(iss)} as of {where}; the tokens of one issuer have one set of rules"
    return f"is none, as of {where}; the tokens of one issuer alone may name none, so write the 'iss' of one of them"


def identities_of(iss: str, name: str) -> tuple[str, ...]:
    """What an issuer alone may be known as: its `iss`, or for one whose tokens carry none also its name."""
    return (iss,) if iss else ("", name)


def iss_of(entry: IssuerEntry) -> str:
    """The `iss` of the issuer's tokens; empty where they carry none."""
    return entry.issuer or PROFILES[entry.profile].issuer or ""


def iss_of_table(table: Mapping[str, object]) -> str | None:
    """The `iss` that a table of settings means, also one that has faults; None where that cannot be known."""
    profile = PROFILES.get(str(table.get("profile", "")))
    written = table.get("issuer", "")
    if isinstance(written, str) and written:
        return written
    if profile is None or profile.issuer is not None:
        return None if profile is None else profile.issuer
    return "" if table.get("secret_env") or table.get("secret_file") else None


def check_stored(entry: IssuerEntry) -> list[Fault]:
    """The faults of an entry for the store, which several machines read: paths that mean something to one directory."""
    named = [(name, getattr(entry, name)) for name in ("jwks_file", "secret_file", "previous_secret_file", "ca_file")]
    return [
        (name, f"is {shown(path)}, and must be the whole path from '/', since every machine reads it")
        for name, path in named
        if path and not path.startswith("/")
    ]


def algorithms_of(entry: IssuerEntry) -> tuple[str, ...]:
    """The algorithms of the issuer's tokens: one where it has shared secrets."""
    if entry.algorithms is not None:
        return entry.algorithms
    profile = PROFILES[entry.profile]
    return profile.secret[:1] if way_of(entry) == SECRET else profile.public


def key_source(found: FoundIssuer) -> KeySource | None:
    """Where the issuer's keys are to be fetched; None for one with shared secrets."""
    entry, way = found.entry, way_of(found.entry)
    if way not in PUBLIC:
        return None
    return KeySource(
        name=entry.name,
        kind="discovery" if way == "discovery" else "url" if way == "jwks_url" else "file",
        location={"discovery": entry.issuer, "jwks_url": entry.jwks_url}.get(way, found.file),
        issuer=iss_of(entry),
        algorithms=algorithms_of(entry),
        refresh_s=seconds(entry.refresh),
        cooldown_s=seconds(entry.cooldown),
        per_minute=entry.fetches_per_minute,
        timeout_s=seconds(entry.timeout),
        stale_max_s=seconds(entry.max_stale),
        roots=found.roots,
        public_only=entry.public_only,
    )


def warn_of_fetches(found: FoundIssuer) -> list[str]:
    """What the operator should know of an issuer whose fetches may be used up before a minute is over."""
    source = key_source(found)
    if source is None or source.cooldown_s * source.per_minute >= _MINUTE_S:
        return []
    text = (
        f"the issuer '{source.name}' may have no fetch left for a new key, so that it gets 503: 'cooldown' "
        f"({source.cooldown_s:g} s) times 'fetches_per_minute' ({source.per_minute}) is less than a minute; raise one"
    )
    return [text]


def compile_issuers(ours: Issuer, found: Iterable[FoundIssuer], sets: Mapping[str, bytes]) -> tuple[Issuer, ...]:
    """All issuers, this installation first. `sets` are the JWK Sets that were fetched, by the issuer's name.

    Raises:
        ConfigurationError: two of them have one name or one `iss`.
    """
    listed = list(found)
    faults = check_issuers({one.path: one.entry for one in listed})
    faults += [
        (f"{one.path}.issuer", same_iss_fault(ours.issuer, "this installation"))
        for one in listed
        if iss_of(one.entry) == ours.issuer
    ]
    if faults:
        raise ConfigurationError(faults)
    return (ours, *(compile_issuer_entry(one, ours.issuer, sets.get(one.entry.name)) for one in listed))


def compile_issuer_entry(found: FoundIssuer, our_url: str, jwks: bytes | None) -> Issuer:
    """What is demanded of the tokens of one sound entry; `our_url` is their audience unless it says otherwise."""
    entry, profile = found.entry, PROFILES[found.entry.profile]
    iss = iss_of(entry)
    shared = way_of(entry) == SECRET
    audiences = _either(entry.audiences, _either(profile.audiences, (our_url,)))
    absent = {name for name, is_there in (("iss", iss), ("aud", audiences)) if not is_there}
    algorithms = algorithms_of(entry)
    return Issuer(
        name=entry.name,
        issuer=iss,
        audiences=audiences,
        algorithms=algorithms,
        types=_either(entry.types, profile.types),
        jwks=None if shared else jwks,
        secrets=_secrets(found, algorithms[0]) if shared else (),
        remote=not shared,
        required=_either(entry.required, tuple(name for name in profile.required if name not in absent)),
        equal=(*profile.equal, *map(_condition, (entry.equal or {}).items())),
        leeway_s=profile.leeway_s if entry.leeway is None else seconds(entry.leeway),
        lifetime_max_s=profile.lifetime_max_s if entry.max_lifetime is None else seconds(entry.max_lifetime),
        default_scopes=_either(entry.default_scopes, profile.default_scopes),
        mapping=_mapping(entry.claims or ClaimsEntry(), profile.mapping),
        logout_audiences=entry.logout_audiences,
        quota=profile.quota,
        status_lists=entry.status_lists,
    )


def _either(written: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if written is None else written


def _secrets(found: FoundIssuer, algorithm: str) -> tuple[SharedSecret, ...]:
    current = () if found.secret is None else (SharedSecret(found.secret, algorithm),)
    if found.previous is None:
        return current
    return (*current, SharedSecret(found.previous, algorithm, ends_at_s=found.previous_until_s))


def _condition(item: tuple[str, str | bool | int]) -> Condition:
    text, value = item
    return Condition(parse_path(text), value, optional=value is False)


def _mapping(claims: ClaimsEntry, default: ClaimMapping) -> ClaimMapping:
    changed: dict[str, Path | tuple[Path, ...]] = {
        name: parse_path(text)
        for name in ("client", "tenant", "scopes", "models", "roles")
        if (text := getattr(claims, name)) is not None
    }
    if claims.subject is not None:
        parts = (claims.subject,) if isinstance(claims.subject, str) else claims.subject
        changed["subject"] = tuple(map(parse_path, parts))
    return msgspec.structs.replace(default, **changed)
