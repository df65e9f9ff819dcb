"""The token service over a store, whose time stands still: our keys and those of other issuers, accounts, requests."""

import asyncio
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from jotgate.assembly.system import SystemEntropy
from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.claims import AccessGrant, Issued
from jotgate.core.durable import Issuance
from jotgate.core.grants import ACCESS_TOKEN_URN, TokenResponse
from jotgate.core.issuers import Issuer
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.oauth_form import FORM_TYPE, read_form
from jotgate.core.personal_tokens import PersonalOrder
from jotgate.core.principals import Principal
from jotgate.core.refresh import RefreshRules
from jotgate.core.revocations import names_of
from jotgate.errors import JotgateError
from jotgate.gateway.world import build_verifier
from jotgate.jose import jwt
from jotgate.jose.keys import KeySet
from jotgate.ports import Signer
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families
from jotgate.services.grants.client_credentials import ClientCredentials
from jotgate.services.grants.jwt_bearer import JwtBearer
from jotgate.services.grants.refresh_token import RefreshToken
from jotgate.services.grants.token_exchange import TokenExchange
from jotgate.services.handout import Handout
from jotgate.services.issuer import TokenIssuer
from jotgate.services.key_seeking import SeekingVerifier
from jotgate.services.personal_desk import PersonalDesk
from jotgate.services.personal_lookup import find_personal
from jotgate.services.presented_tokens import PresentedTokens
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import RevokedSet, Revoker
from jotgate.services.token_service import TokenService
from jotgate.services.verifier import Verifier
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, issuer_of
from tests.signers import OneSigner
from tests.tokens import key

CI: Final = "https://ci.example"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JOB: Final = "repo:acme/widgets:ref:refs/heads/main"
"""Whom the tokens of the other issuer speak for: `ci/…` here."""


