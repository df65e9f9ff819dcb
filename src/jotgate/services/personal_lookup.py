"""What the store says of a personal token: whom it speaks for, and what it may do now.

Nothing is looked up by less than the whole secret, of which the store has the SHA-256 digest.
"""

from hashlib import sha256
from typing import Final

from jotgate.core.accounts import DEFAULT_TENANT, PersonalToken, PrincipalRecord
from jotgate.core.opaque import Mark, opaque_pattern
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID, PersonalFinding, Reason
from jotgate.core.principals import Principal
from jotgate.core.quotas import TokenLimit
from jotgate.core.rights import Rights
from jotgate.errors import GrantRefused, TokenError, TokenExpired, TokenMalformed, TokenRevoked, TokenUnknown
from jotgate.services.accounts import KnownSubject, find_subject
from jotgate.store_ports import Store

find_form: Final = opaque_pattern(Mark.PERSONAL).fullmatch
"""None for whatever is not exactly one personal token."""

_NEW: Final = "Make a new one: jotgate pat create"
_WHOLE: Final = "Send the token exactly as it was shown, whole and with nothing around it"


def look_up(store: Store, digest: bytes, issuer: str, now_s: float) -> PersonalFinding:
    """What the token with this digest is worth at `now_s`. `issuer` is this installation's name.

    Raises:
        StoreUnavailable: it cannot be known.
    """
    version = store.versions().accounts  # First: what is read below is at least as new.
    token = store.find_personal_token(digest)
    if token is None:
        return PersonalFinding(version=version)
    secret = next(one for one in token.secrets if one.digest == digest)
    ends_s = token.expires_at_s if secret.ends_at_s is None else min(secret.ends_at_s, token.expires_at_s)
    if secret.ends_at_s is not None and now_s >= secret.ends_at_s:
        return PersonalFinding(version=version)
    if now_s >= token.expires_at_s:
        return PersonalFinding(version=version, reason="expired", token_id=token.token_id)
    owner = _owner(store, token)
    if owner is None:
        return PersonalFinding(version=version, reason="disabled", token_id=token.token_id)
    rights = personal_rights(token).within(owner.rights)
    tenant = owner.record.tenant
    return PersonalFinding(
        version=version,
        principal=Principal(
            issuer=issuer,
            subject=token.owner,
            client_id=PERSONAL_CLIENT_ID,
            token_id=token.token_id,
            kid="",
            scopes=rights.scopes,
            models=rights.models,
            expires_at_s=float(token.expires_at_s),
            not_before_s=float(token.created_at_s),
            tenant="" if tenant == DEFAULT_TENANT else tenant,
            roles=frozenset(owner.rights.roles),
            audiences=frozenset((issuer,)),
            issued_at_s=float(secret.created_at_s),
            limits=tuple(map(TokenLimit, token.limits)),
        ),
        until_s=ends_s,
        tenant=tenant,
        token_id=token.token_id,
    )


def personal_rights(token: PersonalToken) -> Rights:
    """What a personal token was given, before what its owner may do now narrows it."""
    return Rights(frozenset(token.scopes), None if token.models is None else frozenset(token.models))


def read_finding(finding: PersonalFinding, now_s: float) -> Principal:
    """The principal of a token that counts.

    Raises:
        TokenUnknown, TokenExpired, TokenRevoked: it does not.
    """
    principal = finding.principal
    if principal is not None and now_s < finding.until_s:
        return principal
    reason = finding.reason
    if principal is not None:
        reason = "expired" if now_s >= principal.expires_at_s else "unknown"
    raise _refusal(reason, finding.token_id)  # It gets no name here: it would be a cycle, and each a thing to collect.


def find_personal(store: Store, token: bytes, issuer: str, now_s: float) -> Principal:
    """Whom a personal token speaks for: for who has its text, and the store. Revocations are the caller's to ask of.

    Raises:
        TokenMalformed: it has not the form of one.
        TokenUnknown, TokenExpired, TokenRevoked: it does not count.
        StoreUnavailable: it cannot be known.
    """
    return read_finding(look_up(store, digest_of(token), issuer, now_s), now_s)


def digest_of(token: bytes) -> bytes:
    """The digest of a personal token, of the right form. Raises TokenMalformed."""
    if find_form(token) is None:
        raise malformed()
    return sha256(token).digest()


def malformed() -> TokenMalformed:
    """What is said of a text in which `find_form` finds no personal token."""
    return TokenMalformed("the personal token is cut short, or has something around it", hint=_WHOLE)


def _refusal(reason: Reason, token_id: str) -> TokenError:
    if reason == "unknown":
        return TokenUnknown("no personal token has this text, or it was revoked or replaced")
    error: TokenError = TokenExpired("the personal token has expired", hint=_NEW)
    if reason == "disabled":
        error = TokenRevoked(
            "the personal token's owner, or the owner's tenant, may use no tokens now", hint="Ask who administers them"
        )
    return error.showing("jti", "one that counts", token_id)


def _owner(store: Store, token: PersonalToken) -> KnownSubject | None:
    """The owner, if it may use tokens. Who has the name of an owner that was dropped does not inherit its tokens."""
    try:
        found = find_subject(store, token.owner)
    except GrantRefused:
        return None
    same = isinstance(found.record, PrincipalRecord) and found.record.created_at_s <= token.created_at_s
    return found if same else None
