"""The handles under which tokens are revoked: what a row of the store speaks of, and what a token can be met by."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from math import floor, inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.claims import AccessGrant
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.families import Family
from jotgate.core.heredity import policy_names
from jotgate.core.personal_tokens import PERSONAL_TOKENS_OF
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
_ISSUED: Final = "issued "  # stands before the time of a token, among the names that were inherited from it
_DIGITS_MAX: Final = 20
_SECRETS_OF: Final = "secrets of "  # stands before a personal token's id where what came of its secrets is meant
_FOREIGN: Final = " "  # stands in every handle that says whose it is, and in no token id of ours

IN_FLIGHT_S: Final = 2.0
"""So long behind a watermark a token of ours may be issued that was decided on before it, by whatever machine."""


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One thing that no longer counts, by its `name`. From `ends_at_s` on (NumericDate) nothing can meet it.

    None: never. `before_s` None: it counts no longer at all; else a watermark: of what was issued then or earlier.
    """

    name: str
    ends_at_s: int | None
    before_s: int | None = None


class Dated(Struct, frozen=True, array_like=True):
    """Names by which something is met that was issued at a time (NumericDate); None: before everything, or unknown."""

    names: tuple[str, ...]
    issued_at_s: float | None


def token_handle(issuer: str, token_id: str) -> str:
    """What a revocation of a token names: whose it is, and its `jti` or the identity of one without (kind TOKEN).

    `issuer` is the `iss`, or jotgate's name for an issuer whose tokens carry none; see `Principal`. A subject, a key
    and a session of an issuer are named alike: by `sub`, `kid` and `sid` (kinds SUBJECT, KEY, SESSION).
    """
    handle = f"{issuer}{_FOREIGN}{token_id}"
    return handle if len(handle) <= _CHARS_MAX else f"sha256{_FOREIGN}{sha256(handle.encode()).hexdigest()}"


def reach_s(leeway_s: float) -> float:
    """How far watermarks reach among our own tokens: never less than issuance takes, whatever clocks may differ by."""
    return max(leeway_s, IN_FLIGHT_S)


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
    return PERSONAL_TOKENS_OF + holder


def secret_handle(own_issuer: str, token_id: str, created_at_s: int) -> str:
    """What a revocation names of what was traded for one secret of a personal token, made at that time (kind TOKEN)."""
    return token_handle(own_issuer, f"{_SECRETS_OF}{token_id} {created_at_s}")


def secrets_handle(own_issuer: str, token_id: str) -> str:
    """The same of all its secrets, whose times are those that a watermark on it is held against."""
    return token_handle(own_issuer, _SECRETS_OF + token_id)


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
    if principal.origins:
        names += [one for one in principal.origins if not one.startswith(_ISSUED)]
    return tuple(names)


def _holders(principal: Principal, own_issuer: str) -> list[str]:
    """Whose a token is: its subject, the key that signed it, its session, its client, its tenant."""
    issuer = principal.issuer
    names = [_SUBJECT + token_handle(issuer, principal.subject)]
    if principal.kid:
        names.append(_key_name(issuer, principal.kid))
    if principal.session:
        names.append(_SESSION + token_handle(issuer, principal.session))
    elif issuer != own_issuer:
        names.append(_SESSION + sessionless_handle(issuer, principal.subject))
    if issuer == own_issuer:
        names += (_CLIENT + principal.client_id, _TENANT + (principal.tenant or DEFAULT_TENANT))
    elif principal.tenant:
        names.append(_TENANT + principal.tenant)
    return names


@lru_cache(maxsize=256)
def _key_name(issuer: str, kid: str) -> str:
    """What all is met by that a key has signed."""
    return _KEY + token_handle(issuer, kid)


def sessionless_handle(issuer: str, subject: str) -> str:
    """What a revocation names of a subject's tokens that do not say of which session they are (kind SESSION)."""
    return token_handle(issuer, f"none of {subject}")


def family_name(family_id: str) -> str:
    """What all that came of a refresh-token family is met by."""
    return _FAMILY + family_id


