"""Logs people in at a face, on the word of an operator's backend, and renews what they got without asking it again."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import ClientRecord, GrantName
from jotgate.core.claims import AccessGrant
from jotgate.core.families import Family
from jotgate.core.logins import Login, read_login
from jotgate.core.oauth_form import Form
from jotgate.core.refresh import Presentation, Repeat, Rotate
from jotgate.core.revocations import refreshed_origins
from jotgate.core.senders import Sender
from jotgate.core.values import Secret
from jotgate.errors import ClientNotAllowed, ClientRefused, GrantRefused, OAuthRefused
from jotgate.ports import Clock, StoreAccess
from jotgate.services.accounts import find_client
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.families import Families, FamilyTerms
from jotgate.services.issuer import TokenIssuer

LOGIN: Final[GrantName] = "login"
"""The grant that a client needs, and what the audit log calls it."""

REFRESH: Final = "login_refresh"
_UNKNOWN: Final = "the refresh token is none that was given here"
_WITHDRAWN: Final = "whoever this was given by may log nobody in any more"


class LoginRules(Struct, frozen=True):
    """What all logins of a face have: its name, the audience of their tokens, and the scopes that these stand for."""

    face: str
    audience: str
    scopes: tuple[str, ...]


class TokenPair(Struct, frozen=True, kw_only=True):
    """What is answered: an access token, a refresh token that is good once, and for how many seconds the former is."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"
    expires_in: int

    def __repr__(self) -> str:
        return f"TokenPair(expires_in={self.expires_in})"


class Logins:
    """The logins of one face. Immutable; `issuer` makes tokens of that face's form."""

    def __init__(
        self,
        rules: LoginRules,
        *,
        clients: ClientAuthenticator,
        families: Families,
        issuer: TokenIssuer,
        access: StoreAccess,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._clients = clients
        self._families = families
        self._issuer = issuer
        self._access = access
        self._clock = clock

    async def log_in(self, members: Mapping[str, object], proof: Form, sender: Sender) -> TokenPair:
        """The first tokens of whoever has logged in at a backend. That it was refused is recorded before it is said.

        1. The backend proves which client it is (RFC 6749 s2.3), by its header or by `proof`, a part of the body.
        2. That client may log people in. It says who they are and which roles they have: whatever else it may do has
           no part in it, as the tokens count at this face alone.
        3. What it says of them is understood, whole.
        4. A refresh-token family begins, and remembers that.
        5. The access token is made.

        Raises:
            OAuthRefused: it is refused.
            Unavailable: it cannot be known or recorded now.
        """
        client_id = ""
        try:
            client = (await self._clients.authenticate(proof, sender)).record
            client_id = client.name
            if LOGIN not in client.grants:
                raise ClientNotAllowed("this client may log nobody in", hint="It needs the grant 'login'")
            asked = read_login(members)
        except ClientRefused:
            raise  # It was recorded where it was found out.
        except OAuthRefused as refusal:
            self._clients.refusals.note_grant(refusal, sender.peer, client_id=client_id, grant=LOGIN)
            raise
        terms = FamilyTerms(
            client_id=client.name,
            subject=asked.subject,
            scopes=(),
            audiences=(self._rules.audience,),
            roles=asked.roles,
            tenant=client.tenant,
            login=Login(face=self._rules.face, name=asked.name, email=asked.email),
        )
        begun = await self._families.begin(terms)
        access = await self._issue(begun.family, client)
        return access.with_refresh(begun.token)

    async def refresh(self, text: str, sender: Sender) -> TokenPair:
        """The next tokens for a refresh token, which whoever has it may use: it is its own proof, and good once.

        1. It was given by this face; one of the token service is a stranger's here, and stays as it is.
        2. The client that logged its owner in is there, enabled, and may do so yet.
        3. It counts, or did so within its grace; one that is reused ends its family (RFC 9700 s4.14.2).
        4. The access token says of its owner what the first one said. If it cannot be made, nothing was used.
        5. The refresh token is replaced by one compare-and-set. A lost answer is given again within the grace.

        Raises:
            GrantRefused: it gets nothing, and is `known` if it was given here; RefreshExpired: it would have, earlier.
            Unavailable: it cannot be known or recorded now.
        """
        came_s = self._clock.now_s()
        client_id = ""
        try:
            found = await self._families.find(text)
            if found is None or found.family.face != self._rules.face:
                raise GrantRefused(_UNKNOWN)
            client_id = found.family.client_id
            client = await self._find_client(client_id)
            presented = Presentation(Secret(text), client_id, came_s, face=self._rules.face)
            decision: Rotate | Repeat = await self._families.present(presented)
            access = await self._issue(decision.family, client)
            successor = await self._families.carry_out(presented, decision)
        except GrantRefused as refusal:
            refusal.known = bool(client_id)
            self._clients.refusals.note_grant(refusal, sender.peer, client_id=client_id, grant=REFRESH)
            raise
        return access.with_refresh(successor)

    async def _find_client(self, client_id: str) -> ClientRecord:
        try:
            found = await self._access.run(lambda store: find_client(store, client_id))
        except ClientRefused:
            raise GrantRefused(_WITHDRAWN) from None
        if LOGIN not in found.record.grants:
            raise GrantRefused(_WITHDRAWN)
        return found.record

    async def _issue(self, family: Family, client: ClientRecord) -> "_Access":
        grant = AccessGrant(
            subject=family.subject,
            client_id=family.client_id,
            scopes=self._rules.scopes,
            audiences=family.audiences,
            ttl_s=client.access_ttl_s,
            tenant=family.tenant,
            roles=family.roles,
            family=family.family_id,
            origins=refreshed_origins(family, self._issuer.issuer),
            not_after_s=family.ends_at_s,
            login=family.login,
        )
        now_s = int(self._clock.now_s())
        issued = await self._issuer.issue(grant, actor=client.name)
        # As it is written in the token, however long the rest takes: a client may tell one hour from a second less.
        return _Access(issued.token, min(client.access_ttl_s, issued.expires_at_s - now_s))


class _Access(Struct, frozen=True):
    """An access token, and for how many seconds it is good."""

    token: str
    lives_s: int

    def with_refresh(self, token: Secret) -> TokenPair:
        """The answer."""
        return TokenPair(access_token=self.token, refresh_token=token.reveal(), expires_in=self.lives_s)

    def __repr__(self) -> str:
        return f"_Access({self.lives_s})"
