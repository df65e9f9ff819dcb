"""The routes of clients, principals and tenants: orders to services.administration and its kin, and their events."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic
from urllib.parse import quote

from msgspec import Struct

from jotgate.control.admin.bodies import ClientSecret, ClientView, PrincipalView, TenantView, view_account
from jotgate.control.admin.reading import page
from jotgate.control.admin.shapes import By, Call, Done, Handler
from jotgate.core.account_values import AnyValues, ClientValues, PrincipalValues, TenantValues, given
from jotgate.core.accounts import Account, AnyAccount, ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.status import iss_by_name
from jotgate.errors import RecordChanged, StoreUnavailable
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.services import administration, client_administration
from jotgate.services.account_endings import delete_account
from jotgate.services.administration import Outcome, Terms, find_account, switch_account
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import RevokedSet
from jotgate.services.token_desk import Installation
from jotgate.store_ports import Store


class Office(Struct, frozen=True):
    """What orders about accounts and tokens are carried out with. `issuer` is the name of this installation.

    `look` puts the accounts and revocations that the store has into effect on this machine, at once; `here` has these
    revocations.
    """

    issuer: str
    access: StoreAccess
    recorder: Recorder
    clock: Clock
    entropy: Entropy
    look: Callable[[], Awaitable[None]]
    here: Installation

    @property
    def revoked(self) -> RevokedSet:
        """What was revoked."""
        return self.here.revoked

    @property
    def now_s(self) -> int:
        """The time, as a NumericDate in whole seconds."""
        return int(self.clock.now_s())

    def terms(self, by: By) -> Terms:
        """The terms of an order that comes now: it reaches no further than the token."""
        return Terms(self.issuer, self.now_s, by.subject, self.entropy, by.scopes, iss_by_name(self.here.others()))

    def record(self, by: By, event: str, subject: str, details: Mapping[str, str | int]) -> None:
        """Put a change into the audit log; nothing if `event` is empty. Raises AuditUnavailable."""
        if event:
            self.recorder.record(event, actor=by.subject, subject=subject, details={**by.details, **details})

    async def settle(self) -> None:
        """Put what was done into effect on this machine, before a secret is told, which is told whatever happens.

        Without the store it is within a second that everybody knows, or serves nothing.
        """
        with suppress(StoreUnavailable):
            await self.look()


class _Kind(Struct, Generic[Account], frozen=True):
    """What one of the three nouns is made and changed with."""

    noun: str
    record: type[Account]
    values: type[AnyValues]
    view: type[Struct]
    create: Callable[[Store, Terms, str, Any], Outcome[Account]]
    change: Callable[[Store, Terms, str, Any, int | None], Outcome[Account]]


_KINDS: Sequence[_Kind[Any]] = (
    _Kind(
        "client",
        ClientRecord,
        ClientValues,
        ClientView,
        client_administration.create_client,
        client_administration.change_client,
    ),
    _Kind(
        "principal",
        PrincipalRecord,
        PrincipalValues,
        PrincipalView,
        administration.create_principal,
        administration.change_principal,
    ),
    _Kind(
        "tenant",
        TenantRecord,
        TenantValues,
        TenantView,
        administration.create_tenant,
        administration.change_tenant,
    ),
)


def account_handlers(office: Office) -> dict[str, Handler]:
    """The handlers of the three nouns, by the names of their routes."""
    found: dict[str, Handler] = {"rotateClientSecret": partial(_rotate, office)}
    for kind in _KINDS:
        one = kind.noun.capitalize()
        found |= {
            f"list{one}s": partial(_list, office, kind),
            f"create{one}": partial(_create, office, kind),
            f"get{one}": partial(_get, office, kind),
            f"change{one}": partial(_change, office, kind),
            f"delete{one}": partial(_delete, office, kind),
            f"enable{one}": partial(_switch, office, kind, enabled=True),
            f"disable{one}": partial(_switch, office, kind, enabled=False),
        }
    return found


async def _list(office: Office, kind: _Kind[Any], call: Call) -> Done:
    window = call.window
    tenant, now_s = call.filters.get("tenant", ""), office.now_s
    found: Sequence[AnyAccount] = await office.access.run(
        lambda store: store.accounts(kind.record, window.after, window.limit + 1, tenant=tenant)
    )
    pairs = [(one.name, view_account(one, kind.view, now_s)) for one in found]
    return Done(page(f"list{kind.noun.capitalize()}s", window, pairs))


async def _get(office: Office, kind: _Kind[Any], call: Call) -> Done:
    found = await office.access.run(lambda store: find_account(store, kind.record, call.name))
    return Done(view_account(found, kind.view, office.now_s), found.version)


async def _create(office: Office, kind: _Kind[Any], call: Call) -> Done:
    terms, values = office.terms(call.by), _values(kind, call.body)
    done: Outcome[Any] = await office.access.run(lambda store: kind.create(store, terms, call.body.name, values))
    _record(office, call.by, done)
    await office.settle()
    content = view_account(done.record, kind.view, office.now_s)
    if isinstance(content, ClientView):
        content = ClientSecret(content, done.secret)
    return Done(content, done.record.version, f"/{kind.noun}s/{_in_path(done.record.name)}")


async def _change(office: Office, kind: _Kind[Any], call: Call) -> Done:
    terms = office.terms(call.by)
    done: Outcome[Any] = await office.access.run(
        lambda store: kind.change(store, terms, call.name, call.body, call.version)
    )
    _record(office, call.by, done)
    await office.look()
    return Done(view_account(done.record, kind.view, office.now_s), done.record.version)


async def _delete(office: Office, kind: _Kind[Any], call: Call) -> Done:
    terms = office.terms(call.by)
    done: Outcome[Any] = await office.access.run(
        lambda store: delete_account(store, terms, kind.record, call.name, call.version)
    )
    _record(office, call.by, done)
    await office.look()
    if done.unfinished:
        raise RecordChanged(done.unfinished)
    return Done(done.impact)


async def _switch(office: Office, kind: _Kind[Any], call: Call, *, enabled: bool) -> Done:
    terms = office.terms(call.by)
    done: Outcome[Any] = await office.access.run(
        lambda store: switch_account(store, terms, kind.record, call.name, enabled=enabled, version=call.version)
    )
    _record(office, call.by, done)
    await office.look()
    return Done(view_account(done.record, kind.view, office.now_s), done.record.version)


async def _rotate(office: Office, call: Call) -> Done:
    terms = office.terms(call.by)
    done = await office.access.run(
        lambda store: client_administration.rotate_secret(store, terms, call.name, call.body.overlap_s, call.version)
    )
    _record(office, call.by, done)
    await office.settle()
    return Done(ClientSecret(view_account(done.record, ClientView, office.now_s), done.secret), done.record.version)


def _record(office: Office, by: By, done: Outcome[Any]) -> None:
    office.record(by, done.event, done.record.name, done.details)


def _values(kind: _Kind[Any], body: Any) -> AnyValues:
    """The values of a body that has a name too."""
    plain: dict[str, Any] = {name: value for name, value in given(body).items() if name != "name"}
    return kind.values(**plain)


def _in_path(name: str) -> str:
    return quote(name, safe="")