def holder_names(own_issuer: str, client_id: str, subject: str, tenant: str) -> tuple[str, ...]:
    """What tokens of ours are met by for whose they are, and refresh-token families as well."""
    return (_CLIENT + client_id, _SUBJECT + token_handle(own_issuer, subject), _TENANT + tenant)


def granted_names(own_issuer: str, grant: AccessGrant, now_s: float) -> tuple[Dated, ...]:
    """What a token will be met by that is granted so, but for what only its making decides: its `jti` and its key."""
    own = Dated(holder_names(own_issuer, grant.client_id, grant.subject, grant.tenant), int(now_s))
    family = (_FAMILY + grant.family,) if grant.family else ()
    came_of = ancestor_names(own_issuer, grant.ancestors)
    return (own, Dated((*family, *came_of), None), *inherited_names(grant.origins))


def key_name(own_issuer: str, kid: str) -> str:
    """What all tokens are met by that a key of ours has signed."""
    return _KEY + token_handle(own_issuer, kid)


def ancestor_names(own_issuer: str, ancestors: Iterable[str]) -> tuple[str, ...]:
    """What is met by these ancestors of a token of ours, or of a family."""
    return tuple(_TOKEN + ancestor_handle(own_issuer, one) for one in ancestors)


def inherited_names(origins: Iterable[str]) -> tuple[Dated, ...]:
    """What is met by these `origins`, each name with the time of the token that had it."""
    found: dict[float | None, list[str]] = {}
    issued_at_s: float | None = None
    for one in origins:
        if one.startswith(_ISSUED):
            issued_at_s = _time_of(one)
        else:
            found.setdefault(issued_at_s, []).append(one)
    return tuple(Dated(tuple(names), when_s) for when_s, names in found.items())


def _time_of(mark: str) -> float | None:
    """The time in a mark of ours; what is none was issued before everything."""
    digits = mark.removeprefix(_ISSUED)
    return int(digits) if digits.isdecimal() and len(digits) < _DIGITS_MAX else None


def _origins_of(dated: Iterable[Dated]) -> tuple[str, ...]:
    """What `inherited_names` reads: each name once, with the earliest of its times, behind a mark of that time."""
    earliest: dict[str, float] = {}
    for one in dated:
        issued_at_s = -inf if one.issued_at_s is None or one.issued_at_s < 0 else one.issued_at_s
        for name in one.names:
            earliest[name] = min(issued_at_s, earliest.get(name, inf))
    return tuple(_written(earliest))


def _written(earliest: Mapping[str, float]) -> Iterable[str]:
    mark = None
    for name, issued_at_s in sorted(earliest.items(), key=lambda item: item[1]):
        wanted = None if issued_at_s == -inf else f"{_ISSUED}{floor(issued_at_s)}"
        if wanted is not None and wanted != mark:
            yield wanted
        mark = wanted
        yield name


def origins_for(
    parent: Principal, own_issuer: str, acting: Principal | None = None, *, now_s: float
) -> tuple[str, ...]:
    """The `origins` of a token that is granted for another: whose that one is, and what it came of, each with its time.

    `acting` is the token of who acts by it, all of whose names are among them. So whatever ends one of them ends the
    child, and what is narrowed from that; a watermark is held against the time of the token that it is about, and not
    against that of the child. So what is the child's own too is among them.
    """
    inherited = [*inherited_names(parent.origins), *_passed_on(parent, own_issuer, now_s)]
    inherited.append(Dated(policy_names(parent, own_issuer), None))
    if acting is not None:
        personal = is_personal(acting, own_issuer)
        names = (token_name(acting),) if personal else names_of(replace(acting, origins=()), own_issuer)
        inherited += [*inherited_names(acting.origins), Dated(names, acting.issued_at_s)]
        inherited += _passed_on(acting, own_issuer, now_s)
        inherited.append(Dated(policy_names(acting, own_issuer), None))
    return _origins_of(inherited)


