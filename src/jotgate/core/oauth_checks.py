"""What `[upstreams.oauth]` may not say although each setting is of its type, and what it means."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from jotgate.core.faults import Fault
from jotgate.core.oauth_entries import GRANT_SECRETS, OAuthEntry
from jotgate.core.reach import split_url
from jotgate.core.routes import Reach
from jotgate.core.token_grants import OF_CALLERS, AssertionKey, OAuthGrant, TokenGrant
from jotgate.core.values import Secret, parse_duration_s

_COZE_PATH: Final = "/api/permission/oauth2"
_DURATION_MIN_S: Final = 60
_COZE_DURATION_MAX_S: Final = 86_399
_TIMEOUT_MAX_S: Final = 60
_KEY: Final = frozenset({"private_key", "key_id", "next_private_key", "next_key_id", "algorithm", "audience"})
_OF_COZE: Final = frozenset({"account", "enterprise", "session", "device_id", "custom_consumer", "duration"})
# What each grant has a use for, beside the settings that all have.
_USES: Final[Mapping[OAuthGrant, frozenset[str]]] = {
    "jwt-bearer": _KEY | {"client_secret", "subject", "scope"},
    "coze": _KEY | _OF_COZE | {"scope"},
    "client-credentials": _KEY | {"client_secret", "scope"},
    "refresh-token": frozenset({"client_secret", "refresh_token", "scope"}),
    "token-exchange": _KEY | {"client_secret", "scope"},
    "user-login": frozenset({"client_secret", "scope"}),
}
_ALL_HAVE: Final = frozenset({"grant", "client_id", "token_url", "timeout"})


class GrantSecrets(Struct, frozen=True):
    """What an entry names: by the names of `oauth_entries.GRANT_SECRETS`."""

    found: Mapping[str, Secret] = {}


def check_oauth(path: str, entry: OAuthEntry, kind: str, base_url: str) -> list[Fault]:
    """The faults of one entry, whose path is given, of an upstream of this kind."""
    faults: list[Fault] = []
    if entry.grant in OF_CALLERS and kind != "mcp":
        faults.append((f"{path}.grant", f'is "{entry.grant}", which an MCP server alone can have'))
    faults += _unused(path, entry)
    for name in GRANT_SECRETS:
        if getattr(entry, f"{name}_env") and getattr(entry, f"{name}_file"):
            faults.append((f"{path}.{name}_file", f"stands beside {name}_env; write one of them"))
    if fault := _missing(entry):
        faults.append((f"{path}.{fault[0]}", fault[1]))
    faults += _check_keys(path, entry)
    faults += _check_url(path, entry, kind, base_url)
    if entry.grant == "coze":
        faults += _check_coze(path, entry)
    if parse_duration_s(entry.timeout) > _TIMEOUT_MAX_S:
        faults.append((f"{path}.timeout", 'is longer than a minute; write at most "60s"'))
    return faults


def compile_grant(
    upstream: str, entry: OAuthEntry, base_url: str, secrets: GrantSecrets, *, coze: bool, reach: Reach
) -> TokenGrant:
    """The grant of a sound entry. `coze`: the upstream is Coze, whose endpoint is asked in Coze's way."""
    found = secrets.found
    keys = tuple(
        AssertionKey(found[name], key_id)
        for name, key_id in (("private_key", entry.key_id), ("next_private_key", entry.next_key_id))
        if name in found
    )
    in_coze = coze or entry.grant == "coze"
    return TokenGrant(
        upstream=upstream,
        kind=entry.grant,
        token_url=entry.token_url or _coze_url(entry, base_url),
        client_id=entry.client_id,
        dialect="coze" if in_coze else "form",
        client_secret=found.get("client_secret"),
        keys=keys,
        algorithm=entry.algorithm,
        audience=entry.audience,
        subject=entry.subject,
        scope=entry.scope,
        session=entry.session,
        device_id=entry.device_id,
        custom_consumer=entry.custom_consumer,
        duration_s=parse_duration_s(entry.duration),
        refresh_token=found.get("refresh_token"),
        timeout_s=parse_duration_s(entry.timeout),
        reach=reach,
    )


