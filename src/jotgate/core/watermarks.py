"""The rows that end what an account had been issued when it was disabled or deleted: what is issued later counts."""

from collections.abc import Mapping

from jotgate.core.account_orders import Elsewhere
from jotgate.core.accounts import AnyAccount, ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import token_handle


def vouched_elsewhere(record: AnyAccount, others: Mapping[str, str]) -> Elsewhere | None:
    """Who else issues tokens for a principal; `others` are the issuers beside this one, by their names their `iss`."""
    name, found, subject = record.name.partition("/")
    if not found or not isinstance(record, PrincipalRecord) or name not in others:
        return None
    return Elsewhere(name, others[name], subject)


def account_watermarks(
    record: AnyAccount,
    own_issuer: str,
    now_s: int,
    *,
    reason: str,
    actor: str,
    elsewhere: Elsewhere | None = None,
) -> tuple[Revocation, ...]:
    """What is revoked with an account: the tokens of ours that name it, and all that was narrowed from them.

    So are those that another issuer has given a principal, by which it may call here itself. A tenant's tokens may be
    another issuer's too, of which nobody knows how long they live. Personal tokens are no part of it: whether their
    owner may use them is asked anew each time.
    """
    handles: list[tuple[RevocationKind, str]]
    if isinstance(record, TenantRecord):
        handles = [(RevocationKind.TENANT, record.name)]
    else:
        handles = [(RevocationKind.SUBJECT, token_handle(own_issuer, record.name))]
    if isinstance(record, ClientRecord):
        handles.append((RevocationKind.CLIENT, record.name))
    foreign = None if elsewhere is None else token_handle(elsewhere.issuer, elsewhere.subject)
    if foreign is not None:
        handles.append((RevocationKind.SUBJECT, foreign))
    return tuple(
        Revocation(
            kind=kind,
            handle=handle,
            revoked_at_s=now_s,
            expires_at_s=None if kind is RevocationKind.TENANT or handle == foreign else now_s + LIFETIME_MAX_S,
            before_s=now_s,
            reason=reason,
            actor=actor,
        )
        for kind, handle in handles
    )
