"""Deletes accounts, and ends what was given to them: tokens, families, personal tokens."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from msgspec.structs import asdict, replace

from jotgate.core.account_orders import Impact
from jotgate.core.accounts import (
    Account,
    AnyAccount,
    ClientRecord,
    PersonalToken,
    PrincipalRecord,
    TenantRecord,
)
from jotgate.core.durable import Issuance, IssuanceQuery, Revocation, RevocationKind
from jotgate.core.families import Family
from jotgate.core.revocations import token_handle
from jotgate.errors import RequestMalformed
from jotgate.services.administration import NOUNS, Outcome, Terms, check_account, find_account, missing, update
from jotgate.services.revocation import end_family
from jotgate.services.token_ledger import TokenLedger, read_ledger
from jotgate.store_ports import Store

_PAGE: Final = 500
_REASON: Final = "account deleted"
_Row = TypeVar("_Row")


def impact_of(store: Store, terms: Terms, record: AnyAccount) -> Impact:
    """What would end with this account: what counts now of its tokens, and of all that was narrowed from them.

    Nothing is known of tokens made elsewhere. Raises StoreUnavailable.
    """
    return _impact(store, terms, record, read_ledger(store, terms.issuer, terms.now_s))


def _impact(store: Store, terms: Terms, record: AnyAccount, ledger: TokenLedger) -> Impact:
    families = {family.family_id for family in _families(store, record)}
    personal = [one.token_id for one in _personal_tokens(store, record) if one.expires_at_s > terms.now_s]
    roots = {row.token_id: row for row in _issuances(store, record, terms.now_s)}
    roots |= {row.token_id: row for family_id in families for row in ledger.come_of(family_id)}
    roots |= {row.token_id: row for token_id in personal for row in ledger.narrowed_from(token_id)}
    return Impact(len(ledger.live(roots.values())), len(families), len(personal))


def delete_account(
    store: Store, terms: Terms, kind: type[Account], name: str, version: int | None = None
) -> Outcome[Account]:
    """Forget an account, and end what it has: its tokens, its families, its personal tokens.

    It is disabled first, so that nothing new comes of it meanwhile; what is in flight then ends too, as it says that
    it was issued at that time. Its tokens end next, before anything is counted. One that was cut short can be done
    again. One that loses a race at its end is `unfinished`.

    Raises:
        RecordMissing, RecordChanged, InsufficientScope, StoreUnavailable: as `administration.change_principal`.
        RequestMalformed: a tenant has accounts still.
    """

    def disable(found: Account) -> Account:
        check_account(store, terms, found)
        _check_empty(store, found)
        return replace(found, enabled=False)

    if not find_account(store, kind, name).version:
        raise missing(kind)
    _, last = update(store, kind, name, disable, terms, version=version)
    ledger = read_ledger(store, terms.issuer, terms.now_s)
    store.revoke(terms.watermarks(last, _REASON))
    impact = _impact(store, terms, last, ledger)
    _end_all(store, terms, last)
    if not store.drop_account(kind, name, last.version):
        unfinished = (
            f"the {NOUNS[kind]} was changed by somebody else while its tokens were ended: it was disabled, and what it "
            "had has ended, but it is not deleted"
        )
        return Outcome(last, f"{NOUNS[kind]}.disabled", _figures(impact), impact=impact, unfinished=unfinished)
    return Outcome(last, f"{NOUNS[kind]}.deleted", _figures(impact), impact=impact)


def _end_all(store: Store, terms: Terms, record: AnyAccount) -> None:
    for family in _families(store, record):
        end_family(store, family, terms.now_s, reason=_REASON, actor=terms.actor)
    for one in _personal_tokens(store, record):
        store.drop_personal_token(one.token_id, one.version, _revocation(terms, one.token_id, one.expires_at_s))


def _revocation(terms: Terms, token_id: str, expires_at_s: int) -> Revocation:
    return Revocation(
        kind=RevocationKind.TOKEN,
        handle=token_handle(terms.issuer, token_id),
        revoked_at_s=terms.now_s,
        expires_at_s=expires_at_s,
        reason=_REASON,
        actor=terms.actor,
    )


def _issuances(store: Store, record: AnyAccount, now_s: int) -> Iterator[Issuance]:
    """The live tokens that speak for an account, or were handed to it; those that do both come twice."""
    queries = []
    if not isinstance(record, TenantRecord):
        queries.append(IssuanceQuery(live_at_s=now_s, subject=record.name))
    if isinstance(record, ClientRecord):
        queries.append(IssuanceQuery(live_at_s=now_s, client_id=record.name))
    for query in queries:
        yield from _all(partial(store.find_issuances, query), lambda row: row.token_id)


def _families(store: Store, record: AnyAccount) -> Iterator[Family]:
    if isinstance(record, ClientRecord):
        yield from _all(partial(store.families, record.name, ""), lambda one: one.family_id)
    if not isinstance(record, TenantRecord):
        yield from _all(partial(store.families, "", record.name), lambda one: one.family_id)


def _personal_tokens(store: Store, record: AnyAccount) -> Iterator[PersonalToken]:
    if isinstance(record, PrincipalRecord):
        yield from _all(partial(store.personal_tokens, record.name), lambda one: one.token_id)


def _all(read: Callable[[str, int], Sequence[_Row]], key: Callable[[_Row], str]) -> Iterator[_Row]:
    """What a reading by pages has, each beginning behind the last of the one before."""
    after = ""
    while rows := read(after, _PAGE):
        yield from rows
        after = key(rows[-1])


def _check_empty(store: Store, record: AnyAccount) -> None:
    """Refuse a tenant that has accounts."""
    if not isinstance(record, TenantRecord):
        return
    principals = bool(store.accounts(PrincipalRecord, "", 1, tenant=record.name))
    clients = bool(store.accounts(ClientRecord, "", 1, tenant=record.name))
    if principals or clients:
        noun = "principals" if principals else "clients"
        raise RequestMalformed(f"the tenant has {noun} still", hint="Delete them first, or disable the tenant")


def _figures(impact: Impact) -> Mapping[str, str | int]:
    return {name: int(figure) for name, figure in asdict(impact).items()}
