"""Carries out what an operator orders about accounts: the same with a running control and without one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.account_orders import PAGE_ROWS, AccountAnswer, AccountOrder, Impact, shown
from jotgate.core.account_values import TenantValues
from jotgate.core.accounts import Account, ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.admin_tokens import AdminTokenOrder
from jotgate.core.claims import CLI_CLIENT_ID, Issued
from jotgate.core.status import IssuerState, iss_by_name
from jotgate.core.watermarks import vouched_elsewhere
from jotgate.errors import CommandError, RecordChanged, RecordMissing
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.services.account_endings import delete_account, impact_of
from jotgate.services.administration import (
    Outcome,
    Terms,
    change_principal,
    change_tenant,
    create_principal,
    create_tenant,
    find_account,
    redefine_tenant,
    switch_account,
)
from jotgate.services.client_administration import change_client, create_client, rotate_secret
from jotgate.services.issuer import TokenIssuer
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store

_ENDING: Final = ("disable", "delete")


class Done(Struct, frozen=True):
    """What came of an order, and the event for the audit log; an empty one: nothing has changed.

    `unfinished` is that of the `Outcome`.
    """

    answer: AccountAnswer
    event: str = ""
    name: str = ""
    details: Mapping[str, str | int] = {}
    unfinished: str = ""

    def __repr__(self) -> str:
        return f"Done({self.event} {self.name})"


class AccountDesk(Struct, frozen=True):
    """Takes the operator's orders. `look` puts what has changed into effect on this machine, at once.

    `running`: a control process does it, which goes by it already. `others` are the issuers beside this installation.
    """

    tokens: TokenIssuer
    access: StoreAccess
    recorder: Recorder
    clock: Clock
    entropy: Entropy
    look: Callable[[], Awaitable[None]]
    running: bool
    others: Callable[[], Sequence[IssuerState]]

    async def carry_out(self, order: AccountOrder) -> AccountAnswer:
        """Do what is ordered. Raises what the function `carry_out` does, and AuditUnavailable."""
        terms = Terms(self.tokens.issuer, int(self.clock.now_s()), CLI_CLIENT_ID, self.entropy)
        if order.action in _ENDING:
            terms = replace(terms, others=iss_by_name(self.others()))
        done = await self.access.run(lambda store: carry_out(store, terms, order))
        if done.event:
            self.recorder.record(done.event, actor=CLI_CLIENT_ID, subject=done.name, details=done.details)
        if done.event and not done.answer.secret:  # A secret is told whatever happens: nobody can be told it again.
            await self.look()
        if done.unfinished:
            raise RecordChanged(done.unfinished)
        return replace(done.answer, running=self.running)

    async def issue(self, order: AdminTokenOrder) -> Issued:
        """Issue a token for the admin API. Raises as `TokenIssuer.issue`."""
        grant = order.grant(self.tokens.issuer)
        issued = await self.tokens.issue(grant, actor=CLI_CLIENT_ID)
        details: Mapping[str, str | int] = {
            "jti": issued.token_id,
            "scope": " ".join(grant.scopes),
            "exp": issued.expires_at_s,
        }
        self.recorder.record("admin.token_issued", actor=CLI_CLIENT_ID, subject=grant.subject, details=details)
        return issued


def carry_out(store: Store, terms: Terms, order: AccountOrder) -> Done:
    """Do what is ordered.

    Raises:
        RecordMissing, RecordExists, RecordChanged, RequestMalformed, StoreUnavailable: see `services.administration`.
        CommandError: there is no such order.
    """
    match order.noun:
        case "client":
            return _client(store, terms, order)
        case "principal":
            return _principal(store, terms, order)
        case "tenant":
            return _tenant(store, terms, order)


def _client(store: Store, terms: Terms, order: AccountOrder) -> Done:
    match order.action:
        case "create":
            return _done(terms, create_client(store, terms, order.name, order.client))
        case "set":
            return _done(terms, change_client(store, terms, order.name, order.client))
        case "rotate-secret":
            return _done(terms, rotate_secret(store, terms, order.name, order.overlap_s))
    return _any(store, terms, order, ClientRecord)


def _principal(store: Store, terms: Terms, order: AccountOrder) -> Done:
    match order.action:
        case "create":
            return _done(terms, create_principal(store, terms, order.name, order.principal))
        case "set":
            return _done(terms, change_principal(store, terms, order.name, order.principal))
    return _any(store, terms, order, PrincipalRecord)


def _tenant(store: Store, terms: Terms, order: AccountOrder) -> Done:
    match order.action:
        case "create":
            return _done(terms, create_tenant(store, terms, order.name, order.tenant))
        case "set":
            return _done(terms, change_tenant(store, terms, order.name, order.tenant))
        case "define-role" | "drop-role":
            done = redefine_tenant(store, terms, order.name, lambda found: _with_role(found, order))
            return _done(terms, done)
    return _any(store, terms, order, TenantRecord)


def _any(store: Store, terms: Terms, order: AccountOrder, kind: type[Account]) -> Done:
    """What is done with accounts of all kinds alike."""
    match order.action:
        case "list":
            return _list(store, terms, order, kind)
        case "show":
            record = find_account(store, kind, order.name)
            impact = None if order.noun == "tenant" else impact_of(store, terms, record)
            return _done(terms, Outcome(record), impact)
        case "enable" | "disable":
            enabled = order.action == "enable"
            return _done(terms, switch_account(store, terms, kind, order.name, enabled=enabled))
        case "delete":
            deleted = delete_account(store, terms, kind, order.name)
            return _done(terms, deleted, None if order.noun == "tenant" else deleted.impact)
        case _:
            raise CommandError(f"there is no '{order.action}' of a {order.noun}")


def _with_role(tenant: TenantRecord, order: AccountOrder) -> TenantValues:
    """The roles of a tenant with one that is defined anew, or without it."""
    if order.role is None:
        raise CommandError("no role is named")
    others = tuple(role for role in tenant.roles if role.name != order.role.name)
    if order.action == "define-role":
        return TenantValues(roles=(*others, order.role))
    if len(others) == len(tenant.roles):
        raise RecordMissing(
            "the tenant has no role of this name", hint="See which there are: jotgate tenant show TENANT"
        )
    return TenantValues(roles=others)


def _list(store: Store, terms: Terms, order: AccountOrder, kind: type[Account]) -> Done:
    found = store.accounts(kind, order.after, PAGE_ROWS + 1, tenant=order.of_tenant)
    rows = [shown(one, terms.now_s) for one in found[:PAGE_ROWS]]
    return Done(AccountAnswer(accounts=rows, more=len(found) > PAGE_ROWS, issuer=terms.issuer))


def _done(terms: Terms, outcome: Outcome[Account], impact: Impact | None = None) -> Done:
    answer = AccountAnswer(
        accounts=[shown(outcome.record, terms.now_s)],
        secret=outcome.secret,
        impact=impact,
        issuer=terms.issuer,
        elsewhere=vouched_elsewhere(outcome.record, terms.others),
    )
    return Done(answer, outcome.event, outcome.record.name, outcome.details, outcome.unfinished)