def begun_names(own_issuer: str, family: Family) -> tuple[Dated, ...]:
    """What a refresh-token family is met by, and all that comes of it, beside its own name."""
    own = holder_names(own_issuer, family.client_id, family.subject, family.tenant)
    came_of = ancestor_names(own_issuer, family.ancestors)
    return (Dated(own, family.created_at_s), Dated(came_of, None), *inherited_names(family.origins))


def refreshed_origins(family: Family, own_issuer: str) -> tuple[str, ...]:
    """The `origins` of a token that a refresh yields: those of the family, and whose that is since it was begun."""
    own = holder_names(own_issuer, family.client_id, family.subject, family.tenant)
    return _origins_of([*inherited_names(family.origins), Dated(own, family.created_at_s)])


def with_family(origins: tuple[str, ...], family_id: str) -> tuple[str, ...]:
    """These, and a family that something came of before, all of which ends with it."""
    return _origins_of([*inherited_names(origins), Dated((_FAMILY + family_id,), None)])


def is_personal(principal: Principal, own_issuer: str) -> bool:
    """Whether a token is a personal one: ours, and signed by no key."""
    return principal.issuer == own_issuer and not principal.kid


def _passed_on(parent: Principal, own_issuer: str, now_s: float) -> list[Dated]:
    """Whose a token is, as its child names it.

    A personal token outlives it that its owner is disabled and enabled again: what that ends is what was issued with
    it until then. It outlives its secrets too, with each of which may end what was issued with that.
    """
    holders = tuple(_holders(parent, own_issuer))
    if not is_personal(parent, own_issuer):
        return [Dated(holders, parent.issued_at_s)]
    made_at_s = int(parent.issued_at_s or 0)
    secret = _TOKEN + secret_handle(own_issuer, parent.token_id, made_at_s)
    secrets = _TOKEN + secrets_handle(own_issuer, parent.token_id)
    return [Dated((*personal_names(parent)[1:], secret, secrets), made_at_s), Dated(holders, int(now_s))]


def issued_names(own_issuer: str, row: Issuance, line: Iterable[Issuance | str]) -> tuple[Dated, ...]:
    """What a token of ours can be met by, as far as the ledger knows.

    `line` are the tokens that it was narrowed from: their rows, or of those that have none how it names them.
    """
    family = (_FAMILY + row.family,) if row.family else ()
    names = [Dated((*_issued_holders(own_issuer, row), *family), row.issued_at_s)]
    for one in line:
        if isinstance(one, str):
            names.append(Dated((_TOKEN + ancestor_handle(own_issuer, one),), None))
            if _FOREIGN not in one:  # It may be a personal token; by which secret, the ledger does not know.
                names.append(Dated((_TOKEN + secrets_handle(own_issuer, one),), row.issued_at_s))
        else:
            names.append(Dated(_issued_holders(own_issuer, one), one.issued_at_s))
    return tuple(names)


def _issued_holders(own_issuer: str, row: Issuance) -> tuple[str, ...]:
    names = (
        _TOKEN + token_handle(own_issuer, row.token_id),
        _SUBJECT + token_handle(own_issuer, row.subject),
        _CLIENT + row.client_id,
        _KEY + token_handle(own_issuer, row.kid),
    )
    return names if row.tenant is None else (*names, _TENANT + row.tenant)


def claim_of(principal: Principal, name: str) -> tuple[str, str]:
    """The claim by which a token is met, and what it says there; `name` is one of its `names_of`."""
    kind = name.partition(" ")[0]
    if name in principal.origins and name not in _own_names(principal):
        return "origins", name
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


def _own_names(principal: Principal) -> tuple[str, ...]:
    """What a token has of the names that it may have inherited too."""
    own = holder_names(principal.issuer, principal.client_id, principal.subject, principal.tenant or DEFAULT_TENANT)
    return (*own, key_name(principal.issuer, principal.kid), _FAMILY + principal.family)


def _token_claim(principal: Principal, name: str) -> tuple[str, str]:
    handles = {_TOKEN + ancestor_handle(principal.issuer, one): one for one in principal.ancestors}
    return ("ancestors", handles[name]) if name in handles else ("jti", principal.token_id)