class EventLog:
    """The audit log as a list of events (ports.AuditLog)."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def append(self, lines: Any) -> None:
        self.events += [msgspec.json.decode(line) for line in lines]

    def flush(self) -> None:
        """It is a list."""

    def sync(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class KeepingSigner(OneSigner):
    """Signs with one key, and keeps what was issued in the store."""

    def __init__(self, store: Store) -> None:
        super().__init__(key())
        self._store = store

    async def signer(self, row: Issuance) -> Signer:
        signer = await super().signer(row)
        self._store.add_issuances(self.rows[-1:])
        return signer


class TradingFloor:
    """All of the token service but HTTP. Mutable: the clock, who is trusted, what was revoked, the store.

    It trusts `ci` beside itself. There is a public client `app` with every grant, and the principals `alice` and
    `ci/JOB`, all of them for `ai`.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = ManualClock()
        self.log = EventLog()
        self.revoked = RevokedSet()
        self.signers = KeepingSigner(self.store)
        self.ours = TestIssuer(key(), NAME, NAME, self.clock.now_s())
        self.ci = TestIssuer(key("Ed25519"), CI, NAME, self.clock.now_s())
        self.trusted: list[Issuer] = [issuer_of(self.ours), self.trust()]
        recorder = Recorder(self.log, self.clock)
        access = DirectAccess(self.store)
        self.tokens = TokenIssuer(
            issuer=NAME, signers=self.signers, clock=self.clock, entropy=SystemEntropy(), recorder=recorder
        )
        families = Families(access, clock=self.clock, entropy=SystemEntropy(), recorder=recorder, rules=RefreshRules)
        self.revoker = Revoker(access, recorder, self.clock, self.look)
        presented = PresentedTokens(self._verify, lambda: self._verifier().federation, NAME)
        handout = Handout(issuer=self.tokens, families=families, recorder=recorder, clock=self.clock)
        clients = ClientAuthenticator(
            access=access, issuer=NAME, clock=self.clock, refusals=ClientRefusals(recorder, self.clock)
        )
        self.service = TokenService(
            clients,
            {
                "client_credentials": ClientCredentials(self.tokens, self.clock),
                "refresh_token": RefreshToken(families, self.tokens, access, self.clock),
                "token_exchange": TokenExchange(presented, access, handout),
                "jwt_bearer": JwtBearer(presented, access, handout),
            },
        )
        self.put(
            ClientRecord(
                name="app",
                authentication="none",
                grants=("client_credentials", "refresh_token", "token_exchange", "jwt_bearer"),
                scopes=("ai",),
            ),
            PrincipalRecord(name="alice", scopes=("ai",)),
            PrincipalRecord(name=f"ci/{JOB}", scopes=("ai",)),
        )

    def trust(self, **changes: Any) -> Issuer:
        """What is demanded of the other issuer's tokens, changed."""
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

    def put(self, *records: ClientRecord | PrincipalRecord | TenantRecord) -> None:
        """Keep accounts."""
        for record in records:
            assert self.store.put_account(record) is not None

    def change(self, kind: type[Any], name: str, **changes: Any) -> None:
        """Change an account."""
        found = self.store.account(kind, name)
        assert found is not None
        assert self.store.put_account(replace(found, **changes)) is not None

    def drop(self, kind: type[Any], name: str) -> None:
        """Drop an account."""
        found = self.store.account(kind, name)
        assert found is not None
        assert self.store.drop_account(kind, name, found.version)

    # Tokens to present

    def own(self, subject: str = "alice", **changes: Any) -> Issued:
        """A token of ours, as the operator's command makes it."""
        values = {"client_id": "jotgate-cli", "scopes": ("ai",), "audiences": (NAME,), "ttl_s": 3_600, **changes}
        grant = AccessGrant(subject=subject, **values)
        return asyncio.run(self.tokens.issue(grant, actor="jotgate-cli"))

    def job(self, *, typ: str = "JWT", **claims: Any) -> str:
        """A token of the other issuer: who a job is, and nothing of scopes."""
        members = {"sub": JOB, "scope": None, "client_id": None, **claims}
        made = {name: value for name, value in self.ci.claims(**members).items() if value is not None}
        return self.ci.seal(self.ci.header(typ=typ), made).decode()

    def revoke(self, principal: Principal) -> None:
        """Revoke a token."""
        asyncio.run(self.revoker.revoke_token(principal.issuer, principal.token_id, None, reason="test", actor="test"))

    async def look(self) -> None:
        """Come to know what was revoked, as every process does."""
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, 100))

    def principal(self, token: str) -> Principal:
        """Whom a gateway takes a token to speak for. Raises as a verifier does."""
        return self._verifier().verify(token.encode(), self.clock.now_s())

    # Requests

    def ask(self, grant_type: str, client: str = "app", /, **form: Any) -> TokenResponse:
        """Ask for tokens."""
        fields = {"grant_type": grant_type, "client_id": client, **form}
        body = urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)
        return asyncio.run(self.service.answer(read_form(body.encode(), FORM_TYPE), (), "192.0.2.1"))

    def trade(self, token: str, client: str = "app", /, **form: Any) -> TokenResponse:
        """Trade a token (RFC 8693); a parameter that is None is left out."""
        fields = {"subject_token": token, "subject_token_type": ACCESS_TOKEN_URN, **form}
        return self.ask(EXCHANGE, client, **fields)

    def present(self, assertion: str, client: str = "app", /, **form: Any) -> TokenResponse:
        """Present an assertion (RFC 7523 s2.1)."""
        return self.ask(JWT_BEARER, client, assertion=assertion, **form)

    def personal(self, action: Literal["create", "revoke"], **values: Any) -> str:
        """Do something about the personal token `editor` of alice; its text when it is created."""
        desk = PersonalDesk(self.store, NAME, SystemEntropy(), self.clock.now_s())
        order = PersonalOrder(action=action, subject="alice", name="editor", **values)
        answer = desk.carry_out(order).answer
        asyncio.run(self.look())
        return answer.secret

    async def _verify(self, token: bytes) -> Principal:
        if token.startswith(b"jot_p_"):
            found = find_personal(self.store, token, NAME, self.clock.now_s())
            assert self.revoked.spares(names_of(found)), "what is revoked is not there any more"
            return found
        return await SeekingVerifier(self._verifier, self._wanted, self.clock).verify(token)

    def _verifier(self) -> Verifier:
        return build_verifier(tuple(self.trusted), 100, revoked=self.revoked)

    async def _wanted(self, issuer: str) -> KeysOutcome:
        raise AssertionError(f"{issuer} is remote")


def claims_of(answer: TokenResponse) -> dict[str, Any]:
    """What a token that was handed out says."""
    return jwt.peek_unverified(answer.access_token.encode())[1]


def word_of(error: JotgateError) -> str:
    """The word of RFC 6749 for a refusal; its status for a failure."""
    return str(getattr(error, "error", error.status))
