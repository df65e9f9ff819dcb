"""The refreshes of the MCP daemon's face over HTTP, without a network, at the time of a clock that stands still."""

from collections.abc import Mapping
from typing import Any, Final

import jwt as pyjwt
from httpx2 import Response
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jotgate.control.surfaces.mcp_daemon import REFRESH_PATH, mcp_daemon_routes
from jotgate.core.families import Family
from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.issuers import Issuer, SharedSecret
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.mcp_daemon_tokens import renewed_form, renewed_here, secret_of
from jotgate.core.opaque import opaque_digest
from jotgate.core.principals import Principal
from jotgate.core.values import Secret
from jotgate.errors import TokenError, UnknownOperation
from jotgate.jose.keys import hmac_key
from jotgate.keystores.local import LocalSigner
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families, Revocations
from jotgate.services.federation import TrustedIssuer
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.renewals import RenewalMeans, Renewals, voucher_of
from jotgate.services.revocation import PAGE, Revoker
from jotgate.services.signing import NamedSigners
from jotgate.services.verifier import TokenCache, Verifier
from jotgate.store_ports import Store
from tests.callers import NAME
from tests.daemons import SECRET, signed
from tests.token_stage import Chance, TokenStage

DAY_S: Final = 86_400
_PROFILE: Final = PROFILES[MCP_DAEMON]


def daemon_issuer(*secrets: str) -> Issuer:
    """The issuer of the face, with these secrets."""
    assert _PROFILE.issuer
    assert _PROFILE.audiences
    found = Issuer(
        name=MCP_DAEMON,
        issuer=_PROFILE.issuer,
        audiences=_PROFILE.audiences,
        algorithms=_PROFILE.secret,
        types=_PROFILE.types,
        jwks=None,
        secrets=tuple(SharedSecret(Secret(one), "HS256") for one in secrets or (SECRET,)),
        required=_PROFILE.required,
        leeway_s=_PROFILE.leeway_s,
        lifetime_max_s=_PROFILE.lifetime_max_s,
        default_scopes=_PROFILE.default_scopes,
        mapping=_PROFILE.mapping,
        quota=_PROFILE.quota,
    )
    return renewed_here(found, NAME)


class RenewalStage(TokenStage):
    """Mutable: `trust`, the issuer that the face has. Each has a `turn` of its own, as machines of one store do."""

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store)
        self.trust = TrustedIssuer(daemon_issuer())
        families = Families(
            self.access,
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            rules=lambda: self.refresh_rules,
            revocations=Revocations(self._fault, self.look),
        )
        means = RenewalMeans(
            families=families,
            fault=self._fault,
            revoker=Revoker(self.access, self.recorder, self.clock, self.look),
            revoked=self.revoked,
            access=self.access,
            clock=self.clock,
            entropy=Chance(),
            refusals=ClientRefusals(self.recorder, self.clock),
            trusted=lambda: self.trust,
            tokens=self._tokens,
            rules=lambda: self.refresh_rules,
        )
        routes = mcp_daemon_routes(Renewals(means), self._check_fresh, self.clock)
        self.face = TestClient(Starlette(routes=list(routes)), base_url="http://face.example")

    def _tokens(self, kid: str) -> TokenIssuer:
        found = secret_of(self.trust.content, kid, self.clock.now_s())
        key = hmac_key(found.secret.reveal().encode(), found.algorithm, kid)
        return TokenIssuer(
            issuer=NAME,
            signers=NamedSigners(lambda: key, self.signers, self.access, LocalSigner),
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            issuable=Issuable(self.revoked, lambda: 0),
        ).in_form(renewed_form(self.trust.content.issuer))

    def _fault(self, family: Family) -> str:
        try:
            secret_of(self.trust.content, family.voucher.removeprefix(voucher_of("")), self.clock.now_s())
        except UnknownOperation:
            return "its secret is gone"
        return self.roots.fault(replace(family, voucher=""))

    async def look(self) -> None:
        """What control does four times a second."""
        self.catch_up()

    def catch_up(self) -> None:
        now_s = self.clock.now_s()
        self.revoked.take_due(now_s)
        self.revoked.take_rows(self.store.revocations_after(self.revoked.cursor, PAGE), now_s)

    def signed(self, secret: str = SECRET, /, **claims: object) -> str:
        """A token of whoever has the secret, made now."""
        now_s = int(self.clock.now_s())
        return signed(secret, **{"iat": now_s, "exp": now_s + DAY_S, **claims})

    def post_refresh(self, token: str = "", refresh_token: str = "") -> Response:
        headers = {"x-jotgate-peer": "192.0.2.7", **({"authorization": f"Bearer {token}"} if token else {})}
        body = {"refresh_token": refresh_token} if refresh_token else None
        return self.face.post(REFRESH_PATH, json=body, headers=headers)

    def refresh(self, token: str = "", refresh_token: str = "") -> Any:
        answer = self.post_refresh(token, refresh_token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, token: str = "", refresh_token: str = "") -> tuple[int, str]:
        answer = self.post_refresh(token, refresh_token)
        return answer.status_code, answer.json()["error"]["message"]

    def verify(self, token: str) -> Principal:
        """Whom a token speaks for, as a worker has it. Raises TokenError."""
        self.catch_up()
        federation = self.verifier.federation.__class__([self.trust])
        return Verifier(federation, TokenCache(10), self.revoked).verify(token.encode(), self.clock.now_s())

    def counts(self, token: str) -> bool:
        try:
            return bool(self.verify(token))
        except TokenError:
            return False

    def family(self, refresh_token: str) -> Family:
        found = self.store.find_family(opaque_digest(refresh_token))
        assert found is not None
        return found.family


def claims_of(token: str) -> Mapping[str, Any]:
    """What a token says, whoever signed it."""
    found: Mapping[str, Any] = pyjwt.decode(token, options={"verify_signature": False})
    return found
