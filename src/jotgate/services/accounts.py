"""Finds who may get tokens, and what they may do now: asked anew at each grant, as anybody may have been disabled."""

from typing import Final

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT, ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.rights import Rights, rights_of
from jotgate.errors import ClientRefused, GrantRefused
from jotgate.store_ports import AccountRecords

_UNKEPT: Final = TenantRecord(name=DEFAULT_TENANT)


class KnownClient(Struct, frozen=True):
    """A client that is enabled, as its tenant is, and what it may do."""

    record: ClientRecord
    rights: Rights


class KnownSubject(Struct, frozen=True):
    """A principal that is enabled, or a client that acts for itself, and what it may do."""

    record: PrincipalRecord | ClientRecord
    rights: Rights


def find_client(records: AccountRecords, client_id: str) -> KnownClient:
    """The client with this identifier.

    Raises:
        ClientRefused: there is none, or it or its tenant is disabled; the message says no more than that.
        StoreUnavailable: it cannot be known.
    """
    record = records.account(ClientRecord, client_id)
    tenant = None if record is None else _tenant(records, record.tenant)
    if record is None or tenant is None or not record.enabled or not tenant.enabled:
        raise ClientRefused("the client is unknown, or may not ask for tokens")
    return KnownClient(record, rights_of(record, tenant))


def find_subject(records: AccountRecords, subject: str) -> KnownSubject:
    """Whom a token is to speak for: a principal of this name, or a client (RFC 9068 s2.2).

    Raises:
        GrantRefused: there is nobody of this name, or they or their tenant are disabled.
        StoreUnavailable: it cannot be known.
    """
    record = records.account(PrincipalRecord, subject) or records.account(ClientRecord, subject)
    tenant = None if record is None else _tenant(records, record.tenant)
    if record is None or tenant is None or not record.enabled or not tenant.enabled:
        raise GrantRefused("whom this speaks for is unknown, or may have no tokens")
    return KnownSubject(record, rights_of(record, tenant))


def _tenant(records: AccountRecords, name: str) -> TenantRecord | None:
    """The tenant; the default one need not be kept."""
    return records.account(TenantRecord, name) or (_UNKEPT if name == DEFAULT_TENANT else None)
