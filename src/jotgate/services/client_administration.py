"""Creates and changes OAuth clients, and their secrets: those are shown once, and kept as digests alone."""

from typing import Final

from msgspec.structs import replace

from jotgate.core.account_checks import OVERLAP_MAX_S, SECRETS_MAX, check_client, check_values
from jotgate.core.account_values import ClientValues, client_with, uses_secret
from jotgate.core.accounts import ClientRecord, SecretDigest
from jotgate.core.opaque import OPAQUE_BYTES, Mark, make_opaque, opaque_digest
from jotgate.core.rights import rights_of
from jotgate.errors import RequestMalformed
from jotgate.jose.keys import KeySet
from jotgate.services.administration import (
    Outcome,
    Terms,
    check_account,
    check_reach,
    check_stays,
    put_new,
    refuse,
    tenant_of,
    told,
    update,
)
from jotgate.store_ports import AccountRecords

_ID_BYTES: Final = 8


def create_client(records: AccountRecords, terms: Terms, name: str, values: ClientValues) -> Outcome[ClientRecord]:
    """Keep a new client; without a name it gets one. If it uses a secret, the outcome has it.

    Raises:
        RequestMalformed, InsufficientScope, RecordExists, StoreUnavailable: as `administration.create_principal`.
    """
    name = name or f"client-{terms.entropy.random_bytes(_ID_BYTES).hex()}"
    refuse(check_values(values, name))
    record = client_with(ClientRecord(name=name, created_at_s=terms.now_s, updated_at_s=terms.now_s), values)
    record = _checked(records, terms, record)
    secret = ""
    if uses_secret(record):
        record, secret = _with_new_secret(record, terms, 0)
    return Outcome(put_new(records, record), "client.created", told(values), secret)


def change_client(
    records: AccountRecords, terms: Terms, name: str, values: ClientValues, version: int | None = None
) -> Outcome[ClientRecord]:
    """Set values of a client. One that is to use a secret from now on has none until `rotate_secret`.

    Raises:
        RecordMissing, RecordChanged, RequestMalformed, InsufficientScope, StoreUnavailable: as
            `administration.change_principal`.
    """
    refuse(check_values(values, name))

    def change(found: ClientRecord) -> ClientRecord:
        check_account(records, terms, found)
        record = client_with(found, values)
        refuse(check_stays(found, record))
        return _checked(records, terms, record)

    before, after = update(records, ClientRecord, name, change, terms, version=version)
    return Outcome(after, "" if before == after else "client.changed", told(values))


def rotate_secret(
    records: AccountRecords, terms: Terms, name: str, overlap_s: int = 0, version: int | None = None
) -> Outcome[ClientRecord]:
    """Give a client a new secret. The newest before it counts for `overlap_s` more; any other ends now.

    Raises:
        RequestMalformed: the client uses no secret, or the overlap is longer than 30 days.
        RecordMissing, RecordChanged, InsufficientScope, StoreUnavailable: as `change_client`.
    """
    secret = ""

    def change(found: ClientRecord) -> ClientRecord:
        nonlocal secret
        check_account(records, terms, found)
        if not uses_secret(found):
            raise RequestMalformed(
                f"the client uses no secret, but {found.authentication}",
                param="authentication",
                hint="Set its authentication to client_secret_basic or client_secret_post first",
            )
        if not 0 <= overlap_s <= OVERLAP_MAX_S:
            raise RequestMalformed("a secret counts for at most 30 days beside a new one", param="overlap_s")
        record, secret = _with_new_secret(found, terms, overlap_s)
        return record

    _, after = update(records, ClientRecord, name, change, terms, version=version)
    return Outcome(after, "client.secret_rotated", {"overlap_s": overlap_s}, secret)


def _with_new_secret(record: ClientRecord, terms: Terms, overlap_s: int) -> tuple[ClientRecord, str]:
    secret = make_opaque(Mark.CLIENT_SECRET, terms.entropy.random_bytes(OPAQUE_BYTES)).reveal()
    end_s = terms.now_s + overlap_s
    old = [one for one in record.secrets if overlap_s and (one.ends_at_s is None or one.ends_at_s > terms.now_s)]
    ending = [
        replace(one, ends_at_s=end_s if one.ends_at_s is None else min(one.ends_at_s, end_s))
        for one in old[1 - SECRETS_MAX :]
    ]
    new = SecretDigest(opaque_digest(secret), terms.now_s)
    return replace(record, secrets=(*ending, new)), secret


def _checked(records: AccountRecords, terms: Terms, record: ClientRecord) -> ClientRecord:
    """The client, if it can be; its keys as jotgate writes them, without what no key needs."""
    tenant = tenant_of(records, record.tenant)
    refuse(check_client(record, tenant))
    check_reach(terms, rights_of(record, tenant).scopes)
    return replace(record, jwks=KeySet.from_jwks(record.jwks).to_jwks()) if record.jwks else record
