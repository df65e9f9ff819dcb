"""The token service with the grants of presented tokens: our keys and another issuer's, accounts, requests."""

import asyncio
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from jotgate.core.accounts import Account, ClientRecord, PrincipalRecord
from jotgate.core.claims import AccessGrant, Issued
from jotgate.core.grants import ACCESS_TOKEN_URN, TokenResponse
from jotgate.core.issuers import Issuer
from jotgate.core.oauth_form import FORM_TYPE, read_form
from jotgate.core.personal_tokens import PersonalOrder
from jotgate.core.principals import Principal
from jotgate.core.revocations import personal_names
from jotgate.core.senders import Sender
from jotgate.gateway.world import build_verifier
from jotgate.jose import jwt
from jotgate.jose.keys import KeySet
from jotgate.ports import StoreAccess
from jotgate.services.grants.jwt_bearer import JwtBearer
from jotgate.services.grants.refresh_token import RefreshToken
from jotgate.services.grants.token_exchange import TokenExchange
from jotgate.services.handout import Handout
from jotgate.services.key_seeking import SeekingVerifier
from jotgate.services.own_tokens import OwnTokens
from jotgate.services.personal_desk import PersonalDesk
from jotgate.services.personal_lookup import find_personal
from jotgate.services.presented_tokens import PresentedTokens
from jotgate.services.revocation import PAGE, Revoker
from jotgate.services.token_service import TokenService
from jotgate.store_ports import Store
from jotgate.testing.issuer import TestIssuer
from tests.callers import NAME
from tests.token_stage import Chance, TokenStage
from tests.tokens import key

CI: Final = "https://ci.example"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JOB: Final = "repo:acme/widgets:ref:refs/heads/main"
"""Whom the tokens of the other issuer speak for: `ci/…` here."""


