"""Says what a token says, to those whom that concerns (RFC 7662)."""

from msgspec import UNSET, Struct, UnsetType

from jotgate.core.accounts import DEFAULT_TENANT, GrantName
from jotgate.core.families import FoundFamily
from jotgate.core.grants import token_type_of
from jotgate.core.lineage import Confirmation, actor_claim
from jotgate.core.oauth_form import Form
from jotgate.core.opaque import Mark, is_opaque
from jotgate.core.principals import Principal
from jotgate.core.scopes import INTROSPECT
from jotgate.core.senders import Sender
from jotgate.errors import ClientRefused, OAuthRefused, TokenError
from jotgate.ports import StoreAccess
from jotgate.services.accounts import KnownClient
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.families import Families
from jotgate.services.logins import LOGIN
from jotgate.services.own_tokens import OwnToken, OwnTokens
from jotgate.services.refresh_yield import Yield, find_family_subject, find_yield
from jotgate.services.standing import stands


class Introspected(Struct, frozen=True, kw_only=True):
    """What is said of a token (RFC 7662 s2.2); of one that does not count, or concerns others, nothing but that."""

    active: bool
    iss: str | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    aud: str | tuple[str, ...] | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    jti: str | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    cnf: dict[str, str] | UnsetType = UNSET
    act: dict[str, object] | UnsetType = UNSET
    may_act: dict[str, object] | UnsetType = UNSET


INACTIVE = Introspected(active=False)


class Introspection:
    """The introspection endpoint. Immutable."""

    def __init__(
        self, *, clients: ClientAuthenticator, tokens: OwnTokens, families: Families, access: StoreAccess, issuer: str
    ) -> None:
        self._clients = clients
        self._tokens = tokens
        self._families = families
        self._access = access
        self._issuer = issuer

    async def answer(self, form: Form, sender: Sender) -> Introspected:
        """What a token says.

        1. The client proves who it is; one that has nothing to prove it with is told nothing (s2.1).
        2. The token is good: ours, unexpired, not revoked (s4).
        3. It concerns the client: it is of its tenant, and its own; or, for a client with the scope `introspect`, for
           a resource of its. A refresh token concerns the client alone that it was given to.
        4. Its client and its subject are there and enabled, as their tenants are. A refresh token would be answered
           with an access token, and what that would say is said of it.

        Raises:
            OAuthRefused: it is refused.
            Unavailable: it cannot be known now, which is not the same as that the token does not count.
        """
        client = await self._clients.authenticate(form, sender)
        if client.record.authentication == "none":
            raise ClientRefused("a client that proves nothing is told nothing about tokens")
        token = form.require("token")
        if is_opaque(Mark.REFRESH, token):
            return await self._look_up(client, token)
        try:
            found = self._tokens.verify(token)
        except TokenError:
            return INACTIVE
        principal = found.principal
        if not self._concerns(client, principal):
            return INACTIVE
        of_face = principal.issuer != self._issuer
        if not await self._access.run(lambda store: stands(store, principal, of_face=of_face)):
            return INACTIVE
        return _tell(found)

    def _concerns(self, client: KnownClient, principal: Principal) -> bool:
        if (principal.tenant or DEFAULT_TENANT) != client.record.tenant:
            return False
        if principal.client_id == client.record.name:
            return True
        resources = client.record.audiences or (self._issuer,)
        return INTROSPECT in client.rights.scopes and not principal.audiences.isdisjoint(resources)

    async def _look_up(self, client: KnownClient, token: str) -> Introspected:
        found = await self._families.find_live(token, client.record.name)
        needed: GrantName = "refresh_token" if found is None or not found.family.face else LOGIN
        if found is None or needed not in client.record.grants:
            return INACTIVE
        family = found.family
        if family.face:
            return _tell_login(found)
        try:
            subject = await self._access.run(lambda store: find_family_subject(store, family, client))
            yielded = find_yield(family, client, subject, self._issuer)
        except OAuthRefused:
            return INACTIVE
        return _tell_family(found, yielded, self._issuer)


def _tell(found: OwnToken) -> Introspected:
    principal, claims = found.principal, found.claims
    return Introspected(
        active=True,
        iss=principal.issuer,
        sub=principal.subject,
        client_id=principal.client_id,
        aud=_audience(claims.aud),
        scope=claims.scope or "",
        models=UNSET if principal.models is None else tuple(sorted(principal.models)),
        token_type=token_type_of(principal.confirmation),
        cnf=UNSET if principal.confirmation is None else _tell_binding(principal.confirmation),
        jti=principal.token_id,
        iat=UNSET if principal.issued_at_s is None else int(principal.issued_at_s),
        exp=int(principal.expires_at_s),
        act=actor_claim(principal.actors) if principal.actors else UNSET,
        may_act=UNSET if principal.may_act is None else actor_claim((principal.may_act,)),
    )


def _tell_family(found: FoundFamily, yielded: Yield, issuer: str) -> Introspected:
    family, models = found.family, yielded.models
    return Introspected(
        active=True,
        iss=issuer,
        sub=family.subject,
        client_id=family.client_id,
        aud=_audience(yielded.target.audiences),
        scope=" ".join(yielded.target.scopes),
        models=UNSET if models is None else models,
        iat=found.token.issued_at_s,
        exp=found.token.expires_at_s,
        act=actor_claim(family.actors) if family.actors else UNSET,
        may_act=UNSET if family.may_act is None else actor_claim((family.may_act,)),
    )


def _tell_login(found: FoundFamily) -> Introspected:
    family = found.family
    return Introspected(
        active=True,
        sub=family.subject,
        client_id=family.client_id,
        aud=_audience(family.audiences),
        iat=found.token.issued_at_s,
        exp=found.token.expires_at_s,
    )


def _tell_binding(confirmation: Confirmation) -> dict[str, str]:
    """As tokens have it (RFC 9449 s6.2, RFC 8705 s3.2)."""
    return {confirmation.method: confirmation.value}


def _audience(audiences: tuple[str, ...]) -> str | tuple[str, ...]:
    """As tokens have it: a single one is a string (RFC 7519 s4.1.3)."""
    return audiences[0] if len(audiences) == 1 else audiences
