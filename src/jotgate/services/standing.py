"""Says whether those whom a good token of ours rests on may still use it: its client, its subject, their tenants."""

from jotgate.core.accounts import DEFAULT_TENANT, ClientRecord, PrincipalRecord
from jotgate.core.claims import CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID
from jotgate.core.principals import Principal
from jotgate.errors import ClientRefused, GrantRefused
from jotgate.services.accounts import find_client, find_subject
from jotgate.store_ports import Store


def stands(store: Store, principal: Principal, *, of_face: bool = False) -> bool:
    """Whether nobody is disabled, or in another tenant by now, whom a token rests on.

    An operator's token, and what came of it, may rest on no record; who has one need only be enabled for the former,
    which is of no tenant. Whom a token of a face speaks for its client knows alone.

    Raises:
        StoreUnavailable: it cannot be known.
    """
    if principal.client_id == CLI_CLIENT_ID:
        return _has_subject(store, principal.subject, or_none=True)
    tenant = principal.tenant or DEFAULT_TENANT
    if principal.client_id == EPHEMERAL_CLIENT_ID:  # It comes of a personal token, or of another issuer's.
        return _has_subject(store, principal.subject, tenant, or_none=False)
    try:
        if find_client(store, principal.client_id).record.tenant != tenant:
            return False
    except ClientRefused:
        return False
    return of_face or _has_subject(store, principal.subject, tenant, or_none=_came_of_an_operators(store, principal))


def _came_of_an_operators(store: Store, principal: Principal) -> bool:
    first = store.issuance(principal.ancestors[0]) if principal.ancestors else None
    return first is not None and first.client_id == CLI_CLIENT_ID


def _has_subject(store: Store, subject: str, tenant: str = "", *, or_none: bool) -> bool:
    """Whether a subject is there, enabled and of this tenant, if one is named; `or_none`: or is none that is kept."""
    try:
        found = find_subject(store, subject)
    except GrantRefused:
        known = store.account(PrincipalRecord, subject) or store.account(ClientRecord, subject)
        return or_none and known is None
    return tenant in ("", found.record.tenant)
