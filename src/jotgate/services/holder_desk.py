"""Revokes what a client, a subject, a tenant or a key was issued, for operators and for the admin API."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from jotgate.core.accounts import DEFAULT_TENANT, ClientRecord, PersonalToken, PrincipalRecord, TenantRecord
from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.durable import IssuanceQuery, RevocationKind
from jotgate.core.holder_orders import HolderAnswer, HolderKind, HolderOrder
from jotgate.core.revocations import handle_name, personal_handle, token_handle
from jotgate.errors import CommandError
from jotgate.ports import Clock, StoreAccess
from jotgate.services.revocation import Holder, Revoker
from jotgate.services.token_desk import Installation
from jotgate.services.token_impact import COUNT_MAX, Before, LiveCount, Source, issued, of_tenant
from jotgate.store_ports import Store

_PAGE: Final = 100
_SEE: Final[Mapping[HolderKind, str]] = {
    "client": "'jotgate client list' shows those there are",
    "subject": "'jotgate token list --live' shows whom tokens speak for; name the issuer of others with --issuer",
    "tenant": "'jotgate tenant list' shows those there are",
    "key": "'jotgate key list' shows those there are; name the issuer of others with --issuer",
}
_PERSONAL: Final = (RevocationKind.SUBJECT, RevocationKind.TENANT)


class HolderDesk:
    """Carries such orders out."""

    def __init__(self, access: StoreAccess, revoker: Revoker, clock: Clock, here: Installation) -> None:
        self._access = access
        self._revoker = revoker
        self._clock = clock
        self._here = here

    async def revoke(self, order: HolderOrder, actor: str) -> HolderAnswer:
        """Revoke what is ordered if it is confirmed, and say what that did; else say what it would do.

        What it invalidates is counted behind it, step by step and to a bound: nothing waits for that. The personal
        tokens of a subject, and of a tenant's principals, are among it if their newest secret is as old.

        Raises:
            CommandError: nobody trusts the issuer that is named, nobody is of this name, or the time is to come yet.
            StoreUnavailable, AuditUnavailable: as `Revoker.revoke_token`.
        """
        now_s, own = int(self._clock.now_s()), self._here.own
        if order.before_s is not None and order.before_s > now_s:
            raise CommandError("what is issued in times to come cannot be revoked now", hint="Name a time up to now")
        issuer = self._here.find_issuer(order.issuer) if order.issuer else own.issuer
        known = issuer != own.issuer or await self._access.run(lambda store: _is_known(store, order, now_s))
        elsewhere = order.kind == "tenant" and bool(self._here.others())
        if not known and not elsewhere:
            raise CommandError(
                f"no {order.kind} '{order.name}' is known here, and no token that lives names it", hint=_SEE[order.kind]
            )
        holder = _holder(order, issuer, own.issuer, now_s)
        before = Before(self._here.revoked, [handle_name(holder.kind, one) for one in holder.handles])
        if order.confirmed:
            await self._revoker.revoke_holder(holder, reason=order.reason, actor=actor)
        count = LiveCount(before.counts, own.issuer, now_s, before_s=holder.before_s)
        personal = 0
        if issuer == own.issuer:
            await count.take(self._access, _sources(holder, now_s))
            personal = await self._count_personal(holder, now_s)
        return HolderAnswer(
            live=len(count.live) if issuer == own.issuer else None,
            more=count.more or personal >= COUNT_MAX,
            personal_tokens=personal,
            elsewhere=elsewhere,
            known=known,
            before_s=holder.before_s,
            done=order.confirmed,
            shared=own.shared,
        )

    async def _count_personal(self, holder: Holder, now_s: int) -> int:
        """How many personal tokens are meant, in steps, up to a bound."""
        if holder.kind is RevocationKind.SUBJECT:
            return await self._count_of((holder.name,), holder, now_s)
        count, after = 0, ""
        while holder.kind is RevocationKind.TENANT and count < COUNT_MAX:
            owners = await self._access.run(_owners(holder.name, after))
            if not owners:
                break
            count += await self._count_of(owners, holder, now_s)
            after = owners[-1]
        return min(count, COUNT_MAX)

    async def _count_of(self, owners: Sequence[str], holder: Holder, now_s: int) -> int:
        def meant(one: PersonalToken) -> bool:
            return one.expires_at_s > now_s and one.secrets[-1].created_at_s <= (holder.before_s or now_s)

        def read(store: Store) -> int:
            return sum(meant(one) for owner in owners for one in store.personal_tokens(owner, "", COUNT_MAX))

        return await self._access.run(read)


def _is_known(store: Store, order: HolderOrder, now_s: int) -> bool:
    """Whether there is somebody, or something, of this name here, or a token of theirs lives."""
    name = order.name
    match order.kind:
        case "client":
            there = store.account(ClientRecord, name) is not None
            query = IssuanceQuery(live_at_s=now_s, client_id=name)
        case "subject":
            there = (store.account(PrincipalRecord, name) or store.account(ClientRecord, name)) is not None
            query = IssuanceQuery(live_at_s=now_s, subject=name)
        case "key":
            there = any(key.kid == name for key in store.key_ring().keys)
            query = IssuanceQuery(live_at_s=now_s, kid=name)
        case _:
            return name == DEFAULT_TENANT or store.account(TenantRecord, name) is not None
    return there or bool(store.find_issuances(query, "", 1))


def _holder(order: HolderOrder, issuer: str, own_issuer: str, now_s: int) -> Holder:
    """What the order means. How long tokens of other issuers live is unknown, and those of a tenant may be theirs."""
    kind, ours = RevocationKind(order.kind), issuer == own_issuer
    whole = order.kind == "key" and not ours and order.before_s is None
    alone = kind in (RevocationKind.CLIENT, RevocationKind.TENANT)
    handles = [order.name if alone else token_handle(issuer, order.name)]
    if ours and kind in _PERSONAL:
        handles.append(personal_handle(order.name))
    return Holder(
        kind=kind,
        name=order.name,
        issuer="" if alone else issuer,
        handles=tuple(handles),
        before_s=None if whole else now_s if order.before_s is None else order.before_s,
        expires_at_s=now_s + LIFETIME_MAX_S if ours and kind is not RevocationKind.TENANT else None,
    )


def _sources(holder: Holder, now_s: int) -> Sequence[Source]:
    """Where those tokens are found that are meant."""
    match holder.kind:
        case RevocationKind.CLIENT:
            return [issued(IssuanceQuery(live_at_s=now_s, client_id=holder.name))]
        case RevocationKind.SUBJECT:
            return [issued(IssuanceQuery(live_at_s=now_s, subject=holder.name))]
        case RevocationKind.KEY:
            return [issued(IssuanceQuery(live_at_s=now_s, kid=holder.name))]
        case _:
            return of_tenant(holder.name, now_s)


def _owners(tenant: str, after: str) -> Callable[[Store], list[str]]:
    return lambda store: [one.name for one in store.accounts(PrincipalRecord, after, _PAGE, tenant=tenant)]
