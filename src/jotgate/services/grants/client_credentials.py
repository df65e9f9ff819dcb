"""The grant of a client that acts for itself (RFC 6749 s4.4)."""

from jotgate.core.call_details import asked_limits, bound_by, read_details
from jotgate.core.claims import AccessGrant
from jotgate.core.grants import GrantRequest, TokenResponse, answer_with
from jotgate.core.resources import grant_target
from jotgate.errors import ClientNotAllowed
from jotgate.ports import Clock
from jotgate.services.issuer import TokenIssuer


class ClientCredentials:
    """Issues access tokens whose subject is the client (RFC 9068 s2.2)."""

    def __init__(self, issuer: TokenIssuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock

    async def answer(self, request: GrantRequest) -> TokenResponse:
        """The token.

        1. The client is confidential: it has proved more than its name (s4.4).
        2. The resources are among its own (RFC 8707 s2.2), the scopes too (s3.3), and fit them (RFC 9068 s3); it may
           have what it bounds the token by (RFC 9396 s5).
        3. The token speaks for the client; no refresh token goes with it (s4.4.3).

        Raises:
            ClientNotAllowed, TargetRefused, ScopeRefused, AuthorizationDetailsRefused: it is not granted.
            Unavailable: it cannot be recorded now.
        """
        client = request.client
        if client.authentication == "none":
            raise ClientNotAllowed("a client that proves nothing may not act for itself")
        details = read_details(request.form)
        scope, rights = bound_by(details, request.form.one("scope"), request.rights)
        target = grant_target(
            request.form.many("resource"),
            scope,
            allowed=client.audiences,
            scopes=rights.scopes,
            issuer=self._issuer.issuer,
        )
        grant = AccessGrant(
            subject=client.name,
            client_id=client.name,
            scopes=target.scopes,
            audiences=target.audiences,
            ttl_s=client.access_ttl_s,
            models=None if rights.models is None else tuple(sorted(rights.models)),
            tenant=client.tenant,
            roles=rights.roles,
            confirmation=request.binding.confirmation,
            limits=asked_limits(details),
        )
        self._issuer.check(grant)
        await request.use_proof()
        issued = await self._issuer.issue(grant, actor=client.name)
        return answer_with(issued, grant, self._clock.now_s(), details=details)
