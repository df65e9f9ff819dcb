"""Says whether those whom a good token of ours rests on may still use it: its client, its subject, their tenants."""

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.principals import Principal
from jotgate.errors import ClientRefused, GrantRefused
from jotgate.services.accounts import find_client, find_subject
from jotgate.store_ports import Store


def stands(store: Store, principal: Principal) -> bool:
    """Whether nobody is disabled whom a token rests on. An operator's token, and what came of it, may rest on none.

    Raises:
        StoreUnavailable: it cannot be known.
    """
    if principal.client_id == CLI_CLIENT_ID:
        return has_subject(store, principal.subject, or_none=True)
    try:
        find_client(store, principal.client_id)
    except ClientRefused:
        return False
    return has_subject(store, principal.subject, or_none=_came_of_an_operators(store, principal))


def _came_of_an_operators(store: Store, principal: Principal) -> bool:
    first = store.issuance(principal.ancestors[0]) if principal.ancestors else None
    return first is not None and first.client_id == CLI_CLIENT_ID


def has_subject(store: Store, subject: str, *, or_none: bool = False) -> bool:
    """Whether a subject is there and enabled; `or_none`: or is none that is kept. Raises StoreUnavailable."""
    try:
        find_subject(store, subject)
    except GrantRefused:
        known = store.account(PrincipalRecord, subject) or store.account(ClientRecord, subject)
        return or_none and known is None
    return True
