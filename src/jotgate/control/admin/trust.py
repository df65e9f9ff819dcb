"""The routes of signing keys and of issuers: orders to those who keep them while control runs."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET, Struct

from jotgate.control.admin.bodies import OF_THE_SERVER, IssuerView, KeyDone, NewIssuer
from jotgate.control.admin.reading import page
from jotgate.control.admin.shapes import Call, Done, Handler
from jotgate.core.durable import IssuerRecord
from jotgate.core.issuer_orders import IssuerAnswer, IssuerOrder
from jotgate.core.key_orders import Action, KeyAnswer, KeyOrder, KeyView
from jotgate.core.reach import public_fault
from jotgate.core.status import IssuerState
from jotgate.errors import ConfigurationError, RecordMissing
from jotgate.ports import StoreAccess

_STORE: Final = "store"
_WEB: Final = ("https:", "http:")
_SERVERS: Final = (
    "is about a file or an environment variable of the server, which its operator alone sets, with: jotgate issuer add"
)


class KeyOrders(Protocol):
    """Carries out orders about keys."""

    async def carry_out(self, order: KeyOrder, actor: str, details: Mapping[str, str]) -> KeyAnswer:
        """Do it, and put it into the audit log. Raises JotgateError."""


class IssuerOrders(Protocol):
    """Carries out orders about issuers."""

    async def carry_out(self, order: IssuerOrder, actor: str, details: Mapping[str, str]) -> IssuerAnswer:
        """Do it, and put it into the audit log. Raises JotgateError."""


class TrustOffice(Struct, frozen=True):
    """Whom orders go to. `look_up` says why a URL leads to no public address now; empty: it leads to one."""

    keys: KeyOrders
    issuers: IssuerOrders
    access: StoreAccess
    look_up: Callable[[str], Awaitable[str]]


def trust_handlers(office: TrustOffice) -> dict[str, Handler]:
    """The handlers, by the names of their routes."""
    return {
        "listKeys": partial(_list_keys, office),
        "getKey": partial(_get_key, office),
        "rotateKeys": partial(_rotate, office),
        "promoteKey": partial(_tend, office, "promote"),
        "retireKey": partial(_tend, office, "retire"),
        "revokeKey": partial(_tend, office, "revoke"),
        "listIssuers": partial(_list_issuers, office),
        "getIssuer": partial(_get_issuer, office),
        "createIssuer": partial(_create_issuer, office),
        "deleteIssuer": partial(_delete_issuer, office),
        "enableIssuer": partial(_switch_issuer, office, enabled=True),
        "disableIssuer": partial(_switch_issuer, office, enabled=False),
    }


async def _list_keys(office: TrustOffice, call: Call) -> Done:
    answer = await _order_keys(office, call, KeyOrder(action="list"))
    keys = sorted(answer.keys, key=_place_of_key)
    behind = [(_place_of_key(key), key) for key in keys if _place_of_key(key) > call.window.after]
    return Done(page("listKeys", call.window, behind))


async def _get_key(office: TrustOffice, call: Call) -> Done:
    return Done(await _find_key(office, call))


async def _rotate(office: TrustOffice, call: Call) -> Done:
    order = KeyOrder(action="rotate", algorithm=call.body.algorithm, ahead_s=call.body.ahead_s)
    return Done(_done(await _order_keys(office, call, order)))


async def _tend(office: TrustOffice, action: Action, call: Call) -> Done:
    await _find_key(office, call)
    answer = await _order_keys(office, call, KeyOrder(action=action, kid=call.name))
    found = answer.find(call.name)
    assert found is not None, "no order takes the record of a key away"
    return Done(KeyDone(found, answer.settled))


async def _find_key(office: TrustOffice, call: Call) -> KeyView:
    found = (await _order_keys(office, call, KeyOrder(action="list"))).find(call.name)
    if found is None:
        raise RecordMissing("there is no key with this kid")
    return found


async def _order_keys(office: TrustOffice, call: Call, order: KeyOrder) -> KeyAnswer:
    return await office.keys.carry_out(order, call.by.subject, call.by.details)


def _done(answer: KeyAnswer) -> KeyDone:
    found = answer.find(answer.kid)
    assert found is not None, "the key was just made"
    return KeyDone(found, answer.settled)


def _place_of_key(key: KeyView) -> str:
    """Oldest first; none changes its place."""
    return f"{key.created_at_s:015d} {key.kid}"


async def _list_issuers(office: TrustOffice, call: Call) -> Done:
    found = {f"{one.origin} {one.name}": (one, version) for one, version in await _views(office, call)}
    behind = [(place, found[place][0]) for place in sorted(found) if place > call.window.after]
    return Done(page("listIssuers", call.window, behind))


async def _get_issuer(office: TrustOffice, call: Call) -> Done:
    return await _show(office, call, call.name)


async def _create_issuer(office: TrustOffice, call: Call) -> Done:
    body: NewIssuer = call.body
    faults = [(name, _SERVERS) for name in OF_THE_SERVER if getattr(body, name) is not UNSET]
    name, url = ("jwks_url", body.jwks_url) if body.jwks_url else ("issuer", body.issuer)
    if url.startswith(_WEB) and (fault := public_fault(url) or await office.look_up(url)):
        faults.append((name, fault))
    if faults:
        raise ConfigurationError(faults)
    table = msgspec.json.encode(_sent(body)).decode()
    order = IssuerOrder(action="add", table=table, off=not body.enabled)
    await office.issuers.carry_out(order, call.by.subject, call.by.details)
    done = await _show(office, call, body.name)
    return Done(done.content, done.version, f"/issuers/{body.name}")


def _sent(body: NewIssuer) -> dict[str, Any]:
    """The settings of a new issuer, as the store keeps them: those that say something, and whence its keys may come."""
    written = msgspec.to_builtins(body)
    said = {name: value for name, value in written.items() if name != "enabled" and value not in (None, "")}
    return {**said, "public_only": True}


async def _delete_issuer(office: TrustOffice, call: Call) -> Done:
    order = IssuerOrder(action="remove", name=call.name, version=call.version)
    await office.issuers.carry_out(order, call.by.subject, call.by.details)
    return Done()


async def _switch_issuer(office: TrustOffice, call: Call, *, enabled: bool) -> Done:
    order = IssuerOrder(action="enable" if enabled else "disable", name=call.name, version=call.version)
    await office.issuers.carry_out(order, call.by.subject, call.by.details)
    return await _show(office, call, call.name)


async def _show(office: TrustOffice, call: Call, name: str) -> Done:
    """The issuer of this name: that of the store, which can be changed, if there are two."""
    named = [one for one in await _views(office, call) if one[0].name == name]
    if not named:
        raise RecordMissing("there is no issuer of this name", hint="See which there are: jotgate issuer list")
    view, version = max(named, key=lambda one: one[0].origin == _STORE)
    return Done(view, version)


async def _views(office: TrustOffice, call: Call) -> list[tuple[IssuerView, int | None]]:
    answer = await office.issuers.carry_out(IssuerOrder(action="list"), call.by.subject, call.by.details)
    records = {one.name: one for one in await office.access.run(lambda store: store.issuers())}
    return [_view(state, records.get(state.name) if state.origin == _STORE else None) for state in answer.issuers]


def _view(state: IssuerState, record: IssuerRecord | None) -> tuple[IssuerView, int | None]:
    members = {name: getattr(state, name) for name in state.__struct_fields__}
    view = IssuerView(
        **members,
        settings=None if record is None else _settings(record.content),
        created_at_s=None if record is None else record.created_at_s,
        updated_at_s=None if record is None else record.updated_at_s,
    )
    return view, None if record is None else record.version


def _settings(content: bytes) -> dict[str, Any]:
    """What was sent, less what names things of the server; nothing if it cannot be read."""
    try:
        found = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: value for name, value in found.items() if name not in OF_THE_SERVER}
