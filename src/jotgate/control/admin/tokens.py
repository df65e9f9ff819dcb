"""The routes of tokens: the ledger of what was issued, refresh-token families, personal tokens."""

from functools import partial
from typing import Any, Final, Literal

from jotgate.control.admin.accounts import Office
from jotgate.control.admin.bodies import FamilyView, NewRevocation, PersonalSecret
from jotgate.control.admin.reading import page, write_cursor
from jotgate.control.admin.shapes import Call, Done, Handler, Page
from jotgate.core.account_checks import is_name
from jotgate.core.accounts import PrincipalRecord
from jotgate.core.durable import Issuance, IssuanceQuery
from jotgate.core.families import Family
from jotgate.core.holder_orders import HolderOrder
from jotgate.core.personal_tokens import PersonalOrder
from jotgate.core.token_orders import TokenView
from jotgate.core.tree_orders import TokenTree
from jotgate.errors import CommandError, RecordMissing, RequestMalformed
from jotgate.services.administration import Terms, check_account, check_reach
from jotgate.services.endless_sights import view_endless
from jotgate.services.holder_desk import HolderDesk
from jotgate.services.personal_desk import PersonalDesk, PersonalDone
from jotgate.services.revocation import Revoker
from jotgate.services.token_ledger import TokenLedger
from jotgate.services.token_tree import TreeReader
from jotgate.store_ports import Store

_REASON: Final = "revoked by an administrator"


def token_handlers(office: Office) -> dict[str, Handler]:
    """The handlers, by the names of their routes."""
    return {
        "listTokens": partial(_list_tokens, office),
        "getToken": partial(_get_token, office),
        "getTokenTree": partial(_get_token_tree, office),
        "revokeToken": partial(_revoke_token, office),
        "revokeTokens": partial(_revoke_of, office),
        "listFamilies": partial(_list_families, office),
        "endFamily": partial(_end_family, office),
        "listEndlessTokens": partial(_list_endless, office),
        "listPersonalTokens": partial(_list_personal, office),
        "createPersonalToken": partial(_create_personal, office),
        "getPersonalToken": partial(_get_personal, office),
        "rollPersonalToken": partial(_roll_personal, office),
        "revokePersonalToken": partial(_revoke_personal, office),
    }


async def _list_tokens(office: Office, call: Call) -> Done:
    window = call.window
    query = IssuanceQuery(live_at_s=office.now_s, **call.filters)

    def read(store: Store) -> list[tuple[str, TokenView]]:
        rows = store.find_issuances(query, window.after, window.limit + 1)
        ledger = _ledger(office, store)
        return [(row.token_id, ledger.view(row)) for row in rows]

    return Done(page("listTokens", window, await office.access.run(read)))


async def _get_token(office: Office, call: Call) -> Done:
    row = await _find_token(office, call.name)
    return Done(await office.access.run(lambda store: _ledger(office, store).view(row)))


async def _get_token_tree(office: Office, call: Call) -> Done:
    def read(store: Store) -> TokenTree:
        return TreeReader(store, _ledger(office, store), office.issuer, office.now_s).read(call.name)

    try:
        return Done(await office.access.run(read))
    except CommandError as error:
        raise RecordMissing(error.message) from None


async def _revoke_token(office: Office, call: Call) -> Done:
    row = await _find_token(office, call.name)
    await _revoker(office, call).revoke_token(
        office.issuer, row.token_id, row.expires_at_s, reason=_REASON, actor=call.by.subject, subject=row.subject
    )
    return Done()


async def _revoke_of(office: Office, call: Call) -> Done:
    body: NewRevocation = call.body
    desk = HolderDesk(office.access, _revoker(office, call), office.clock, office.here)
    try:
        order = HolderOrder(**{name: getattr(body, name) for name in body.__struct_fields__})
        return Done(await desk.revoke(order, call.by.subject))
    except CommandError as fault:
        raise RequestMalformed(fault.message, hint=fault.hint) from None


def _ledger(office: Office, store: Store) -> TokenLedger:
    return TokenLedger(store, office.revoked.counts, office.issuer, office.now_s)


async def _find_token(office: Office, token_id: str) -> Issuance:
    row = await office.access.run(lambda store: store.issuance(token_id))
    if row is None:
        raise RecordMissing("there is no such token in the ledger: it was never issued here, or has long ended")
    return row


async def _list_families(office: Office, call: Call) -> Done:
    window = call.window
    client_id, subject = call.filters.get("client_id", ""), call.filters.get("subject", "")
    found = await office.access.run(lambda store: store.families(client_id, subject, window.after, window.limit + 1))
    return Done(page("listFamilies", window, [(one.family_id, _view_family(one)) for one in found]))


