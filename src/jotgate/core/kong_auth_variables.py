"""Reads the variables of the Kong auth service (docs/systems/kong-auth.md): what its preset makes of them."""

from collections.abc import Iterator, Mapping
from typing import Final

from jotgate.core.edge_checks import origin_fault
from jotgate.core.face_listeners import find_listen
from jotgate.core.faults import Fault, shown
from jotgate.core.issuer_checks import url_fault
from jotgate.core.kong_auth import CASDOOR, CLOCK_MARGIN_S, KONG_AUTH, LIFETIME_MAX_S, KongAuthRules, name_fault
from jotgate.core.preset_entries import KongAuthEntry
from jotgate.core.preset_variables import find_variable, read_choice, read_flag, read_list, read_whole
from jotgate.core.presets import Preset, Tables
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages
from jotgate.core.values import parse_duration_s
from jotgate.errors import CommandError

_LISTEN: Final = ("127.0.0.1", 8000)
_NO_TABLES: Final[Tables] = {}
ADMIN_URL: Final = "KONG_ADMIN_URL"
_ADMIN_DEFAULT: Final = "http://localhost:8001"
ENDPOINT: Final = "CASDOOR_ENDPOINT"
CLIENT_ID: Final = "CASDOOR_CLIENT_ID"
ORGANIZATION: Final = "CASDOOR_ORG_NAME"
LIFETIME: Final = "JWT_EXPIRATION_SECONDS"
_LIFETIME_MIN_S: Final = 60
_LOG_LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"}
_LOG_FORMATS: Final = {"json": "json", "text": "text", "plain": "text"}
_METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
_UNUSED: Final = {
    "CASDOOR_CLIENT_SECRET": "tokens are verified by Casdoor's published keys, and nobody is logged in; take it out",
    "CASDOOR_CERT_PATH": "Casdoor publishes its keys, and they are fetched anew when it changes them",
    "SENTRY_DSN": "faults are in the log and in the audit log, and nothing is sent elsewhere",
}


def read_kong_auth(
    variables: Mapping[str, str], shipped: Tables, entry: KongAuthEntry, own: Tables = _NO_TABLES
) -> Preset:
    """What the preset comes to. `shipped` is its file, `own` the operator's document, `entry` what that says of it."""
    listening = find_listen(variables, ("HOST", "PORT"), _LISTEN, "kong_auth.listen", entry.listen)
    faults: list[Fault] = list(listening.faults)
    organization = _find_organization(variables, faults)
    tables: dict[str, object] = {
        **shipped,
        "kong": {"admin_url": _text(variables, ADMIN_URL) or _ADMIN_DEFAULT},
        "logs": _logs(variables, faults),
    }
    has_own = _has_own_issuer(own)
    if (issuer := _issuer(variables, organization, faults)) and not has_own:
        tables["issuers"] = [issuer]
    elif has_own:
        tables["issuers"] = [{"name": CASDOOR}]  # The operator's table of that name stands in its place.
    rules = KongAuthRules(
        organization=organization,
        algorithm=entry.algorithm,
        lifetime_s=_find_lifetime_s(variables, own, faults),
        key_is_name=entry.key_is_token_name,
        tokens_max=entry.tokens_max,
        admin_roles=entry.admin_roles,
        pages=_find_pages(variables, faults),
    )
    return Preset(
        name=KONG_AUTH,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=rules,
        tables=tables,
        missing=tuple(_missing(variables, has_own=has_own)),
        faults=tuple(dict.fromkeys(faults)),
        warnings=tuple(f"{name} is not used: {why}" for name, why in _UNUSED.items() if _text(variables, name)),
    )


def _text(variables: Mapping[str, str], name: str) -> str:
    found = find_variable(variables, (name,))
    return found[1] if found else ""