class TradingFloor(TokenStage):
    """A token service that trusts the issuer `ci` beside itself, whatever `trusts` says later.

    There is a public client `app` with every grant, and the principals `alice` and `ci/JOB`, all of them for `ai`.
    """

    def __init__(self, store: Store | None = None, access: StoreAccess | None = None) -> None:
        super().__init__(store, key())
        self.ci = TestIssuer(key("Ed25519"), CI, NAME, self.clock.now_s())
        self.trusts(self.terms())
        self.revoker = Revoker(self.access, self.recorder, self.clock, self.look)
        way = access or self.access
        presented = self.presented
        handout = Handout(issuer=self.issuer, families=self.families, recorder=self.recorder, clock=self.clock)
        self.grants |= {
            "refresh_token": RefreshToken(self.families, self.issuer, way, self.clock),
            "token_exchange": TokenExchange(presented, way, handout),
            "jwt_bearer": JwtBearer(presented, way, handout),
        }
        self.service = TokenService(self.clients, self.grants, self.clock, self.binder)
        self.sender = Sender("192.0.2.1")
        self.put(ClientRecord(name="app", authentication="none", grants=tuple(self.grants), scopes=("ai",)))
        self.put(PrincipalRecord(name="alice", scopes=("ai",)))
        self.put(PrincipalRecord(name=f"ci/{JOB}", scopes=("ai",)))

    @property
    def presented(self) -> PresentedTokens:
        """What reads the tokens that are presented."""
        own = OwnTokens(lambda: self.verifier, self.clock)
        return PresentedTokens(self._verify, lambda: self.verifier.federation, own, NAME)

    # Who is known and trusted

    def trusts(self, *others: Issuer) -> None:
        """Trust these beside itself, and nobody else."""
        self.verifier = build_verifier((self.own, *others), 1_000, revoked=self.revoked)

    def terms(self, **changes: Any) -> Issuer:
        """What is demanded of the tokens of `ci`, changed."""
        demanded = Issuer(
            name="ci",
            issuer=CI,
            audiences=(NAME,),
            algorithms=("Ed25519",),
            types=("JWT", "at+jwt"),
            jwks=KeySet([self.ci.key.verification_key]).to_jwks(),
            required=("aud", "iss", "sub"),
        )
        return replace(demanded, **changes)

    def change(self, kind: type[Account], name: str, **changes: Any) -> None:
        """Change an account."""
        found = self.store.account(kind, name)
        assert found is not None
        self.put(replace(found, **changes))

    def drop(self, kind: type[Account], name: str) -> None:
        """Drop an account."""
        found = self.store.account(kind, name)
        assert found is not None
        assert self.store.drop_account(kind, name, found.version)

    # Tokens to present

    def made(self, subject: str = "alice", **changes: Any) -> Issued:
        """A token of ours, as the operator's command makes it."""
        values = {"client_id": "jotgate-cli", "scopes": ("ai",), "audiences": (NAME,), "ttl_s": 3_600, **changes}
        return asyncio.run(self.issuer.issue(AccessGrant(subject=subject, **values), actor="jotgate-cli"))

    def job(self, *, typ: str = "JWT", **claims: Any) -> str:
        """A token of the other issuer: who a job is, and nothing of scopes. A claim of None is left out."""
        members = self.ci.claims(**{"sub": JOB, "scope": None, "client_id": None, **claims})
        stated = {name: value for name, value in members.items() if value is not None}
        return self.ci.seal(self.ci.header(typ=typ), stated).decode()

    def personal(self, action: Literal["create", "roll", "revoke"], **values: Any) -> str:
        """Do something about the personal token `editor` of alice; its text when it is created or rolled."""
        desk = PersonalDesk(self.store, NAME, Chance(), self.clock.now_s())
        answer = desk.carry_out(PersonalOrder(action=action, subject="alice", name="editor", **values)).answer
        asyncio.run(self.look())
        return answer.secret

    # What becomes of them

    def revoke(self, principal: Principal) -> None:
        """Revoke a token."""
        asyncio.run(self.revoker.revoke_token(principal.issuer, principal.token_id, None, reason="test", actor="test"))

    async def look(self) -> None:
        """Come to know what was revoked, as every process does."""
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, PAGE))

    def principal(self, token: str) -> Principal:
        """Whom a gateway takes a token to speak for. Raises as a verifier does."""
        return self.verifier.verify(token.encode(), self.clock.now_s())

    def grant(self, grant_type: str, client: str = "app", /, **form: Any) -> TokenResponse:
        """Ask for tokens; a parameter that is None is left out."""
        fields = {"grant_type": grant_type, "client_id": client, **form}
        body = urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)
        return asyncio.run(self.service.answer(read_form(body.encode(), FORM_TYPE), self.sender))

    def trade(self, token: str, client: str = "app", /, **form: Any) -> TokenResponse:
        """Trade a token (RFC 8693)."""
        fields = {"subject_token": token, "subject_token_type": ACCESS_TOKEN_URN, **form}
        return self.grant(EXCHANGE, client, **fields)

    def present(self, assertion: str, client: str = "app", /, **form: Any) -> TokenResponse:
        """Present an assertion (RFC 7523 s2.1)."""
        return self.grant(JWT_BEARER, client, assertion=assertion, **form)

    def encoded(self, answer: TokenResponse) -> bytes:
        """An answer as it goes out."""
        return msgspec.json.encode(answer)

    @property
    def issued(self) -> int:
        """How many tokens were issued so far."""
        return len(self.log.named("token.issued"))

    async def _verify(self, token: bytes) -> Principal:
        if token.startswith(b"jot_p_"):
            found = find_personal(self.store, token, NAME, self.clock.now_s())
            assert self.revoked.spares(personal_names(found)), "what is revoked is not there any more"
            return found
        return await SeekingVerifier(lambda: self.verifier, self.wanted, self.clock).verify(token)


def claims_of(answer: TokenResponse) -> dict[str, Any]:
    """What a token that was handed out says."""
    return jwt.peek_unverified(answer.access_token.encode())[1]
