"""What is wrong with an account that is to be kept: every fault by the member that it is in."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, get_args
from urllib.parse import urlsplit

from jotgate.core.account_values import AnyValues, given
from jotgate.core.accounts import (
    DEFAULT_TENANT,
    ClientAuthentication,
    ClientBinding,
    ClientRecord,
    GrantName,
    PrincipalRecord,
    Role,
    TenantRecord,
)
from jotgate.core.certificates import CertificateName, read_subject
from jotgate.core.claims import CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID, RENEWED_CLIENT_ID
from jotgate.core.faults import Fault, advice, shown
from jotgate.core.grants import OFFLINE_ACCESS
from jotgate.core.misplaced import holds_token
from jotgate.core.not_offered import ELSEWHERE, NOT_OFFERED
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID
from jotgate.core.scopes import scope_fault
from jotgate.errors import KeyRefused
from jotgate.jose.keys import KeySet

ACCESS_TTL_MAX_S: Final = 86_400
SECRETS_MAX: Final = 2
OVERLAP_MAX_S: Final = 30 * 86_400

_GRANTS: Final = get_args(GrantName)
_AUTHENTICATIONS: Final = get_args(ClientAuthentication)
_BINDINGS: Final = get_args(ClientBinding)
_CERTIFICATE_NAMES: Final = get_args(CertificateName)
_DNS_NAME: Final = re.compile(
    r"(?:[a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII | re.IGNORECASE
)
_NAMES_MAX: Final = 64
_NAME_MAX: Final = 256
_JWKS_BYTES_MAX: Final = 65_536
# In the audit log, or in tokens.
_RESERVED: Final = frozenset({"jotgate", CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID, PERSONAL_CLIENT_ID, RENEWED_CLIENT_ID})
_PATH_STEPS: Final = frozenset({".", ".."})  # RFC 3986 s5.2.4: clients take them out of a path
_SHORT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", re.ASCII)
_SHORT_FORM: Final = "1 to 128 letters, digits, '.', '_', '~' or '-', the first a letter or digit"
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+", re.ASCII)


def check_values(values: AnyValues, name: str) -> list[Fault]:
    """What is given and cannot be set yet, and texts that are no names, before there is a record of them."""
    members = given(values)
    faults = [(path, why) for path, why in {**NOT_OFFERED, **ELSEWHERE}.items() if path in members]
    faults += [("name", fault) for fault in (_plain(name) if name else ())]
    for path, value in members.items():
        faults += [(path, fault) for text in _texts(value) for fault in _plain(text)]
    return faults


def check_client(record: ClientRecord, tenant: TenantRecord) -> list[Fault]:
    """What is wrong with a client of this tenant."""
    faults = [("name", fault) for fault in _short_name(record.name)]
    for check in (_grants, _authentication, _login, _certificate, _binding, _audiences, _rights_of_client, _jwks):
        faults += check(record)
    faults += _roles(record.roles, tenant) + _bounded("models", record.models or ())
    if not 1 <= record.access_ttl_s <= ACCESS_TTL_MAX_S:
        faults.append(("access_ttl_s", f"is {shown(record.access_ttl_s)}; from 1 s to 24 h"))
    return faults


def check_principal(record: PrincipalRecord, tenant: TenantRecord) -> list[Fault]:
    """What is wrong with a principal of this tenant."""
    faults = [("name", fault) for fault in _subject(record.name)]
    faults += _scopes("scopes", record.scopes) + _roles(record.roles, tenant)
    return faults + _bounded("models", record.models or ())


def check_tenant(record: TenantRecord) -> list[Fault]:
    """What is wrong with a tenant and its roles."""
    faults = [("name", fault) for fault in _short_name(record.name)]
    faults += _bounded("roles", record.roles)
    names = [role.name for role in record.roles]
    faults += [("roles", f"{shown(name)} stands twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    for role in record.roles[:_NAMES_MAX]:
        faults += _role(role)
    return faults


def is_name(text: str) -> bool:
    """Whether anything can have this name: it is printable, and not too long for the store."""
    return 1 <= len(text) <= _NAME_MAX and text.isprintable() and text == text.strip()


def _role(role: Role) -> list[Fault]:
    path = f"roles.{role.name if _SHORT_NAME.fullmatch(role.name) else '?'}"
    faults = [(path, fault) for fault in _short_name(role.name)]
    return faults + _scopes(f"{path}.scopes", role.scopes) + _bounded(f"{path}.models", role.models or ())


def _grants(record: ClientRecord) -> Iterator[Fault]:
    unknown = [name for name in record.grants if name not in _GRANTS]
    yield from (("grants", f"{shown(name)} is no grant; {advice(name, _GRANTS)}") for name in unknown)
    if not record.grants:
        yield "grants", f"is empty, and a client without a grant gets nothing; known here: {', '.join(_GRANTS)}"
    if "refresh_token" in record.grants and {"token_exchange", "jwt_bearer"}.isdisjoint(record.grants):
        yield "grants", "refresh_token is of use with token_exchange or jwt_bearer only, whose tokens it renews"


def _authentication(record: ClientRecord) -> Iterator[Fault]:
    way = record.authentication
    if way not in _AUTHENTICATIONS:
        yield "authentication", f"{shown(way)} is no way to authenticate; {advice(way, _AUTHENTICATIONS)}"
    if way == "none" and "client_credentials" in record.grants:
        yield "authentication", "none: a client that proves nothing may not use client_credentials; give it a secret"
    if way == "private_key_jwt" and not record.jwks:
        yield "jwks", "is missing: private_key_jwt needs the client's public keys"
    if way != "private_key_jwt" and record.jwks:
        yield "jwks", f"is of no use with {shown(way)}; choose private_key_jwt, or leave it out"


def _login(record: ClientRecord) -> Iterator[Fault]:
    """What a client must be that says who others are, in tokens that name neither a tenant nor a key."""
    if "login" not in record.grants:
        return
    if record.authentication == "none":
        yield "authentication", "none: a client that proves nothing may log nobody in; give it a secret"
    if record.tenant != DEFAULT_TENANT:
        yield "grants", f"login is for clients of the tenant '{DEFAULT_TENANT}': the tokens of a login name no tenant"
    if record.binding:
        yield "binding", "is of no use with the grant login, whose tokens are bound to nothing; leave it out"


def _certificate(record: ClientRecord) -> Iterator[Fault]:
    """The one name by which a certificate is the client's (RFC 8705 s2.1.2)."""
    names = [name for name in _CERTIFICATE_NAMES if getattr(record, name)]
    if record.authentication != "tls_client_auth":
        yield from ((name, "is of use with tls_client_auth only; choose that, or leave it out") for name in names)
        return
    if len(names) != 1:
        state = "is missing" if not names else "stands beside another"
        yield names[0] if names else "tls_subject_dn", f"{state}; one of {', '.join(_CERTIFICATE_NAMES)} is needed"
    if record.tls_subject_dn and read_subject(record.tls_subject_dn) is None:
        yield "tls_subject_dn", "is no distinguished name as RFC 4514 writes it, such as 'CN=robot,O=Example'"
    if record.tls_san_uri and not _is_absolute(record.tls_san_uri):
        yield "tls_san_uri", "is no absolute URI, such as 'spiffe://example/robot'"
    if record.tls_san_dns and _DNS_NAME.fullmatch(record.tls_san_dns) is None:
        yield "tls_san_dns", "is no DNS name, such as 'robot.example'"


