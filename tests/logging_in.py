"""A backend that logs people in at the API gateway's face, over HTTP without a network, and what it is answered."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from httpx2 import Response
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jotgate.control.surfaces.api_gateway import LOGIN_PATH, REFRESH_PATH, api_gateway_routes
from jotgate.core.api_gateway import API_GATEWAY
from jotgate.core.api_gateway_tokens import AUDIENCE, LOGIN_TOKEN
from jotgate.core.families import Family
from jotgate.core.opaque import opaque_digest
from jotgate.core.refresh import RefreshRules
from jotgate.errors import Unavailable
from jotgate.jose.keys import SigningKey, generate
from jotgate.services.families import Families, Revocations
from jotgate.services.grants.refresh_token import RefreshToken
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.logins import LoginRules, Logins
from jotgate.store_ports import Store
from tests.callers import NAME
from tests.token_stage import Chance, StoreSigner, TokenStage, basic, client

JOHN: Final = {
    "sub": "user_123",
    "name": "John Doe",
    "email": "john@example.com",
    "roles": ["user", "api_access"],
}
"""The user that document 003 makes a token for."""


@cache
def rsa_key() -> SigningKey:
    """One RSA key for the whole test run: to make one takes long."""
    return generate("RS256")


class LoginStage(TokenStage):
    """The client `backend` may log people in. Mutable: `rules`, by which families live; `fault`, if nothing is signed.

    The client `app` may refresh at the token service, and may log nobody in.
    """

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store, rsa_key())
        self.rules = RefreshRules()
        self.fault: Unavailable | None = None
        self.families = Families(
            self.access,
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            rules=lambda: self.rules,
            revocations=Revocations(self.roots.fault, self._look),
        )
        self.grants["refresh_token"] = RefreshToken(self.families, self.issuer, self.access, self.clock)
        tokens = TokenIssuer(
            issuer=NAME,
            signers=StoreSigner(self.keys.key, self.store),
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            issuable=Issuable(self.revoked, lambda: self.own.leeway_s, self.store.knows_zone),
        ).in_form(LOGIN_TOKEN)
        logins = Logins(
            LoginRules(API_GATEWAY, AUDIENCE, ("ai",)),
            clients=self.clients,
            families=self.families,
            issuer=tokens,
            access=self.access,
            clock=self.clock,
        )
        self.put(client("backend", grants=("login",), scopes=()))
        self.put(client("app", grants=("refresh_token", "client_credentials")))
        application = Starlette(routes=list(api_gateway_routes(logins, self._check)))
        self.face = TestClient(application, base_url="http://face.example")

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    def ask_login(self, user: Mapping[str, object] = JOHN, name: str = "backend", **fields: str) -> Response:
        """Post somebody who has logged in, as a backend does."""
        headers = {"authorization": basic(name), "x-jotgate-peer": "192.0.2.7", **fields}
        return self.face.post(LOGIN_PATH, json=dict(user), headers=headers)

    def log_in(self, user: Mapping[str, object] = JOHN) -> Any:
        """The first pair."""
        answer = self.ask_login(user)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask_refresh(self, token: object) -> Response:
        """Post a refresh token, as anybody does who has it."""
        return self.face.post(REFRESH_PATH, json={"refreshToken": token}, headers={"x-jotgate-peer": "192.0.2.9"})

    def refresh(self, token: str) -> Any:
        """The next pair."""
        answer = self.ask_refresh(token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def family(self, token: str) -> Family:
        """The family of a refresh token, as it is kept."""
        found = self.store.find_family(opaque_digest(token))
        assert found is not None
        return found.family

    def change_backend(self, **members: Any) -> None:
        """Change what is kept of the backend."""
        self.put(replace(client("backend", grants=("login",), scopes=()), **members))

    def told(self, event: str) -> list[Mapping[str, str | int]]:
        """The details of the audit log's events of one name."""
        return [one.details for one in self.log.named(event)]


def header_of(token: str) -> dict[str, Any]:
    """What the header of a token says."""
    part = token.partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
