"""The handles under which tokens are revoked: what a row of the store speaks of, and what a token can be met by."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.claims import AccessGrant
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.principals import Principal
from jotgate.jose.jwt import LEEWAY_S_MAX

_CHARS_MAX: Final = 512  # of four bytes at most in UTF-8: what a database can hold in an index
_TOKEN: Final = f"{RevocationKind.TOKEN} "  # Formatting a member of an enumeration takes microseconds.
_FAMILY: Final = f"{RevocationKind.FAMILY} "
_CLIENT: Final = f"{RevocationKind.CLIENT} "
_SUBJECT: Final = f"{RevocationKind.SUBJECT} "
_TENANT: Final = f"{RevocationKind.TENANT} "
_KEY: Final = f"{RevocationKind.KEY} "
_SESSION: Final = f"{RevocationKind.SESSION} "
_PERSONAL: Final = "personal tokens of "
_FOREIGN: Final = " "  # stands in every handle that says whose it is, and in no token id of ours


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One thing that no longer counts, by its `name`. From `ends_at_s` on (NumericDate) nothing can meet it.

    None: never. `before_s` None: it counts no longer at all; else a watermark: of what was issued then or earlier.
    """

    name: str
    ends_at_s: int | None
    before_s: int | None = None


def token_handle(issuer: str, token_id: str) -> str:
    """What a revocation of a token names: whose it is, and its `jti` or the identity of one without (kind TOKEN).

    `issuer` is the `iss`, or jotgate's name for an issuer whose tokens carry none; see `Principal`. A subject, a key
    and a session of an issuer are named alike: by `sub`, `kid` and `sid` (kinds SUBJECT, KEY, SESSION).
    """
    handle = f"{issuer}{_FOREIGN}{token_id}"
    return handle if len(handle) <= _CHARS_MAX else f"sha256{_FOREIGN}{sha256(handle.encode()).hexdigest()}"


def ancestor_name(own_issuer: str, principal: Principal) -> str:
    """How the children of a token name it in their `ancestors`: our tokens by their `jti`, others by their handle."""
    if principal.issuer == own_issuer:
        return principal.token_id
    return token_handle(principal.issuer, principal.token_id)


def ancestor_handle(own_issuer: str, ancestor: str) -> str:
    """The handle of a token that one of ours names among its `ancestors`."""
    return ancestor if _FOREIGN in ancestor else token_handle(own_issuer, ancestor)


def entry_of(row: Revocation) -> Entry:
    """What a set keeps of a row. A token counts until its `exp` and the leeway of its issuer; so long it is kept."""
    ends_at_s = None if row.expires_at_s is None else row.expires_at_s + LEEWAY_S_MAX
    return Entry(handle_name(row.kind, row.handle), ends_at_s, row.before_s)


def token_name(principal: Principal) -> str:
    """What a token alone is met by."""
    return _TOKEN + token_handle(principal.issuer, principal.token_id)


def personal_names(principal: Principal) -> tuple[str, ...]:
    """What a personal token is met by: itself, and what its owner, or everybody in the owner's tenant, had of them.

    Not by what ends other tokens of theirs when they are disabled: it counts again when they are enabled.
    """
    tenant = principal.tenant or DEFAULT_TENANT
    return (
        token_name(principal),
        _SUBJECT + personal_handle(principal.subject),
        _TENANT + personal_handle(tenant),
    )


def personal_handle(holder: str) -> str:
    """What a revocation names of the personal tokens of a principal (kind SUBJECT), or of a tenant's (kind TENANT)."""
    return _PERSONAL + holder


def handle_name(kind: str, handle: str) -> str:
    """The name under which a set has what was revoked."""
    return f"{kind} {handle}"


def names_of(principal: Principal, own_issuer: str) -> tuple[str, ...]:
    """All that a token can be met by: itself, its family, the tokens that it was narrowed from, and whose it is.

    `own_issuer` is the `iss` of this installation, whose clients and tenants its own tokens name.
    """
    issuer = principal.issuer
    names = [_TOKEN + token_handle(issuer, principal.token_id)]
    if principal.family:
        names.append(_FAMILY + principal.family)
    if principal.ancestors:
        names += [_TOKEN + ancestor_handle(issuer, one) for one in principal.ancestors]
    names += _holders(principal, own_issuer)
    names += principal.origins
    return tuple(names)


def _holders(principal: Principal, own_issuer: str) -> list[str]:
    """Whose a token is: its subject, the key that signed it, its session, its client, its tenant."""
    issuer = principal.issuer
    names = [_SUBJECT + token_handle(issuer, principal.subject)]
    if principal.kid:
        names.append(_KEY + token_handle(issuer, principal.kid))
    if principal.session:
        names.append(_SESSION + token_handle(issuer, principal.session))
    elif issuer != own_issuer:
        names.append(_SESSION + sessionless_handle(issuer, principal.subject))
    if issuer == own_issuer:
        names += (_CLIENT + principal.client_id, _TENANT + (principal.tenant or DEFAULT_TENANT))
    elif principal.tenant:
        names.append(_TENANT + principal.tenant)
    return names