def _binding(record: ClientRecord) -> Iterator[Fault]:
    if record.binding not in _BINDINGS:
        yield (
            "binding",
            f"{shown(record.binding)} is no binding; {advice(record.binding, list(filter(None, _BINDINGS)))}",
        )


def _audiences(record: ClientRecord) -> Iterator[Fault]:
    yield from _bounded("audiences", record.audiences)
    for audience in record.audiences[:_NAMES_MAX]:
        if not _is_absolute(audience):
            yield "audiences", f"{shown(audience)} is no absolute URI of at most 256 characters without a fragment"


def _is_absolute(uri: str) -> bool:
    if len(uri) > _NAME_MAX or not _ABSOLUTE.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme not in ("http", "https") or bool(parts.hostname)


def _rights_of_client(record: ClientRecord) -> Iterator[Fault]:
    if not record.scopes and not record.roles and set(record.grants) != {"login"}:
        yield "scopes", "is empty, as are the roles, and its tokens could do nothing; 'ai' is every AI operation"
    yield from _scopes("scopes", record.scopes, record.audiences)


def _jwks(record: ClientRecord) -> Iterator[Fault]:
    if not record.jwks:
        return
    if len(record.jwks) > _JWKS_BYTES_MAX:
        yield "jwks", f"is longer than {_JWKS_BYTES_MAX} bytes"
        return
    try:
        found = KeySet.from_jwks(record.jwks)
    except KeyRefused as refusal:
        yield "jwks", f"cannot be read: {refusal.message}"
        return
    yield from (("jwks", f"key {one.index} of the set cannot be used: {one.reason}") for one in found.skipped)
    if not len(found) and not found.skipped:
        yield "jwks", "holds no key"


def _scopes(path: str, scopes: Sequence[str], audiences: Sequence[str] | None = None) -> list[Fault]:
    faults = _bounded(path, scopes)
    for scope in scopes[:_NAMES_MAX]:
        if scope == OFFLINE_ACCESS:
            faults.append((path, f"{scope} is given to nobody; a client with the grant refresh_token may ask for it"))
        elif fault := scope_fault(scope, audiences):
            faults.append((path, fault))
    return faults


def _roles(roles: Sequence[str], tenant: TenantRecord) -> list[Fault]:
    faults = _bounded("roles", roles)
    defined = [role.name for role in tenant.roles]
    for name in roles[:_NAMES_MAX]:
        if name not in defined:
            known = advice(name, defined) if defined else "it defines none"
            faults.append(("roles", f"the tenant '{tenant.name}' has no role {shown(name)}; {known}"))
    return faults


def _bounded(path: str, items: Sequence[object]) -> list[Fault]:
    return [(path, f"has {len(items)} items, and {_NAMES_MAX} is the most")] if len(items) > _NAMES_MAX else []


def _short_name(name: str) -> Iterator[str]:
    if not _SHORT_NAME.fullmatch(name):
        yield f"{shown(name)} is no name: {_SHORT_FORM}"
    elif name in _RESERVED:
        yield f"'{name}' is what jotgate calls itself; choose another"


def _subject(name: str) -> Iterator[str]:
    yield from _plain(name)
    if name in _RESERVED:
        yield f"'{name}' is what jotgate calls itself; choose another"
    if name in _PATH_STEPS:
        yield f"'{name}' in the path of a URL is a step, not a name; choose another"


def _plain(text: str) -> Iterator[str]:
    if holds_token(text):
        yield "is a token or secret, which does not belong where others can read it"
    elif not is_name(text):
        yield f"{shown(text)} is no name: 1 to {_NAME_MAX} printable characters, without spaces around them"


def _texts(value: object) -> Iterator[str]:
    """The texts of what is given; an empty title is none."""
    if isinstance(value, str):
        yield from [value] if value else []
    elif isinstance(value, Role):
        yield from (value.name, *value.scopes, *(value.models or ()))
    elif isinstance(value, tuple):
        for item in value:
            yield from [item] if isinstance(item, str) else _texts(item)
