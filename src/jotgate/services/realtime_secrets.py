"""Mints secrets for the Realtime API: a child of the caller's token for one model, for a page or device to hold."""

from typing import Final

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.call_details import CALL_TYPE, CallDetails, bound_by
from jotgate.core.claims import EPHEMERAL_CLIENT_ID, AccessGrant, Issued
from jotgate.core.delegation import check_permitted, history_of, permitted_by
from jotgate.core.narrowing import descend, with_inherited
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID
from jotgate.core.presented import Presented
from jotgate.core.realtime_secrets import SecretOrder
from jotgate.core.resources import grant_target
from jotgate.ports import Clock, StoreAccess
from jotgate.services.accounts import KnownSubject
from jotgate.services.issuer import TokenIssuer
from jotgate.services.narrowing import rights_within
from jotgate.services.presented_tokens import PresentedTokens, find_bearer

REALTIME_SCOPE: Final = "realtime"


class SecretMinter:
    """Mints them. Immutable."""

    def __init__(self, *, tokens: PresentedTokens, access: StoreAccess, issuer: TokenIssuer, clock: Clock) -> None:
        self._tokens = tokens
        self._access = access
        self._issuer = issuer
        self._clock = clock

    async def mint(self, token: str, order: SecretOrder) -> Issued:
        """The child: within the token, and what the record of whom it speaks for allows now.

        It is of the same client, so that nobody gets round a rule about clients; where that is none of ours, of none.

        Raises:
            TokenError: the token is no good: one subclass for each reason.
            OAuthRefused: it may not be narrowed to this.
            IssuerUnavailable, StoreUnavailable, AuditUnavailable: it cannot be known or recorded now.
        """
        presented = await self._tokens.read(token)
        bearer = await self._access.run(lambda store: find_bearer(store, presented, None))
        grant = self._decide(order, presented, bearer)
        return await self._issuer.issue(grant, actor=grant.subject)

    def _decide(self, order: SecretOrder, presented: Presented, bearer: KnownSubject | None) -> AccessGrant:
        issuer, principal = self._issuer.issuer, presented.principal
        details = CallDetails(type=CALL_TYPE, models=(order.model,))
        _, rights = bound_by(details, "", rights_within(presented, bearer))
        target = grant_target((issuer,), REALTIME_SCOPE, allowed=(issuer,), scopes=rights.scopes, issuer=issuer)
        check_permitted(presented, None, issuer)
        ours = presented.own and principal.client_id != PERSONAL_CLIENT_ID
        grant = AccessGrant(
            subject=presented.subject,
            client_id=principal.client_id if ours else EPHEMERAL_CLIENT_ID,
            scopes=target.scopes,
            audiences=target.audiences,
            ttl_s=order.ttl_s,
            models=(order.model,),
            tenant=DEFAULT_TENANT if bearer is None else bearer.record.tenant,
            roles=rights.roles,
            actors=history_of(presented, issuer),
            may_act=permitted_by(presented, issuer),
            confirmation=principal.confirmation,
            limits=with_inherited((), principal),
        )
        return descend(grant, presented, None, issuer, self._clock.now_s())