def sessionless_handle(issuer: str, subject: str) -> str:
    """What a revocation names of a subject's tokens that do not say of which session they are (kind SESSION)."""
    return token_handle(issuer, f"none of {subject}")


def family_name(family_id: str) -> str:
    """What all that came of a refresh-token family is met by."""
    return _FAMILY + family_id


def holder_names(own_issuer: str, client_id: str, subject: str, tenant: str) -> tuple[str, ...]:
    """What tokens of ours are met by for whose they are, and refresh-token families as well."""
    return (_CLIENT + client_id, _SUBJECT + token_handle(own_issuer, subject), _TENANT + tenant)


def granted_names(own_issuer: str, grant: AccessGrant) -> tuple[str, ...]:
    """What a token will be met by that is granted so, but for what only its making decides: its `jti` and its key."""
    family = (_FAMILY + grant.family,) if grant.family else ()
    own = holder_names(own_issuer, grant.client_id, grant.subject, grant.tenant)
    return (*family, *own, *inherited_names(own_issuer, grant.ancestors, grant.origins))


def key_name(own_issuer: str, kid: str) -> str:
    """What all tokens are met by that a key of ours has signed."""
    return _KEY + token_handle(own_issuer, kid)


def inherited_names(own_issuer: str, ancestors: Iterable[str], origins: Iterable[str]) -> tuple[str, ...]:
    """What is met by these ancestors and origins of a token of ours, or of a family, whatever it is met by itself."""
    return (*(_TOKEN + ancestor_handle(own_issuer, one) for one in ancestors), *origins)


def origins_for(
    grant: AccessGrant, parent: Principal, own_issuer: str, acting: Principal | None = None
) -> tuple[str, ...]:
    """The `origins` of a token that is granted for another: whose that one is and came of, as far as it is not its own.

    `acting` is the token of who acts by it, all of whose names are among them. So whatever ends one of them ends the
    child, and what is narrowed from that.
    """
    own = holder_names(own_issuer, grant.client_id, grant.subject, grant.tenant)
    inherited = [*parent.origins, *_holders(parent, own_issuer)]
    if acting is not None:
        inherited += names_of(acting, own_issuer)
    return tuple(name for name in dict.fromkeys(inherited) if name not in own)


def issued_names(own_issuer: str, row: Issuance, line: Iterable[Issuance | str]) -> tuple[str, ...]:
    """What a token of ours can be met by, as far as the ledger knows.

    `line` are the tokens that it was narrowed from: their rows, or of those that have none how it names them.
    """
    names = [_TOKEN + token_handle(own_issuer, row.token_id)]
    if row.family:
        names.append(_FAMILY + row.family)
    names += _issued_holders(own_issuer, row)
    for one in line:
        if isinstance(one, str):
            names.append(_TOKEN + ancestor_handle(own_issuer, one))
        else:
            names += (_TOKEN + token_handle(own_issuer, one.token_id), *_issued_holders(own_issuer, one))
    return tuple(dict.fromkeys(names))


def _issued_holders(own_issuer: str, row: Issuance) -> tuple[str, ...]:
    names = (
        _SUBJECT + token_handle(own_issuer, row.subject),
        _CLIENT + row.client_id,
        _KEY + token_handle(own_issuer, row.kid),
    )
    return names if row.tenant is None else (*names, _TENANT + row.tenant)


def claim_of(principal: Principal, name: str) -> tuple[str, str]:
    """The claim by which a token is met, and what it says there; `name` is one of its `names_of`."""
    if name in principal.origins:
        return "origins", name
    kind = name.partition(" ")[0]
    if kind == RevocationKind.TOKEN:
        return _token_claim(principal, name)
    return {
        RevocationKind.FAMILY: ("family", principal.family),
        RevocationKind.CLIENT: ("client_id", principal.client_id),
        RevocationKind.SUBJECT: ("sub", principal.subject),
        RevocationKind.TENANT: ("tenant", principal.tenant or DEFAULT_TENANT),
        RevocationKind.KEY: ("kid", principal.kid),
        RevocationKind.SESSION: ("sid", principal.session) if principal.session else ("sub", principal.subject),
    }[RevocationKind(kind)]


def _token_claim(principal: Principal, name: str) -> tuple[str, str]:
    if name == token_name(principal):
        return "jti", principal.token_id
    handles = {_TOKEN + ancestor_handle(principal.issuer, one): one for one in principal.ancestors}
    return "ancestors", handles[name]
