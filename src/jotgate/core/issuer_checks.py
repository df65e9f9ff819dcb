"""What an entry of `[[issuers]]` may not say although each setting is of its type."""

import re
from collections.abc import Iterator
from typing import Final

from jotgate.core.claim_paths import parse_path
from jotgate.core.config import ClaimsEntry, IssuerEntry, seconds
from jotgate.core.faults import Fault, advice, shown
from jotgate.core.issuer_profiles import PROFILES, PUBLIC, SECRET, SECRET_ALGORITHMS, Profile
from jotgate.core.issuers import OURS
from jotgate.core.listen_texts import is_loopback
from jotgate.core.operations import SCOPES
from jotgate.core.reach import public_fault
from jotgate.core.times import parse_time_s
from jotgate.core.url_parts import HTTP, url_parts
from jotgate.jose.algorithms import READABLE

_LEEWAY_MAX_S: Final = 60
_SPANS_MAX_S: Final = {"refresh": 86_400, "cooldown": 3_600, "timeout": 60, "max_stale": 2_592_000}
_SECRET_WAYS: Final = ("secret_env", "secret_file")
_PREVIOUS: Final = ("previous_secret_env", "previous_secret_file")
_MAPPED: Final = ("client", "tenant", "scopes", "models", "roles")
_NO_WAY: Final = (
    "leads to no keys; write the issuer's https URL alone if it has OpenID Connect Discovery, or one of jwks_url, "
    "jwks_file, secret_env and secret_file"
)
_LITERAL_TIME: Final = 'and must be a time in quotes with its zone, such as "2027-01-31T00:00:00Z"'
_TEXT: Final = re.compile(r"[!-~]{1,2048}", re.ASCII)


def written_ways(entry: IssuerEntry) -> tuple[str, ...]:
    """The ways to keys that an entry writes down, by the names of their settings."""
    ways = [name for name in ("jwks_url", "jwks_file", *_SECRET_WAYS) if getattr(entry, name)]
    return (*(["discovery"] if entry.discovery else []), *ways)


def way_of(entry: IssuerEntry) -> str:
    """The way to an issuer's keys: `discovery`, `jwks_url`, `jwks_file`, `secret`, or empty where there is none."""
    ways = written_ways(entry)
    if ways:
        return SECRET if ways[0] in _SECRET_WAYS else ways[0]
    if PROFILES[entry.profile].secret_env:
        return SECRET
    return "discovery" if entry.discovery is None and entry.issuer.startswith(("https://", "http://")) else ""


def secret_variable(entry: IssuerEntry) -> str:
    """The environment variable with the shared secret; empty where it is in a file, or there is none."""
    if way_of(entry) != SECRET or entry.secret_file:
        return ""
    return entry.secret_env or PROFILES[entry.profile].secret_env


def check_issuer_entry(path: str, entry: IssuerEntry) -> list[Fault]:
    """The faults of one `[[issuers]]`, whose path is given."""
    profile = PROFILES[entry.profile]
    found = [
        *_check_name(entry),
        *_check_ways(entry, profile),
        *_check_previous(entry),
        *_check_algorithms(entry, profile),
        *_check_audiences(entry, profile),
        *_check_logout(entry, profile),
        *_check_rules(entry, profile),
        *_check_paths(entry),
        *_check_fetching(entry),
    ]
    return [(f"{path}.{name}", fault) for name, fault in found]


def _check_name(entry: IssuerEntry) -> Iterator[Fault]:
    if entry.name == OURS:
        yield "name", f"is '{OURS}', which is this installation itself; choose another name"


def _check_ways(entry: IssuerEntry, profile: Profile) -> Iterator[Fault]:
    ways, way = written_ways(entry), way_of(entry)
    for name in ways[1:]:
        yield name, f"stands beside {ways[0]}; write one of them"
    if not way:
        yield ("discovery" if entry.discovery is False else "issuer"), _NO_WAY
    elif way not in profile.ways:
        known = "secret_env or secret_file" if profile.ways == (SECRET,) else " or ".join(profile.ways)
        named = next(iter(ways), "issuer")
        yield named, f"is not the way to the keys of the profile '{entry.profile}'; write {known}"
    yield from _check_iss(entry, profile, way)
    if entry.jwks_url and (fault := url_fault(entry.jwks_url, query=True)):
        yield "jwks_url", fault


