"""The grant of a client that trades a refresh token for the next, and an access token with it (RFC 6749 s6)."""

from jotgate.core.call_details import asked_limits, read_details
from jotgate.core.claims import AccessGrant
from jotgate.core.grants import GrantRequest, TokenResponse, answer_with
from jotgate.core.narrowing import of_family
from jotgate.core.presented import split_offline
from jotgate.core.refresh import Presentation
from jotgate.core.revocations import refreshed_origins
from jotgate.core.values import Secret
from jotgate.ports import Clock, StoreAccess
from jotgate.services.accounts import KnownClient
from jotgate.services.families import Families
from jotgate.services.issuer import TokenIssuer
from jotgate.services.refresh_yield import Wish, find_family_subject, find_yield


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
           family, which is durable before this refuses (RFC 6749 s10.4, RFC 9700 s4.14.2). So does all that the family
           comes of: the tokens before it, who acts, and the issuer that vouched for whom it speaks for. What the family
           is bound to is proven (RFC 9449 s5), or nothing is ended either.
        2. Whom it speaks for may have tokens yet, in the tenant of then, as the client; what they may do is read anew.
        3. The resources are among the family's (RFC 8707 s2.2), the scopes too (s6), and all of them are still theirs
           and the client's. What the family was given stays as it is.
        4. The access token is made; if it cannot be, the refresh token was not used.
        5. The refresh token is replaced. If the answer is lost, the same request is given the same one again.

        Raises:
            OAuthMalformed, GrantRefused, TargetRefused, ScopeRefused, AuthorizationDetailsRefused: it is not granted.
            Unavailable: it cannot be known or recorded now.
        """
        text = Secret(request.form.require("refresh_token"))
        presented = Presentation(text, request.client.name, request.came_s, request.binding.proven)
        decision = await self._families.present(presented)
        family, client = decision.family, KnownClient(request.client, request.rights)
        subject = await self._access.run(lambda store: find_family_subject(store, family, client))
        scope, _ = split_offline(request.form.one("scope"))
        wish = Wish(request.form.many("resource"), scope, read_details(request.form))
        found = find_yield(family, client, subject, self._issuer.issuer, wish)
        grant = AccessGrant(
            subject=family.subject,
            client_id=family.client_id,
            scopes=found.target.scopes,
            audiences=found.target.audiences,
            ttl_s=request.client.access_ttl_s,
            models=found.models,
            tenant=family.tenant,
            roles=found.rights.roles,
            family=family.family_id,
            ancestors=family.ancestors,
            origins=refreshed_origins(family, self._issuer.issuer),
            actors=family.actors,
            may_act=family.may_act,
            confirmation=request.binding.confirmation or family.confirmation,
            not_after_s=family.ends_at_s,
            limits=(*asked_limits(wish.details), *of_family(family.limits, self._issuer.issuer, family.family_id)),
        )
        self._issuer.check(grant)
        await request.use_proof()
        issued = await self._issuer.issue(grant, actor=request.client.name)
        successor = await self._families.carry_out(presented, decision)
        return answer_with(issued, grant, self._clock.now_s(), refresh_token=successor.reveal(), details=wish.details)
