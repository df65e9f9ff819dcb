"""Creates and changes tenants, principals and clients: the same for a command and for the admin API.

Plain functions on the store, which may wait for it. Each change is a compare-and-set. Whoever calls records what came
of it, an `Outcome`, in the audit log before telling anybody.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Generic

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.account_checks import check_principal, check_tenant, check_values, is_name
from jotgate.core.account_orders import Impact
from jotgate.core.account_values import AnyValues, PrincipalValues, TenantValues, given, principal_with, tenant_with
from jotgate.core.accounts import (
    DEFAULT_TENANT,
    Account,
    AccountKind,
    AnyAccount,
    ClientRecord,
    PrincipalRecord,
    Role,
    TenantRecord,
)
from jotgate.core.durable import Revocation
from jotgate.core.faults import Fault
from jotgate.core.rights import rights_of, within_scopes
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.core.watermarks import account_watermarks, vouched_elsewhere
from jotgate.errors import InsufficientScope, RecordChanged, RecordExists, RecordMissing, RequestMalformed
from jotgate.ports import Entropy
from jotgate.store_ports import AccountRecords, Store

NOUNS: Final[Mapping[type[AnyAccount], AccountKind]] = {
    TenantRecord: "tenant",
    PrincipalRecord: "principal",
    ClientRecord: "client",
}
_TRIES: Final = 16
_PAGE: Final = 500
_DISABLED: Final = "account disabled"


class Terms(Struct, frozen=True):
    """Who orders a change, when and where.

    `issuer` is the name of this installation. `actor` is who does it, for the audit log. `scopes` are those of its
    token; None: it is the operator of the machine, who may do everything. `others` are the issuers that are trusted
    beside this installation, by jotgate's name for each its `iss`.
    """

    issuer: str
    now_s: int
    actor: str
    entropy: Entropy
    scopes: frozenset[str] | None = None
    others: Mapping[str, str] = {}

    def watermarks(self, record: AnyAccount, reason: str) -> tuple[Revocation, ...]:
        """What is revoked with an account; see `core.watermarks`."""
        elsewhere = vouched_elsewhere(record, self.others)
        return account_watermarks(record, self.issuer, self.now_s, reason=reason, actor=self.actor, elsewhere=elsewhere)


class Outcome(Struct, Generic[Account], frozen=True):
    """What came of an order: the account as it is now, or was at last, and the event for the audit log.

    `event` empty: nothing has changed. `secret` is a new client secret, to be shown once and kept nowhere. `impact` is
    what has ended with an account that was deleted. `unfinished` says why the order was not done to its end; the event
    tells of what was done. Whoever calls raises RecordChanged with it, when that is recorded and in effect.
    """

    record: Account
    event: str = ""
    details: Mapping[str, str | int] = {}
    secret: str = ""
    impact: Impact = Impact()
    unfinished: str = ""

    def __repr__(self) -> str:
        return f"Outcome({self.event} {self.record.name})"


def find_account(records: AccountRecords, kind: type[Account], name: str) -> Account:
    """The account of this name; the tenant `default` need not be kept. Raises RecordMissing, StoreUnavailable."""
    found = records.account(kind, name) if is_name(name) else None
    if found is None and kind is TenantRecord and name == DEFAULT_TENANT:
        return kind(name=name)
    if found is None:
        raise missing(kind)
    return found


def create_principal(
    records: AccountRecords, terms: Terms, name: str, values: PrincipalValues
) -> Outcome[PrincipalRecord]:
    """Keep a new principal.

    Raises:
        RequestMalformed: something of it cannot be; the message has every fault.
        InsufficientScope: it could administer more than whoever orders it.
        RecordExists: a principal or client has this name.
        StoreUnavailable: the store does not answer.
    """
    refuse(check_values(values, name))
    record = principal_with(PrincipalRecord(name=name, created_at_s=terms.now_s, updated_at_s=terms.now_s), values)
    tenant = tenant_of(records, record.tenant)
    refuse(check_principal(record, tenant))
    check_reach(terms, rights_of(record, tenant).scopes)
    return Outcome(put_new(records, record), "principal.created", told(values))


def create_tenant(records: AccountRecords, terms: Terms, name: str, values: TenantValues) -> Outcome[TenantRecord]:
    """Keep a new tenant. Raises as `create_principal`."""
    refuse(check_values(values, name))
    record = tenant_with(TenantRecord(name=name, created_at_s=terms.now_s, updated_at_s=terms.now_s), values)
    refuse(check_tenant(record))
    check_account(records, terms, record)
    return Outcome(put_new(records, record), "tenant.created", told(values))


def change_principal(
    records: AccountRecords, terms: Terms, name: str, values: PrincipalValues, version: int | None = None
) -> Outcome[PrincipalRecord]:
    """Set values of a principal. `version` None: whichever it has.

    Raises:
        RecordMissing: there is none of this name.
        RecordChanged: it has another version.
        RequestMalformed, InsufficientScope, StoreUnavailable: as `create_principal`.
    """
    refuse(check_values(values, name))

    def change(found: PrincipalRecord) -> PrincipalRecord:
        record = principal_with(found, values)
        tenant = tenant_of(records, found.tenant)
        refuse(check_stays(found, record) + check_principal(record, tenant))
        check_reach(terms, rights_of(found, tenant).scopes | rights_of(record, tenant).scopes)
        return record

    return _changed(update(records, PrincipalRecord, name, change, terms, version=version), values)


def change_tenant(
    records: AccountRecords, terms: Terms, name: str, values: TenantValues, version: int | None = None
) -> Outcome[TenantRecord]:
    """Set values of a tenant. Raises as `change_principal`."""
    return redefine_tenant(records, terms, name, lambda _: values, version)


def redefine_tenant(
    records: AccountRecords,
    terms: Terms,
    name: str,
    choose: Callable[[TenantRecord], TenantValues],
    version: int | None = None,
) -> Outcome[TenantRecord]:
    """Set values of a tenant that are chosen by what it is. Raises as `change_principal`, and what `choose` raises."""
    chosen = TenantValues()

    def change(found: TenantRecord) -> TenantRecord:
        nonlocal chosen
        chosen = choose(found)
        refuse(check_values(chosen, name))
        record = tenant_with(found, chosen)
        refuse(check_tenant(record))
        check_account(records, terms, found)
        check_reach(terms, _scopes_of(record.roles))
        return record

    return _changed(update(records, TenantRecord, name, change, terms, version=version), chosen)


def switch_account(
    store: Store, terms: Terms, kind: type[Account], name: str, *, enabled: bool, version: int | None = None
) -> Outcome[Account]:
    """Enable or disable an account; what is so already stays as it is. It counts from the next grant on.

    What an account was issued ends when it is disabled, and does not come back with it. That is done after the
    change, so that nothing is issued in between; one that was cut short can be done again.

    Raises:
        RecordMissing, RecordChanged, InsufficientScope, StoreUnavailable: as `change_principal`.
    """

    def change(found: Account) -> Account:
        check_account(store, terms, found)
        return replace(found, enabled=enabled)

    before, after = update(store, kind, name, change, terms, version=version)
    if not enabled:
        store.revoke(terms.watermarks(after, _DISABLED))
    event = "" if before.enabled is enabled else f"{NOUNS[kind]}.{'enabled' if enabled else 'disabled'}"
    return Outcome(after, event)


def update(
    records: AccountRecords,
    kind: type[Account],
    name: str,
    change: Callable[[Account], Account],
    terms: Terms,
    *,
    version: int | None,
) -> tuple[Account, Account]:
    """Change an account, and again if somebody else was first, unless one version is meant.

    Returns what it was and what it is; the same twice when the change leaves it as it is.
    """
    for _ in range(_TRIES):
        found = find_account(records, kind, name)
        if version is not None and found.version != version:
            raise RecordChanged(f"the {NOUNS[kind]} was changed by somebody else meanwhile")
        wanted = change(found)
        if wanted == found:
            return found, found
        wanted = replace(wanted, updated_at_s=terms.now_s, created_at_s=found.created_at_s or terms.now_s)
        kept = records.put_account(wanted)
        if kept is not None:
            return found, replace(wanted, version=kept)
    raise RecordChanged(f"the {NOUNS[kind]} is being changed by others all the time")


def put_new(records: AccountRecords, record: Account) -> Account:
    """Keep a new account. Raises RecordExists, StoreUnavailable."""
    version = records.put_account(record)
    if version is None:
        raise RecordExists(f"there is a {_holder(records, record)} of this name already")
    return replace(record, version=version)


def tenant_of(records: AccountRecords, name: str) -> TenantRecord:
    """The tenant that an account is to belong to. Raises RequestMalformed, StoreUnavailable."""
    try:
        return find_account(records, TenantRecord, name)
    except RecordMissing:
        raise RequestMalformed(
            "tenant: there is no tenant of this name", param="tenant", hint="Make it first: jotgate tenant create NAME"
        ) from None


def scopes_of(records: AccountRecords, record: AnyAccount) -> frozenset[str]:
    """What an account lets somebody do; of a tenant: what its roles do, and what its accounts have beside them."""
    if isinstance(record, TenantRecord):
        principals = (one.scopes for one in _accounts_of(records, PrincipalRecord, record.name))
        clients = (one.scopes for one in _accounts_of(records, ClientRecord, record.name))
        return _scopes_of(record.roles).union(*principals, *clients)
    tenant = records.account(TenantRecord, record.tenant) or TenantRecord(name=record.tenant)
    return rights_of(record, tenant).scopes


def check_reach(terms: Terms, scopes: Collection[str]) -> None:
    """Refuse to touch what may administer more than whoever orders it: nobody makes himself an administrator.

    Raises:
        InsufficientScope: one of these scopes is of the admin API, and is not covered by those of the order.
    """
    if terms.scopes is None:
        return
    wanted = ADMIN_SCOPES.intersection(scopes)
    beyond = sorted(wanted - within_scopes(wanted, terms.scopes))
    if beyond:
        raise InsufficientScope(
            beyond[0],
            f"this account may do what {beyond[0]} allows, and the token may not",
            hint=f"Use a token with the scope {beyond[0]}",
        )


def check_account(records: AccountRecords, terms: Terms, record: AnyAccount) -> None:
    """Refuse to touch an account that may administer more than whoever orders it; a tenant: if one of its may.

    Raises:
        InsufficientScope, StoreUnavailable: as `check_reach`.
    """
    if terms.scopes is not None and ADMIN_ALL not in terms.scopes:
        check_reach(terms, scopes_of(records, record))


def check_stays(before: PrincipalRecord | ClientRecord, after: PrincipalRecord | ClientRecord) -> list[Fault]:
    """That an account goes to another tenant, whose people know nothing of it."""
    if before.tenant == after.tenant:
        return []
    return [("tenant", f"is '{before.tenant}' and stays so; make another account in the other tenant")]


def refuse(faults: Sequence[Fault]) -> None:
    """Raise RequestMalformed with all faults, if there is one."""
    if faults:
        raise RequestMalformed("; ".join(f"{path}: {fault}" for path, fault in faults), param=faults[0][0])


def missing(kind: type[AnyAccount]) -> RecordMissing:
    """That there is none of this name."""
    return RecordMissing(
        f"there is no {NOUNS[kind]} of this name", hint=f"See which there are: jotgate {NOUNS[kind]} list"
    )


def told(values: AnyValues) -> Mapping[str, str | int]:
    """What the audit log tells of values: which were given."""
    return {"set": " ".join(given(values))}


def _changed(done: tuple[Account, Account], values: AnyValues) -> Outcome[Account]:
    before, after = done
    kind = NOUNS[type(after)]
    return Outcome(after, "" if before == after else f"{kind}.changed", told(values))


def _holder(records: AccountRecords, record: AnyAccount) -> AccountKind:
    """What has the name that an account may not get."""
    if isinstance(record, ClientRecord) and records.account(PrincipalRecord, record.name) is not None:
        return "principal"
    if isinstance(record, PrincipalRecord) and records.account(ClientRecord, record.name) is not None:
        return "client"
    return NOUNS[type(record)]


def _accounts_of(records: AccountRecords, kind: type[Account], tenant: str) -> Iterator[Account]:
    after = ""
    while found := records.accounts(kind, after, _PAGE, tenant=tenant):
        yield from found
        after = found[-1].name


def _scopes_of(roles: Sequence[Role]) -> frozenset[str]:
    return frozenset[str]().union(*(role.scopes for role in roles))