async def _end_family(office: Office, call: Call) -> Done:
    family = await office.access.run(lambda store: store.family(call.name))
    if family is None:
        raise RecordMissing("there is no such family of refresh tokens: there never was, or it has long ended")
    await _revoker(office, call).end_family(family, reason=_REASON, actor=call.by.subject)
    return Done()


async def _list_endless(office: Office, call: Call) -> Done:
    window, subject = call.window, call.filters.get("subject", "")
    rows = await office.access.run(lambda store: store.endless_tokens(subject, window.after, window.limit + 1))
    return Done(page("listEndlessTokens", window, [(row.digest, view_endless(row, office.revoked)) for row in rows]))


async def _list_personal(office: Office, call: Call) -> Done:
    window = call.window
    order = _read_order(action="list", subject=call.filters.get("subject", ""), after=window.after)
    answer = (await _order(office, call, order)).answer
    pairs = [(one.id, one) for one in answer.tokens]
    found = page("listPersonalTokens", window, pairs)
    if found.next_cursor is None and answer.after:  # There are more than the service reads at one go.
        found = Page(found.items, write_cursor("listPersonalTokens", answer.after))
    return Done(found)


async def _create_personal(office: Office, call: Call) -> Done:
    body = call.body
    check_reach(office.terms(call.by), body.scopes)
    order = _read_order(
        action="create",
        subject=body.subject,
        name=body.name,
        scopes=body.scopes,
        models=body.models,
        ttl_s=body.ttl_s,
        limits=body.limits,
    )
    return await _changed(office, call, order)


async def _get_personal(office: Office, call: Call) -> Done:
    answer = (await _order(office, call, _named(call, "show"))).answer
    return Done(answer.tokens[0])


async def _roll_personal(office: Office, call: Call) -> Done:
    (found,) = (await _order(office, call, _named(call, "show"))).answer.tokens
    check_reach(office.terms(call.by), found.scopes)
    order = PersonalOrder(
        action="roll", subject=found.subject, name=found.name, overlap_s=call.body.overlap_s, ttl_s=call.body.ttl_s
    )
    return await _changed(office, call, order)


async def _revoke_personal(office: Office, call: Call) -> Done:
    done = await _order(office, call, _named(call, "revoke"))
    done.record(office.recorder.along(call.by.details), call.by.subject)
    await office.look()
    return Done()


async def _changed(office: Office, call: Call, order: PersonalOrder) -> Done:
    terms = office.terms(call.by)
    done = await office.access.run(lambda store: _for_owner(store, terms, order))
    answer = done.record(office.recorder.along(call.by.details), call.by.subject)
    await office.settle()
    return Done(PersonalSecret(answer.tokens[0], answer.secret))


def _for_owner(store: Store, terms: Terms, order: PersonalOrder) -> PersonalDone:
    """Do what makes a secret that speaks for somebody, whom whoever orders it must be able to reach."""
    owner = store.account(PrincipalRecord, order.subject) if is_name(order.subject) else None
    if owner is not None:  # Of one who is not there the desk says so.
        check_account(store, terms, owner)
    return PersonalDesk(store, terms.issuer, terms.entropy, terms.now_s).carry_out(order, actor=terms.actor)


async def _order(office: Office, call: Call, order: PersonalOrder) -> PersonalDone:
    now_s = office.clock.now_s()
    return await office.access.run(
        lambda store: PersonalDesk(store, office.issuer, office.entropy, now_s).carry_out(order, actor=call.by.subject)
    )


def _read_order(**members: Any) -> PersonalOrder:
    """An order as the request has it. Raises RequestMalformed: it can be none."""
    try:
        return PersonalOrder(**members)
    except CommandError as fault:
        raise RequestMalformed(fault.message, hint=fault.hint) from None


def _named(call: Call, action: Literal["show", "revoke"]) -> PersonalOrder:
    try:
        return PersonalOrder(action=action, subject=call.names["subject"], name=call.names["name"])
    except CommandError:
        raise RecordMissing("there is no personal token of this name: it could have none") from None


def _revoker(office: Office, call: Call) -> Revoker:
    return Revoker(office.access, office.recorder.along(call.by.details), office.clock, office.look)


def _view_family(family: Family) -> FamilyView:
    return FamilyView(
        family_id=family.family_id,
        client_id=family.client_id,
        subject=family.subject,
        scopes=family.scopes,
        created_at_s=family.created_at_s,
        ends_at_s=family.ends_at_s,
    )
