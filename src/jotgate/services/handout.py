"""Hands out the tokens that a presented token has got a client: an access token, and a refresh token if it asks."""

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.claims import AccessGrant
from jotgate.core.grants import GrantRequest, TokenResponse, answer_with
from jotgate.core.presented import Presented, ceiling, split_offline
from jotgate.core.resources import grant_target
from jotgate.errors import ScopeRefused
from jotgate.ports import Clock
from jotgate.services.accounts import KnownSubject
from jotgate.services.families import Families, FamilyTerms
from jotgate.services.issuer import TokenIssuer
from jotgate.services.recorder import Recorder


class Ask(Struct, frozen=True):
    """What a client asks for: `resources` (RFC 8707), of which `allowed` are those that there may be."""

    request: GrantRequest
    resources: tuple[str, ...]
    allowed: tuple[str, ...]

    @property
    def offline(self) -> bool:
        """Whether a refresh token is wanted."""
        return split_offline(self.request.form.one("scope"))[1]


class Handout:
    """Decides what is granted, and issues it."""

    def __init__(self, *, issuer: TokenIssuer, families: Families, recorder: Recorder, clock: Clock) -> None:
        self._issuer = issuer
        self._families = families
        self._recorder = recorder
        self._clock = clock

    @property
    def issuer(self) -> str:
        """Our name."""
        return self._issuer.issuer

    def now_s(self) -> float:
        """The time (NumericDate)."""
        return self._clock.now_s()

    def decide(self, ask: Ask, presented: Presented, bearer: KnownSubject | None) -> AccessGrant:
        """What is granted: within the presented token, what the client may do, and what the record of `bearer` allows.

        Raises:
            ScopeRefused, TargetRefused: more is asked for, or there is nothing.
        """
        client = ask.request.client
        scope, offline = split_offline(ask.request.form.one("scope"))
        if offline and "refresh_token" not in client.grants:
            raise ScopeRefused("offline_access is for clients that may use the grant refresh_token")
        most = ceiling(presented, ask.request.rights, None if bearer is None else bearer.rights)
        target = grant_target(ask.resources, scope, allowed=ask.allowed, scopes=most.scopes, issuer=self.issuer)
        return AccessGrant(
            subject=presented.subject,
            client_id=client.name,
            scopes=target.scopes,
            audiences=target.audiences,
            ttl_s=client.access_ttl_s,
            models=None if most.models is None else tuple(sorted(most.models)),
            tenant=DEFAULT_TENANT if bearer is None else bearer.record.tenant,
            roles=most.roles,
        )

    async def hand_out(
        self, grant: AccessGrant, presented: Presented, *, offline: bool, issued_token_type: str = ""
    ) -> TokenResponse:
        """The answer, with a refresh token if `offline`. That the token was presented stands in the audit log before.

        Raises:
            AuditUnavailable, StoreUnavailable, KeyRefused, DirectoryRefused: nothing is issued.
        """
        self._recorder.record(
            "token.presented",
            actor=grant.client_id,
            subject=grant.subject,
            details={"issuer": presented.principal.issuer, "jti": presented.principal.token_id},
        )
        refresh_token = ""
        if offline:
            begun = await self._families.begin(
                FamilyTerms(
                    client_id=grant.client_id,
                    subject=grant.subject,
                    scopes=grant.scopes,
                    audiences=grant.audiences,
                    models=grant.models,
                    tenant=grant.tenant,
                )
            )
            grant = replace(grant, family=begun.family.family_id)
            refresh_token = begun.token.reveal()
        issued = await self._issuer.issue(grant, actor=grant.client_id)
        now_s = self._clock.now_s()
        return answer_with(issued, grant, now_s, refresh_token=refresh_token, issued_token_type=issued_token_type)
