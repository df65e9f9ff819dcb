"""The grant of a client that trades a refresh token for the next, and an access token with it (RFC 6749 s6)."""

from jotgate.core.accounts import ClientRecord
from jotgate.core.claims import AccessGrant
from jotgate.core.families import Family
from jotgate.core.grants import GrantRequest, TokenResponse, answer_with
from jotgate.core.presented import split_offline
from jotgate.core.refresh import Presentation
from jotgate.core.resources import Target, grant_target
from jotgate.core.rights import Rights
from jotgate.core.values import Secret
from jotgate.errors import GrantRefused, TargetRefused
from jotgate.ports import Clock, StoreAccess
from jotgate.services.accounts import KnownSubject, find_subject
from jotgate.services.families import Families
from jotgate.services.issuer import TokenIssuer


class RefreshToken:
    """Trades refresh tokens. It knows nothing of access tokens: an expired one refreshes nothing."""

    def __init__(self, families: Families, issuer: TokenIssuer, access: StoreAccess, clock: Clock) -> None:
        self._families = families
        self._issuer = issuer
        self._access = access
        self._clock = clock

    async def answer(self, request: GrantRequest) -> TokenResponse:
        """The tokens.

        1. The refresh token is this client's, and counts, or did so within its grace; one that is reused ends its
           family, which is durable before this refuses (RFC 6749 s10.4, RFC 9700 s4.14.2).
        2. Whom it speaks for may have tokens yet, in the tenant of then, as the client; what they may do is read anew.
        3. The resources are among the family's (RFC 8707 s2.2), the scopes too (s6), and all of them are still theirs
           and the client's. What the family was given stays as it is.
        4. The access token is made; if it cannot be, the refresh token was not used.
        5. The refresh token is replaced. If the answer is lost, the same request is given the same one again.

        Raises:
            OAuthMalformed, GrantRefused, TargetRefused, ScopeRefused: it is not granted.
            Unavailable: it cannot be known or recorded now.
        """
        text = Secret(request.form.require("refresh_token"))
        presented = Presentation(text, request.client.name, request.came_s)
        decision = await self._families.present(presented)
        family = decision.family
        subject = await self._find_subject(family, request.client)
        rights = subject.rights.within(request.rights).within(_rights_of(family))
        target = self._grant_target(request, family, rights.scopes)
        grant = AccessGrant(
            subject=family.subject,
            client_id=family.client_id,
            scopes=target.scopes,
            audiences=target.audiences,
            ttl_s=request.client.access_ttl_s,
            models=None if rights.models is None else tuple(sorted(rights.models)),
            tenant=family.tenant,
            roles=rights.roles,
            family=family.family_id,
            not_after_s=family.ends_at_s,
        )
        issued = await self._issuer.issue(grant, actor=request.client.name)
        successor = await self._families.carry_out(presented, decision)
        return answer_with(issued, grant, self._clock.now_s(), refresh_token=successor.reveal())

    async def _find_subject(self, family: Family, client: ClientRecord) -> KnownSubject:
        found = await self._access.run(lambda store: find_subject(store, family.subject))
        if not found.record.tenant == client.tenant == family.tenant:
            raise GrantRefused("whom this speaks for, or the client, is of another tenant now")
        return found

    def _grant_target(self, request: GrantRequest, family: Family, scopes: frozenset[str]) -> Target:
        """Without `resource` it is all of the family's; without `scope` all that makes sense there."""
        permitted = request.client.audiences or (self._issuer.issuer,)
        allowed = tuple(audience for audience in family.audiences if audience in permitted)
        if not allowed:
            raise TargetRefused("no resource that this was granted for is this client's any more")
        scope, _ = split_offline(request.form.one("scope"))
        return grant_target(
            request.form.many("resource") or allowed,
            scope,
            allowed=allowed,
            scopes=scopes,
            issuer=self._issuer.issuer,
        )


def _rights_of(family: Family) -> Rights:
    """What was granted to a family: it never grows."""
    return Rights(frozenset(family.scopes), None if family.models is None else frozenset(family.models))
