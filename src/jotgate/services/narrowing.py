"""Narrows a token for the operator: a child that may do less, made without a client's asking."""

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.call_details import CALL_TYPE, CallDetails, bound_by
from jotgate.core.claims import CLI_CLIENT_ID, LIFETIME_DEFAULT_S, AccessGrant, Issued
from jotgate.core.delegation import Party, chain_with, check_permitted, history_of, permitted_by
from jotgate.core.limit_texts import read_limits
from jotgate.core.narrow_orders import NarrowOrder
from jotgate.core.narrowing import descend, with_inherited
from jotgate.core.opaque import Mark
from jotgate.core.presented import Presented, ceiling
from jotgate.core.quotas import TokenLimit
from jotgate.core.resources import Target, grant_target
from jotgate.core.rights import Rights
from jotgate.errors import CommandError, OAuthRefused
from jotgate.ports import Clock, StoreAccess
from jotgate.services.accounts import KnownSubject
from jotgate.services.issuer import TokenIssuer
from jotgate.services.presented_tokens import PresentedTokens, find_bearer
from jotgate.services.recorder import Recorder


class _Basis(Struct, frozen=True):
    """The token that is narrowed, and whom it speaks for, if that one has a record."""

    presented: Presented
    bearer: KnownSubject | None


class Narrower:
    """Carries such orders out. Immutable."""

    def __init__(
        self, *, tokens: PresentedTokens, access: StoreAccess, issuer: TokenIssuer, recorder: Recorder, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._access = access
        self._issuer = issuer
        self._recorder = recorder
        self._clock = clock

    async def carry_out(self, order: NarrowOrder) -> Issued:
        """The child: within the token, and what the record of whom it speaks for allows now.

        Raises:
            TokenError: the token is no good: one subclass for each reason.
            CommandError: more is asked for than may be had, which is told; or the token cannot be narrowed.
            IssuerUnavailable, StoreUnavailable, AuditUnavailable: it cannot be known or recorded now.
        """
        if order.token.startswith(Mark.REFRESH):
            raise CommandError("a refresh token cannot be narrowed", hint="Give an access token, or a personal one")
        presented = await self._tokens.read_subject(order.token)
        try:
            bearer = await self._access.run(lambda store: find_bearer(store, presented, None))
            grant = self._decide(order, _Basis(presented, bearer))
        except OAuthRefused as refusal:
            raise CommandError(refusal.message, hint=refusal.hint) from None
        details = {"issuer": presented.principal.issuer, "jti": presented.principal.token_id}
        if grant.actors:
            details["actor"] = grant.actors[0].subject
        self._recorder.record("token.presented", actor=CLI_CLIENT_ID, subject=grant.subject, details=details)
        return await self._issuer.issue(grant, actor=CLI_CLIENT_ID)

    def _decide(self, order: NarrowOrder, basis: _Basis) -> AccessGrant:
        presented, issuer, now_s = basis.presented, self._issuer.issuer, self._clock.now_s()
        rights = rights_within(presented, basis.bearer)
        if order.models is not None:
            _, rights = bound_by(CallDetails(type=CALL_TYPE, models=order.models), "", rights)
        target = self._find_target(order, presented, rights)
        if order.actor == presented.subject:
            raise CommandError(
                "whom the token speaks for needs no actor, and would hide who acts",
                hint="Name who acts with --actor, or leave it out",
            )
        party = Party(order.actor, issuer, order.actor, "") if order.actor else None
        check_permitted(presented, party, issuer)
        grant = AccessGrant(
            subject=presented.subject,
            client_id=CLI_CLIENT_ID,
            scopes=target.scopes,
            audiences=target.audiences,
            ttl_s=_life(order, presented, now_s),
            models=None if rights.models is None else tuple(sorted(rights.models)),
            tenant=DEFAULT_TENANT if basis.bearer is None else basis.bearer.record.tenant,
            roles=rights.roles,
            actors=chain_with(None if party is None else party.actor, history_of(presented, issuer)),
            may_act=permitted_by(presented, issuer),
            confirmation=presented.principal.confirmation,
            limits=with_inherited(map(TokenLimit, read_limits(order.limits)), presented.principal),
        )
        return descend(grant, presented, None, issuer, now_s)

    def _find_target(self, order: NarrowOrder, presented: Presented, rights: Rights) -> Target:
        issuer = self._issuer.issuer
        allowed = tuple(sorted(presented.principal.audiences)) if presented.own else (issuer,)
        if not set(order.audiences) <= set(allowed):
            raise CommandError("the token is not for one of the audiences", hint=f"It is for: {' '.join(allowed)}")
        return grant_target(
            order.audiences or allowed, " ".join(order.scopes), allowed=allowed, scopes=rights.scopes, issuer=issuer
        )


def rights_within(presented: Presented, bearer: KnownSubject | None) -> Rights:
    """What a token and the record of whom it speaks for allow.

    A token of another issuer that says nothing of scopes leaves them to the record.
    """
    record = None if bearer is None else bearer.rights
    scopes = frozenset(presented.scopes or ()) if record is None else record.scopes
    return ceiling(presented, Rights(scopes), record)


def _life(order: NarrowOrder, presented: Presented, now_s: float) -> int:
    """How long the child lives, in seconds; it is cut at the end of the token."""
    if order.ttl_s is None or presented.ends_at_s is None:
        return order.ttl_s or LIFETIME_DEFAULT_S
    left_s = presented.ends_at_s - int(now_s)
    if order.ttl_s > left_s > 0:
        raise CommandError(
            f"the token ends in {left_s} s, and what is narrowed from it no later",
            hint=f"Ask for --ttl {left_s}s at most, or leave it out",
        )
    return order.ttl_s