def _check_iss(entry: IssuerEntry, profile: Profile, way: str) -> Iterator[Fault]:
    if entry.issuer and profile.issuer == "":
        yield "issuer", f"stands beside the profile '{entry.profile}', whose tokens name no issuer; leave it out"
    elif not entry.issuer and profile.issuer is None and way in PUBLIC:
        yield "issuer", "is missing; write the 'iss' of this issuer's tokens"
    elif entry.issuer and not _TEXT.fullmatch(entry.issuer):
        yield "issuer", "is not the 'iss' of any token that is taken; write 1 to 2048 ASCII characters without spaces"
    elif way == "discovery" and (fault := url_fault(entry.issuer)):
        yield "issuer", fault


def _check_previous(entry: IssuerEntry) -> Iterator[Fault]:
    written = [name for name in _PREVIOUS if getattr(entry, name)]
    for name in written[1:]:
        yield name, f"stands beside {written[0]}; write one of them"
    if way_of(entry) != SECRET:
        for name in (*written, *(["previous_until"] if entry.previous_until else [])):
            yield name, "stands at an issuer without a shared secret; leave it out"
        return
    if written and not entry.previous_until and written[0] == "previous_secret_file":
        yield "previous_until", f"is missing beside {written[0]}; write until when the older secret verifies"
    if entry.previous_until and not written and entry.secret_file:
        yield "previous_until", "stands without previous_secret_env or previous_secret_file"
    if entry.previous_until and parse_time_s(entry.previous_until) is None:
        yield "previous_until", f"is {shown(entry.previous_until)}, {_LITERAL_TIME}"


def _check_algorithms(entry: IssuerEntry, profile: Profile) -> Iterator[Fault]:
    way = way_of(entry)
    if entry.algorithms is None or not way:
        return
    known = profile.secret if way == SECRET else profile.public if entry.profile else tuple(READABLE)
    if not entry.algorithms:
        yield "algorithms", f"is empty; known here: {', '.join(known)}"
    for one in entry.algorithms:
        if one not in READABLE:
            yield "algorithms", f"holds {shown(one)}, which is not taken; {advice(one, known)}"
        elif (one in SECRET_ALGORITHMS) != (way == SECRET):
            kind = "published keys" if way in PUBLIC else "a shared secret"
            other = "a shared secret" if way in PUBLIC else "published keys"
            yield "algorithms", f"holds '{one}', which is for {other}, and this issuer has {kind}; take it out"
        elif one not in known:
            yield "algorithms", f"holds '{one}', which the profile '{entry.profile}' has not; {advice(one, known)}"
    if way == SECRET and len(entry.algorithms) > 1:
        yield "algorithms", "names several, and a secret is for one algorithm (RFC 8725 s3.1); write the one in use"
    if len(set(entry.algorithms)) < len(entry.algorithms):
        yield "algorithms", "names one twice; write each once"


def _check_audiences(entry: IssuerEntry, profile: Profile) -> Iterator[Fault]:
    if entry.audiences is None:
        if profile.names_audience:
            yield "audiences", "is missing; write the client ID that this gateway has there, as its tokens name it"
        return
    if entry.audiences and profile.audiences == ():
        yield "audiences", f"stands beside the profile '{entry.profile}', whose tokens name none; leave it out"
    if not entry.audiences and way_of(entry) != SECRET:
        fault = "is empty, and an issuer with published keys serves others too (RFC 8725 s3.9); write this gateway's"
        yield "audiences", fault
    if "" in entry.audiences or not all(one.isprintable() for one in entry.audiences):
        yield "audiences", "holds one that no token has; take it out"