def _coze_url(entry: OAuthEntry, base_url: str) -> str:
    parts = urlsplit(base_url)
    below = f"/account/{entry.account}" if entry.account else ""
    below = f"/enterprise_id/{entry.enterprise}" if entry.enterprise else below
    return f"{parts.scheme}://{parts.netloc}{_COZE_PATH}{below}/token"


def _unused(path: str, entry: OAuthEntry) -> list[Fault]:
    uses = _USES[entry.grant] | _ALL_HAVE
    faults = []
    for field in msgspec.structs.fields(OAuthEntry):
        stem = field.name.removesuffix("_env").removesuffix("_file")
        if field.name in uses or stem in uses or getattr(entry, field.name) == field.default:
            continue
        faults.append((f"{path}.{field.name}", f'means nothing for the grant "{entry.grant}"; take it out'))
    return faults


def _missing(entry: OAuthEntry) -> tuple[str, str] | None:
    """The setting that is missing without which nothing can be asked."""
    if entry.grant in ("jwt-bearer", "coze") and not _names(entry, "private_key"):
        return "private_key_env", "is missing; write the variable that holds the private key, or private_key_file"
    proves = entry.grant in ("client-credentials", "token-exchange")
    if proves and not (_names(entry, "private_key") or _names(entry, "client_secret")):
        return "client_secret_env", "is missing, and so is private_key_env; write the variable that holds one of them"
    if proves and _names(entry, "private_key") and _names(entry, "client_secret"):
        return "private_key_env", "stands beside a client secret; a client proves itself in one way, so write one"
    return None


def _check_keys(path: str, entry: OAuthEntry) -> list[Fault]:
    if not _names(entry, "next_private_key"):
        if entry.next_key_id:
            return [(f"{path}.next_key_id", "stands without its key; write next_private_key_env, or take it out")]
        return []
    if not _names(entry, "private_key"):
        return [(f"{path}.next_private_key_env", "stands without private_key_env; write the one key there")]
    if not entry.key_id or not entry.next_key_id or entry.key_id == entry.next_key_id:
        return [(f"{path}.next_key_id", "and key_id must tell the two keys apart; write both, and not the same")]
    return []


def _check_url(path: str, entry: OAuthEntry, kind: str, base_url: str) -> list[Fault]:
    place = f"{path}.token_url"
    if not entry.token_url:
        if entry.grant == "coze" or kind == "coze":
            return _url_faults(f"{path}.token_url", _coze_url(entry, base_url), "is taken from base_url, which ")
        return [(place, "is missing; write the URL of the token endpoint")]
    if entry.account or entry.enterprise:
        return [(place, "stands beside account or enterprise, which are part of it; write one of them")]
    return _url_faults(place, entry.token_url, "")


def _url_faults(place: str, url: str, behind: str) -> list[Fault]:
    """Secrets go there, so it is https, or on this machine."""
    try:
        split_url(url)
    except ValueError as fault:
        return [(place, f"{behind}{fault}; write an https URL, or one of this machine")]
    return []


def _check_coze(path: str, entry: OAuthEntry) -> list[Fault]:
    faults = []
    if not entry.key_id:
        faults.append((f"{path}.key_id", "is missing; write the fingerprint of the public key, as Coze shows it"))
    if entry.algorithm != "RS256":
        faults.append((f"{path}.algorithm", 'must be "RS256": Coze takes no other'))
    if entry.account and entry.enterprise:
        faults.append((f"{path}.enterprise", "stands beside account; write one of them"))
    if not _DURATION_MIN_S <= parse_duration_s(entry.duration) <= _COZE_DURATION_MAX_S:
        faults.append((f"{path}.duration", 'must be from "60s" to a second less than a day, such as "15m"'))
    if entry.scope and not _is_object(entry.scope):
        faults.append((f"{path}.scope", "must be Coze's scope, a JSON object in quotes"))
    return faults


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _names(entry: OAuthEntry, secret: str) -> bool:
    return bool(getattr(entry, f"{secret}_env") or getattr(entry, f"{secret}_file"))
