"""A token service over a store, asked over HTTP without a network; its clients; what it tells the audit log."""

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import msgspec
from httpx2 import Response
from starlette.testclient import TestClient

from jotgate.control.oauth import OAuthDesk, oauth_routes
from jotgate.control.public import build_public
from jotgate.control.status_lists import status_list_route
from jotgate.core.accounts import Account, ClientRecord, GrantName, PrincipalRecord, SecretDigest
from jotgate.core.audit import EventRecord
from jotgate.core.client_proofs import ASSERTION_TYPE
from jotgate.core.durable import Issuance
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.key_set import publish
from jotgate.core.metadata import documents
from jotgate.core.opaque import opaque_digest
from jotgate.core.proof_times import ProofRules
from jotgate.core.refresh import RefreshRules
from jotgate.core.status_lists import StatusRules
from jotgate.errors import AuditUnavailable, ControlStale
from jotgate.gateway.world import build_verifier
from jotgate.jose import jws
from jotgate.jose.encoding import encode_object
from jotgate.jose.keys import KeySet, SigningKey, generate
from jotgate.ports import Signer
from jotgate.services.binding import Binder
from jotgate.services.client_auth import ClientAuthenticator
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families, Revocations
from jotgate.services.family_roots import FamilyRoots
from jotgate.services.grants.client_credentials import ClientCredentials
from jotgate.services.introspection import Introspection
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.logout import BackChannelLogout, LogoutTerms
from jotgate.services.own_tokens import OwnTokens
from jotgate.services.proof_desk import ProofDesk
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import RefusalLog
from jotgate.services.revocation import PAGE, RevokedSet, Revoker
from jotgate.services.status_lists import StatusLists, StatusPlaces
from jotgate.services.token_returns import TokenReturns
from jotgate.services.token_service import Grant, TokenService
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, NOW_S, issuer_of, make_issuer
from tests.signers import OneSigner

SECRET: Final = "jot_s_" + "A" * 43
CLIENT_KEY: Final = generate("ES256")
FILES: Final = "https://files.example"
_decode_event: Final = msgspec.json.Decoder(EventRecord).decode


