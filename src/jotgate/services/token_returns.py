"""Answers clients that give tokens back (RFC 7009)."""

from jotgate.core.oauth_form import Form
from jotgate.core.opaque import Mark, is_opaque
from jotgate.core.senders import Sender
from jotgate.errors import GrantRefused, RevocationUnsupported, TokenError
from jotgate.services.accounts import KnownClient
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.families import Families
from jotgate.services.own_tokens import OwnTokens
from jotgate.services.revocation import Revoker

REASON = "returned"
"""What the audit log and the store say of why a token was revoked."""

_FOREIGN = "the token was issued to another client"


class TokenReturns:
    """The revocation endpoint. Immutable."""

    def __init__(
        self, *, clients: ClientAuthenticator, tokens: OwnTokens, families: Families, revoker: Revoker
    ) -> None:
        self._clients = clients
        self._tokens = tokens
        self._families = families
        self._revoker = revoker

    async def answer(self, form: Form, sender: Sender) -> None:
        """Revoke the token that a request gives back; when this returns, nothing accepts it any more.

        1. The client proves who it is; one that has nothing to prove it with says so (s2.1).
        2. The token is looked for under every type, whatever `token_type_hint` says: its form tells what it is. One
           of a type that no client has is refused as such (s2.2.1), so that nobody believes it revoked.
        3. One that is unknown, has ended or was revoked before is as good as revoked (s2.2).
        4. One of another client stays as it is, and its bearer is told so (s2.1). It has the token anyway, so this
           tells nobody anything, and a client that mixes up its credentials does not believe the token revoked.
        5. A refresh token ends its family with all access tokens; an access token ends alone with what was narrowed
           from it.

        Raises:
            OAuthRefused: it is refused.
            Unavailable: the token may still count; the client is to try again (s2.2.1).
        """
        client = await self._clients.authenticate(form, sender)
        token = form.require("token")
        if is_opaque(Mark.PERSONAL, token):
            raise RevocationUnsupported("a personal token is its owner's", hint="Revoke it with: jotgate pat revoke")
        if is_opaque(Mark.REFRESH, token):
            await self._end_family(client, token)
        else:
            await self._revoke(client, token)

    async def _end_family(self, client: KnownClient, token: str) -> None:
        found = await self._families.find(token)
        if found is None:
            return
        if found.family.client_id != client.record.name:
            raise GrantRefused(_FOREIGN)
        await self._revoker.end_family(found.family, reason=REASON, actor=client.record.name)

    async def _revoke(self, client: KnownClient, token: str) -> None:
        try:
            found = self._tokens.verify(token)
        except TokenError:
            return
        principal = found.principal
        if principal.client_id != client.record.name:
            raise GrantRefused(_FOREIGN)
        await self._revoker.revoke_token(
            found.revoked_as,
            principal.token_id,
            int(principal.expires_at_s),
            reason=REASON,
            actor=client.record.name,
            subject=principal.subject,
        )
