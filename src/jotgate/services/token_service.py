"""Answers requests for tokens (RFC 6749 s3.2): which client asks, for which grant, and whether it may use that."""

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from jotgate.core.accounts import GrantName
from jotgate.core.grants import GRANT_TYPES, GrantRequest, TokenResponse
from jotgate.core.not_offered import check_offered
from jotgate.core.oauth_form import Form
from jotgate.core.senders import Sender
from jotgate.errors import ClientNotAllowed, ClientRefused, DpopNonceWanted, GrantUnsupported, OAuthRefused
from jotgate.ports import Clock
from jotgate.services.binding import Binder
from jotgate.services.client_auth import ClientAuthenticator


class Grant(Protocol):
    """One grant: a file in `services/grants`, whose `answer` lists its steps as its RFC does."""

    async def answer(self, request: GrantRequest) -> TokenResponse:
        """The tokens for a request of an authenticated client that may use this grant.

        Raises:
            OAuthRefused: one subclass for each word of RFC 6749 s5.2.
            Unavailable: it cannot be known or recorded now.
        """


class TokenService:
    """The token endpoint. Immutable; `grants` are those that there are."""

    def __init__(
        self, clients: ClientAuthenticator, grants: Mapping[GrantName, Grant], clock: Clock, binder: Binder
    ) -> None:
        self._clients = clients
        self._binder = binder
        self._clock = clock
        self._grants = dict(grants)

    async def answer(self, form: Form, sender: Sender) -> TokenResponse:
        """The tokens for a request. That it was refused stands in the audit log before it is said.

        1. The client proves who it is (RFC 6749 s3.2.1).
        2. The grant is one that there is (s5.2, `unsupported_grant_type`).
        3. The client may use it (`unauthorized_client`).
        4. It proves what the client's tokens must be bound to (RFC 9449 s5, RFC 8705 s3).
        5. It asks for no bound that there is not yet, and the grant is answered.

        Raises:
            OAuthRefused: it is refused.
            Unavailable: it cannot be known or recorded now.
        """
        came_s = self._clock.now_s()  # However long it then takes to find out who asks.
        client_id, name = "", None
        try:
            client = await self._clients.authenticate(form, sender)
            client_id = client.record.name
            name = GRANT_TYPES.get(form.require("grant_type"))
            grant = None if name is None else self._grants.get(name)
            if grant is None:
                raise GrantUnsupported("there is no such grant here")
            if name not in client.record.grants:
                raise ClientNotAllowed("this client may not use this grant")
            check_offered(form)
            request = GrantRequest(client.record, client.rights, form, sender.peer, came_s)
            if sender.proofs or sender.certificate or client.record.binding:
                request = await self._bind(request, sender)
            return await grant.answer(request)
        except (ClientRefused, DpopNonceWanted):
            raise  # The one was recorded where it was found out; the other is a step on the way (RFC 9449 s8).
        except OAuthRefused as refusal:
            self._clients.refusals.note_grant(refusal, sender.peer, client_id=client_id, grant=name or "")
            raise

    async def _bind(self, request: GrantRequest, sender: Sender) -> GrantRequest:
        binding = await self._binder.bind(request.client, sender)
        return replace(request, binding=binding, use_proof=partial(self._binder.use, binding))

    def unread(self, refusal: OAuthRefused, sender: Sender) -> None:
        """Record that a request was refused whose form could not be read. Raises AuditUnavailable."""
        self._clients.refusals.note_grant(refusal, sender.peer)