class Chance:
    """The kernel's (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


class EventLog:
    """An audit log in memory (ports.AuditLog); `full`: it takes nothing."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False

    @property
    def events(self) -> list[EventRecord]:
        """All events so far."""
        return [_decode_event(line) for line in self.lines]

    def named(self, event: str) -> list[EventRecord]:
        """The events of one name."""
        return [one for one in self.events if one.event == event]

    def append(self, lines: Iterable[bytes]) -> None:
        if self.full:
            raise AuditUnavailable("the disk is full")
        self.lines += lines

    def flush(self) -> None:
        if self.full:
            raise AuditUnavailable("the disk is full")

    def sync(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


class StoreSigner(OneSigner):
    """Signs with one key, and keeps what was issued in a store."""

    def __init__(self, key: SigningKey, store: Store) -> None:
        super().__init__(key)
        self._store = store

    async def signer(self, expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
        signer = await super().signer(expires_at_s, row)
        self._store.add_issuances(self.rows[-1:])
        return signer


class TokenStage:
    """The service `https://gate.example`, at the time of a `ManualClock`. Add to `grants` before anything is asked.

    `stale`: what was revoked is not known. `certificates`: clients can show theirs.
    """

    def __init__(self, store: Store | None = None, key: SigningKey | None = None) -> None:
        self.store: Store = store or MemoryStore()
        self.clock = ManualClock(NOW_S)
        self.log = EventLog()
        self.keys: TestIssuer = make_issuer(key)
        self.access = DirectAccess(self.store)
        self.recorder = Recorder(self.log, self.clock)
        self.revoked = RevokedSet()
        self.own = msgspec.structs.replace(issuer_of(self.keys), algorithms=(self.keys.key.algorithm.name,))
        self.verifier = build_verifier((self.own,), 1_000, revoked=self.revoked)
        self.signers = StoreSigner(self.keys.key, self.store)
        self.status_rules = StatusRules(on=False, ttl_s=60, life_s=120)
        self.issuer = TokenIssuer(
            issuer=NAME,
            signers=self.signers,
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            issuable=Issuable(self.revoked, lambda: self.own.leeway_s, self.store.knows_zone),
        )
        self.issuer = self.issuer.placing(
            StatusPlaces(self.access, issuer=NAME, entropy=Chance(), clock=self.clock, rules=lambda: self.status_rules)
        )
        self.lists = StatusLists(
            self.access,
            self.revoked,
            issuer=NAME,
            sign=self.signers.sign_until,
            clock=self.clock,
            rules=lambda: self.status_rules,
        )
        self.refresh_rules = RefreshRules()
        self.roots = FamilyRoots(self.revoked, lambda: self.verifier.federation, NAME)
        self.families = Families(
            self.access,
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            rules=lambda: self.refresh_rules,
            revocations=Revocations(self.roots.fault, self._look),
        )
        self.clients = ClientAuthenticator(
            access=self.access,
            issuer=NAME,
            clock=self.clock,
            refusals=ClientRefusals(self.recorder, self.clock),
        )
        self.proof_rules = ProofRules()
        self.proofs = ProofDesk(None, clock=self.clock, entropy=Chance(), rules=lambda: self.proof_rules)
        self.binder = Binder(NAME, self.proofs, Chance())
        self.grants: dict[GrantName, Grant] = {"client_credentials": ClientCredentials(self.issuer, self.clock)}
        self.stale = False
        self.certificates = True
        self._browser: TestClient | None = None

    @property
    def desk(self) -> OAuthDesk:
        """Who answers what."""
        own = OwnTokens(lambda: self.verifier, self.clock)
        revoker = Revoker(self.access, self.recorder, self.clock, self._look)
        return OAuthDesk(
            tokens=TokenService(self.clients, self.grants, self.clock, self.binder),
            returns=TokenReturns(clients=self.clients, tokens=own, families=self.families, revoker=revoker),
            introspection=Introspection(
                clients=self.clients, tokens=own, families=self.families, access=self.access, issuer=NAME
            ),
            logout=BackChannelLogout(
                terms=lambda: LogoutTerms(self.verifier.federation, self.refresh_rules),
                wanted=self.wanted,
                access=self.access,
                revoker=revoker,
                clock=self.clock,
                refusals=RefusalLog(self.recorder, self.clock, "logout.refused"),
            ),
            check_fresh=self._check_fresh,
            documents=lambda: documents(NAME, self.grants, certificates=self.certificates),
        )

    @property
    def http(self) -> TestClient:
        """Who asks over HTTP; a fault inside is a 500, as for anybody."""
        if self._browser is None:
            application = build_public(
                lambda: publish(self.own, self.clock.now_s(), 300),
                *oauth_routes(self.desk),
                status_list_route(self.lists, self._check_fresh),
            )
            self._browser = TestClient(application, base_url=NAME, raise_server_exceptions=False)
        return self._browser

    async def wanted(self, issuer: str) -> KeysOutcome:
        """Fetch the keys of a remote issuer, of which there is none."""
        raise AssertionError(f"{issuer} is remote")

    def _check_fresh(self) -> None:
        if self.stale:
            raise ControlStale("what the store has could not be read for too long")

    async def _look(self) -> None:
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, PAGE))

    def put(self, record: Account) -> None:
        """Keep an account in place of that of its name."""
        kept = self.store.account(type(record), record.name)
        version = self.store.put_account(msgspec.structs.replace(record, version=kept.version if kept else 0))
        assert version is not None

    def post(self, path: str, form: Mapping[str, str] | bytes, /, **fields: str) -> Response:
        """Send a form; `_` in a field's name stands for `-`."""
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "x-jotgate-peer": "192.0.2.7"}
        headers |= {name.replace("_", "-"): value for name, value in fields.items()}
        return self.http.post(path, content=body, headers=headers)

    def ask(self, grant: str = "client_credentials", /, **parameters: str) -> Response:
        """Ask for a token as the client `ci`."""
        return self.post("/oauth/token", {"grant_type": grant, **parameters}, authorization=basic("ci"))

    def token(self, **parameters: str) -> str:
        """An access token of the client `ci`."""
        answer = self.ask(**parameters)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def introspect(self, token: str, client: str = "ci") -> Any:
        """What is said of a token to a client."""
        answer = self.post("/oauth/introspect", {"token": token}, authorization=basic(client))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature and audience this service's gateway takes."""
        self.verifier.verify(token.encode(), self.clock.now_s())
        return claims_of(token)


def client(name: str = "ci", **members: Any) -> ClientRecord:
    """A client with the secret `SECRET` that may act for itself, with the scope `ai`."""
    usual: dict[str, Any] = {
        "grants": ("client_credentials",),
        "scopes": ("ai",),
        "secrets": (SecretDigest(opaque_digest(SECRET), int(NOW_S)),),
        "created_at_s": int(NOW_S),
        "updated_at_s": int(NOW_S),
    }
    return ClientRecord(name=name, **{**usual, **members})


def key_client(name: str = "robot", key: SigningKey = CLIENT_KEY, **members: Any) -> ClientRecord:
    """A client that signs assertions."""
    usual: dict[str, Any] = {"jwks": KeySet([key.verification_key]).to_jwks(), "secrets": ()}
    return client(name, authentication="private_key_jwt", **{**usual, **members})


def principal(name: str = "alice", **members: Any) -> PrincipalRecord:
    """A principal with the scope `ai`."""
    return PrincipalRecord(name=name, **{"scopes": ("ai",), **members})


def basic(name: str, secret: str = SECRET) -> str:
    """The field Authorization of HTTP Basic, escaped as RFC 6749 s2.3.1 has it."""
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def assertion(
    name: str = "robot", key: SigningKey = CLIENT_KEY, header: Mapping[str, object] | None = None, **claims: object
) -> str:
    """A good assertion of a client; a claim of None is left out."""
    usual: dict[str, object] = {
        "iss": name,
        "sub": name,
        "aud": NAME,
        "exp": int(NOW_S) + 60,
        "iat": int(NOW_S),
        "jti": os.urandom(8).hex(),
    }
    members = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    head = {"typ": "client-authentication+jwt"} if header is None else header
    return jws.sign(head, encode_object(members, "claims set"), key).decode()


def asserting(text: str) -> dict[str, str]:
    """The parameters that carry an assertion."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, whether it is good or not."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