def _check_logout(entry: IssuerEntry, profile: Profile) -> Iterator[Fault]:
    if entry.status_lists and way_of(entry) == SECRET:
        yield "status_lists", "stands at an issuer with a shared secret, and lists are signed with a key that is public"
    elif entry.status_lists and not (entry.issuer or profile.issuer):
        yield (
            "status_lists",
            "stands at an issuer without an 'iss', by which its lists are known; write it",
        )
    if entry.logout_audiences and not (entry.issuer or profile.issuer):
        yield "logout_audiences", "stands at an issuer without an 'iss', by which its logout tokens are known; write it"
    if "" in entry.logout_audiences or not all(one.isprintable() for one in entry.logout_audiences):
        yield "logout_audiences", "holds one that no token has; take it out"


def _check_rules(entry: IssuerEntry, profile: Profile) -> Iterator[Fault]:
    if entry.types is not None and not entry.types:
        yield "types", 'is empty; write the \'typ\' of the tokens, such as "at+jwt" or "JWT"; "" is a token without it'
    if entry.leeway is not None and seconds(entry.leeway) > _LEEWAY_MAX_S:
        yield "leeway", f"is '{entry.leeway}', and must be at most \"60s\""
    for scope in entry.default_scopes or ():
        if scope not in SCOPES:
            yield "default_scopes", f"holds {shown(scope)}; {advice(scope, sorted(SCOPES))}"
    required = entry.required
    if required is None:
        return
    if "exp" not in required and way_of(entry) in PUBLIC:
        yield "required", "lacks 'exp', and only tokens of a shared secret may live for ever; add it"
    audiences = profile.audiences if entry.audiences is None else entry.audiences
    absent = {"iss": not (entry.issuer or profile.issuer), "aud": audiences == ()}
    for claim in [name for name, is_absent in absent.items() if is_absent and name in required]:
        yield "required", f"holds '{claim}', which no token of this issuer has; take it out"


def _check_paths(entry: IssuerEntry) -> Iterator[Fault]:
    claims = entry.claims or ClaimsEntry()
    subject = claims.subject
    if subject is not None:
        parts = (subject,) if isinstance(subject, str) else subject
        if not parts or not all(parts):
            yield "claims.subject", 'is empty; write the claim that says whom a token speaks for, such as "sub"'
        yield from (("claims.subject", fault) for part in parts for fault in _path_faults(part))
    for name in _MAPPED:
        written = getattr(claims, name)
        yield from ((f"claims.{name}", fault) for fault in _path_faults(written or ""))
    for text in entry.equal or {}:
        yield from (("equal", f"has {shown(text)}, which {fault}") for fault in _path_faults(text))
        if not text:
            yield "equal", "has an empty name; write the claim's"


def _path_faults(text: str) -> list[str]:
    try:
        parse_path(text)
    except ValueError as fault:
        return [str(fault)]
    return []


def _check_fetching(entry: IssuerEntry) -> Iterator[Fault]:
    for name, most_s in _SPANS_MAX_S.items():
        if seconds(getattr(entry, name)) > most_s:
            yield name, f"is '{getattr(entry, name)}', and must be at most \"{most_s}s\""
    if seconds(entry.max_stale) < seconds(entry.refresh):
        yield "max_stale", f"is '{entry.max_stale}', shorter than refresh, so that keys would lapse between two fetches"
    fetched = way_of(entry) in ("discovery", "jwks_url")
    if entry.ca_file and not fetched:
        yield "ca_file", "stands at an issuer whose keys are not fetched; leave it out"
    if entry.public_only and not fetched:
        yield "public_only", "stands at an issuer whose keys are not fetched; leave it out"
    if entry.public_only and fetched:
        name = way_of(entry) if way_of(entry) != "discovery" else "issuer"
        if fault := public_fault(getattr(entry, name)):
            yield name, fault


def url_fault(url: str, *, query: bool = False) -> str:
    """What is wrong with the URL of an issuer or of its keys; empty when nothing. In the clear: this machine alone."""
    remedy = 'write one such as "https://issuer.example"'
    try:
        parts = url_parts(url, HTTP, "is not an https URL with a host")
    except ValueError as fault:
        return f"{fault}; {remedy}"
    if "@" in parts.netloc:
        return "holds a user name or password; take it out"
    if "#" in url or ("?" in url and not query):
        return "holds a query or fragment; leave it out"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return f"is http, and whoever is on the way could put keys of his own into the answer; {remedy}"
    return ""