def _find_organization(variables: Mapping[str, str], faults: list[Fault]) -> str:
    organization = _text(variables, ORGANIZATION)
    if organization and (fault := name_fault(organization)):
        faults.append((ORGANIZATION, f"is {shown(organization)}, and {fault}"))
    return organization


def _issuer(variables: Mapping[str, str], organization: str, faults: list[Fault]) -> Mapping[str, object] | None:
    """Casdoor as an issuer; None: it is not known where it is, or what we are called there.

    A token of an application that organizations share is for the client ID with that of the organization behind it.
    """
    endpoint, client_id = _text(variables, ENDPOINT).rstrip("/"), _text(variables, CLIENT_ID)
    if endpoint and (fault := url_fault(endpoint)):
        faults.append((ENDPOINT, fault))
        return None
    if not (endpoint and client_id):
        return None
    audiences = [client_id, *([f"{client_id}-org-{organization}"] if organization else [])]
    return {
        "name": CASDOOR,
        "profile": CASDOOR,
        "issuer": endpoint,
        "audiences": audiences,
        # What Casdoor calls scopes is about users' data: whoever is let in may have tokens.
        "claims": {"scopes": ""},
        "default_scopes": ["ai"],
    }


def _has_own_issuer(own: Tables) -> bool:
    entries = own.get("issuers")
    listed = [one for one in (entries if isinstance(entries, list) else []) if isinstance(one, Mapping)]
    return any(one.get("name") == CASDOOR for one in listed)


def _find_lifetime_s(variables: Mapping[str, str], own: Tables, faults: list[Fault]) -> int:
    """How long a token lives: less than Kong takes, by as much as clocks may differ."""
    wanted_s = read_whole(variables, (LIFETIME,), faults, _LIFETIME_MIN_S, LIFETIME_MAX_S) or LIFETIME_MAX_S
    return min(wanted_s, max(_kong_maximum_s(own) - CLOCK_MARGIN_S, _LIFETIME_MIN_S))


def _kong_maximum_s(own: Tables) -> int:
    """`kong.maximum_expiration` of the operator; one with a fault is told elsewhere."""
    table = own.get("kong")
    written = table.get("maximum_expiration") if isinstance(table, Mapping) else None
    try:
        return min(parse_duration_s(written), LIFETIME_MAX_S) if isinstance(written, str) else LIFETIME_MAX_S
    except CommandError:
        return LIFETIME_MAX_S


def _missing(variables: Mapping[str, str], *, has_own: bool) -> Iterator[str]:
    """What nobody can be let in without."""
    needed = (ORGANIZATION,) if has_own else (ENDPOINT, CLIENT_ID, ORGANIZATION)
    lacking = [name for name in needed if not _text(variables, name)]
    if lacking:
        are = "is" if len(lacking) == 1 else "are"
        yield f"{', '.join(lacking)} {are} not set, so that no token of Casdoor can be verified"


def _logs(variables: Mapping[str, str], faults: list[Fault]) -> Mapping[str, str]:
    level = read_choice(variables, ("LOG_LEVEL",), faults, _LOG_LEVELS)
    form = read_choice(variables, ("LOG_FORMAT",), faults, _LOG_FORMATS)
    found = {"level": level and _LOG_LEVELS[level], "format": form and _LOG_FORMATS[form]}
    return {name: value for name, value in found.items() if value}


def _find_pages(variables: Mapping[str, str], faults: list[Fault]) -> Pages:
    """The pages that may read answers: those that are listed."""
    origins = read_list(variables, ("CORS_ORIGINS",), faults) or ()
    credentials = read_flag(variables, ("CORS_ALLOW_CREDENTIALS",), faults) or False
    faults += [
        ("CORS_ORIGINS", f"holds {shown(one)}; {fault}")
        for one in origins
        if one != ANY_ORIGIN and (fault := origin_fault(one))
    ]
    if ANY_ORIGIN in origins:
        return Pages((ANY_ORIGIN,), methods=_METHODS)
    return Pages(origins, credentials=credentials, methods=_METHODS)
