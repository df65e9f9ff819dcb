"""A client with a refresh token, at a token service over a store: it refreshes, and what it is given is looked at."""

import asyncio
from typing import Any, Final

from httpx2 import Response
from msgspec.structs import replace

from jotgate.core.accounts import Account
from jotgate.core.families import Family
from jotgate.core.opaque import opaque_digest
from jotgate.core.refresh import RefreshRules
from jotgate.services.families import Begun, Families, FamilyTerms, Revocations
from jotgate.services.grants.refresh_token import RefreshToken
from jotgate.store_ports import Store
from tests.callers import NAME
from tests.token_stage import FILES, Chance, TokenStage, basic, client, principal

SCOPES: Final = ("chat.completions", "models")


class RefreshStage(TokenStage):
    """The client `app` may refresh and has the resources NAME and FILES; it speaks for `alice`, as does `other`.

    Mutable: `rules`, by which families live.
    """

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store)
        self.rules = RefreshRules()
        self.families = Families(
            self.access,
            clock=self.clock,
            entropy=Chance(),
            recorder=self.recorder,
            rules=lambda: self.rules,
            revocations=Revocations(self.roots.fault, self._look),
        )
        self.grants["refresh_token"] = RefreshToken(self.families, self.issuer, self.access, self.clock)
        for name in ("app", "other"):
            self.put(client(name, grants=("refresh_token",), audiences=(NAME, FILES)))
        self.put(principal(scopes=("ai",)))

    def begin(self, **terms: Any) -> Begun:
        """A new family of `app` for `alice`."""
        usual: dict[str, Any] = {"client_id": "app", "subject": "alice", "scopes": SCOPES, "audiences": (NAME,)}
        return asyncio.run(self.families.begin(FamilyTerms(**{**usual, **terms})))

    def first(self, **terms: Any) -> str:
        """The first refresh token of a new family."""
        return self.begin(**terms).token.reveal()

    def present(self, token: str, name: str = "app", **parameters: str) -> Response:
        """What a client gets for a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token, **parameters}
        return self.post("/oauth/token", form, authorization=basic(name))

    def refresh(self, token: str, **parameters: str) -> Any:
        """What `app` gets for a refresh token that is taken."""
        answer = self.present(token, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def successor(self, token: str) -> str:
        """The refresh token that `app` gets for one that is taken."""
        return str(self.refresh(token)["refresh_token"])

    def refusal(self, token: str, name: str = "app", **parameters: str) -> str:
        """The word with which a refresh token is refused, with what the answer must not have and must."""
        answer = self.present(token, name, **parameters)
        assert answer.status_code in {400, 401}, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "jot_r_" not in answer.text
        assert "access_token" not in answer.json()
        return str(answer.json()["error"])

    def change(self, kind: type[Account], name: str, **members: Any) -> None:
        """Change what is kept of an account."""
        found = self.store.account(kind, name)
        assert found is not None
        self.put(replace(found, **members))

    def family(self, token: str) -> Family:
        """The family of a refresh token, as it is kept."""
        found = self.store.find_family(opaque_digest(token))
        assert found is not None
        return found.family

    def told(self) -> list[str]:
        """What the audit log has of families."""
        return [one.event.removeprefix("family.") for one in self.log.events if one.event.startswith("family.")]
