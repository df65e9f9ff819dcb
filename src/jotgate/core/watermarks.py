"""The rows that end what an account had been issued when it was disabled or deleted: what is issued later counts."""

from jotgate.core.accounts import AnyAccount, ClientRecord, TenantRecord
from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import token_handle


def account_watermarks(
    record: AnyAccount, own_issuer: str, now_s: int, *, reason: str, actor: str
) -> tuple[Revocation, ...]:
    """What is revoked with an account: the tokens of ours that name it, and all that was narrowed from them.

    A tenant's tokens may be another issuer's too, of which nobody knows how long they live. Personal tokens are no
    part of it: whether their owner may use them is asked anew each time.
    """
    handles: list[tuple[RevocationKind, str]]
    if isinstance(record, TenantRecord):
        handles = [(RevocationKind.TENANT, record.name)]
    else:
        handles = [(RevocationKind.SUBJECT, token_handle(own_issuer, record.name))]
    if isinstance(record, ClientRecord):
        handles.append((RevocationKind.CLIENT, record.name))
    return tuple(
        Revocation(
            kind=kind,
            handle=handle,
            revoked_at_s=now_s,
            expires_at_s=None if kind is RevocationKind.TENANT else now_s + LIFETIME_MAX_S,
            before_s=now_s,
            reason=reason,
            actor=actor,
        )
        for kind, handle in handles
    )
