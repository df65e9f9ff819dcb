"""Hands out the tokens that a presented token has got a client: an access token, and a refresh token if it asks."""

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.accounts import DEFAULT_TENANT, ClientRecord
from jotgate.core.call_details import CallDetails, asked_limits, bound_by, read_details
from jotgate.core.claims import AccessGrant
from jotgate.core.delegation import history_of, permitted_by
from jotgate.core.grants import GrantRequest, TokenResponse, answer_with
from jotgate.core.narrowing import check_size, in_family, of_family, with_inherited
from jotgate.core.presented import Presented, ceiling, split_offline
from jotgate.core.resources import grant_target
from jotgate.core.revocations import origins_for
from jotgate.errors import ScopeRefused
from jotgate.ports import Clock
from jotgate.services.accounts import KnownSubject
from jotgate.services.families import Families, FamilyTerms
from jotgate.services.issuer import TokenIssuer
from jotgate.services.recorder import Recorder


class Ask(Struct, frozen=True):
    """What a client asks for: `resources` (RFC 8707), of which `allowed` are those that there may be; `details`."""

    request: GrantRequest
    resources: tuple[str, ...]
    allowed: tuple[str, ...]
    details: CallDetails | None = None

    @property
    def offline(self) -> bool:
        """Whether a refresh token is wanted."""
        return split_offline(self.request.form.one("scope"))[1]


def ask_of(request: GrantRequest, resources: tuple[str, ...], allowed: tuple[str, ...]) -> Ask:
    """What a request asks for. Raises AuthorizationDetailsRefused."""
    return Ask(request, resources, allowed, read_details(request.form))


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

        Who acts by the presented token acts by the new one, and nobody else may; what can revoke the one revokes the
        other.

        Raises:
            ScopeRefused, TargetRefused, AuthorizationDetailsRefused: more is asked for, or there is nothing.
        """
        client = ask.request.client
        scope, offline = split_offline(ask.request.form.one("scope"))
        if offline and "refresh_token" not in client.grants:
            raise ScopeRefused("offline_access is for clients that may use the grant refresh_token")
        most = ceiling(presented, ask.request.rights, None if bearer is None else bearer.rights)
        scope, most = bound_by(ask.details, scope, most)
        target = grant_target(ask.resources, scope, allowed=ask.allowed, scopes=most.scopes, issuer=self.issuer)
        grant = AccessGrant(
            subject=presented.subject,
            client_id=client.name,
            scopes=target.scopes,
            audiences=target.audiences,
            ttl_s=client.access_ttl_s,
            models=None if most.models is None else tuple(sorted(most.models)),
            tenant=DEFAULT_TENANT if bearer is None else bearer.record.tenant,
            roles=most.roles,
            actors=history_of(presented, self.issuer),
            may_act=permitted_by(presented, self.issuer),
            confirmation=ask.request.binding.confirmation or presented.principal.confirmation,
            limits=with_inherited(asked_limits(ask.details), presented.principal),
        )
        return replace(grant, origins=origins_for(presented.principal, self.issuer, now_s=self.now_s()))

    def check(self, grant: AccessGrant) -> None:
        """Refuse what cannot be handed out, before anything is used up for it.

        Raises:
            SubjectTokenRefused: the new token would say too much of where it comes from.
            IssuanceHeld: see `TokenIssuer.check`.
        """
        check_size(grant)
        self._issuer.check(grant)

    async def hand_out(
        self,
        grant: AccessGrant,
        presented: Presented,
        ask: Ask,
        *,
        family_end_s: int | None = None,
        issued_token_type: str = "",
    ) -> TokenResponse:
        """The answer, with a refresh token if one is asked for, whose family ends at `family_end_s` at the latest.

        What is granted has passed `check`. That the token was presented stands in the audit log before.

        Raises:
            IssuanceHeld, AuditUnavailable, StoreUnavailable, KeyRefused, DirectoryRefused: nothing is issued.
        """
        details = {"issuer": presented.principal.issuer, "jti": presented.principal.token_id}
        if grant.actors:
            details["actor"] = grant.actors[0].subject
        self._recorder.record("token.presented", actor=grant.client_id, subject=grant.subject, details=details)
        refresh_token = ""
        if ask.offline:
            grant = in_family(grant, "")
            begun = await self._families.begin(_terms(grant, presented, ask.request.client, family_end_s))
            family_id = begun.family.family_id
            grant = replace(grant, family=family_id, limits=of_family(grant.limits, self.issuer, family_id))
            refresh_token = begun.token.reveal()
        issued = await self._issuer.issue(grant, actor=grant.client_id)
        return answer_with(
            issued,
            grant,
            self._clock.now_s(),
            refresh_token=refresh_token,
            issued_token_type=issued_token_type,
            details=ask.details,
        )


def _terms(grant: AccessGrant, presented: Presented, client: ClientRecord, ends_at_s: int | None) -> FamilyTerms:
    """What a family is granted that begins with this token.

    It is bound as the token is if the client proves nothing else (RFC 9449 s5), or if what it comes of was bound.
    """
    bound = client.authentication == "none" or presented.principal.confirmation is not None
    return FamilyTerms(
        client_id=grant.client_id,
        subject=grant.subject,
        scopes=grant.scopes,
        audiences=grant.audiences,
        models=grant.models,
        roles=grant.roles,
        tenant=grant.tenant,
        ancestors=grant.ancestors,
        origins=grant.origins,
        actors=grant.actors,
        may_act=grant.may_act,
        ends_at_s=ends_at_s,
        voucher=presented.voucher,
        confirmation=grant.confirmation if bound else None,
        limits=grant.limits,
    )
