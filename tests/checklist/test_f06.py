"""Rows F06 and F19: what was issued before some time counts nowhere, and neither does what came of it, by any way."""

import asyncio
from typing import Any, Final

import pytest
from httpx2 import Response
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.grants import ACCESS_TOKEN_URN
from jotgate.core.holder_orders import HolderAnswer, HolderKind, HolderOrder
from jotgate.core.revocations import Entry
from jotgate.core.status import IssuerState
from jotgate.errors import IssuanceHeld, TokenRevoked
from jotgate.services.account_endings import delete_account
from jotgate.services.administration import Terms, switch_account
from jotgate.services.holder_desk import HolderDesk
from jotgate.services.token_desk import Installation, OwnName
from tests.callers import NAME
from tests.token_stage import Chance, basic, client
from tests.trading import CI, EXCHANGE, JOB, JWT_BEARER, TradingFloor

WORKER: Final = f"ci/{JOB}"
HOLDERS: Final[tuple[tuple[HolderKind, str, str], ...]] = (
    ("client", "web", ""),
    ("subject", WORKER, ""),
    ("subject", JOB, "ci"),
    ("tenant", "default", ""),
    ("key", "theirs", "ci"),
)


class Floor(TradingFloor):
    """With the clients `web`, which gets tokens for jobs, and `deep`, which narrows those."""

    def __init__(self) -> None:
        super().__init__()
        self.put(client("web", grants=tuple(self.grants)))
        self.put(client("deep", grants=("token_exchange",)))
        here = Installation(OwnName(NAME, shared=False), self.revoked, self._others)
        self.holders = HolderDesk(self.access, self.revoker, self.clock, here)
        self.jobs = 0

    @staticmethod
    def _others() -> list[IssuerState]:
        return [IssuerState("ci", CI, "file", True, "jwks", "", [])]

    def ask_as(self, name: str, grant: str, **form: str) -> Response:
        """What a client gets."""
        return self.post("/oauth/token", {"grant_type": grant, **form}, authorization=basic(name))

    def begin(self) -> dict[str, Any]:
        """Tokens of `web` for a job."""
        self.jobs += 1
        now_s = int(self.clock.now_s())
        job = self.job(jti=f"job-{self.jobs}", iat=now_s, exp=now_s + 300)
        answer = self.ask_as("web", JWT_BEARER, assertion=job, scope="ai offline_access")
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "assertion": job}

    def narrow(self, token: str) -> Response:
        """What `deep` gets for one."""
        return self.ask_as("deep", EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN_URN)

    def refresh(self, token: str) -> Response:
        """What `web` gets for a refresh token."""
        return self.ask_as("web", "refresh_token", refresh_token=token)

    def revoke_of(self, kind: HolderKind, name: str, issuer: str = "", before_s: int | None = None) -> HolderAnswer:
        """Revoke what somebody was issued until then, or until now."""
        named = self.ci.key.kid if kind == "key" else name
        order = HolderOrder(kind=kind, name=named, issuer=issuer, confirmed=True, before_s=before_s)
        return asyncio.run(self.holders.revoke(order, CLI_CLIENT_ID))

    def counts(self, token: str) -> bool:
        """Whether the gateway takes an access token."""
        try:
            self.principal(token)
        except TokenRevoked:
            return False
        return True

    def terms_now(self) -> Terms:
        """Who disables and deletes, now."""
        return Terms(NAME, int(self.clock.now_s()), CLI_CLIENT_ID, Chance())

    def check_ended(self, given: dict[str, Any], child: str) -> None:
        """Nobody takes what was given, nor its child, in any way."""
        access, refresh = given["access_token"], given["refresh_token"]
        assert not self.counts(access)
        assert not self.counts(child)
        for token, owner in ((access, "web"), (refresh, "web"), (child, "deep")):
            answer = self.post("/oauth/introspect", {"token": token}, authorization=basic(owner))
            assert answer.json() == {"active": False} or answer.json()["error"] == "invalid_client"
        for answer, word in (
            (self.refresh(refresh), "invalid_grant"),
            (self.narrow(access), "invalid_request"),
            (self.narrow(child), "invalid_request"),
        ):
            assert answer.status_code in {400, 401}, answer.text
            assert answer.json()["error"] in {word, "invalid_client"}
            assert "access_token" not in answer.json()


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.mark.parametrize(("kind", "name", "issuer"), HOLDERS)
def test_F06_what_was_issued_before_counts_nowhere_and_what_is_issued_later_everywhere(
    floor: Floor, kind: HolderKind, name: str, issuer: str
) -> None:
    given = floor.begin()
    child = floor.narrow(given["access_token"]).json()["access_token"]
    assert floor.counts(given["access_token"])
    assert floor.counts(child)
    floor.revoke_of(kind, name, issuer)
    floor.check_ended(given, child)
    floor.clock.advance(6)  # more than the leeway
    floor.check_ended(given, child)
    if kind == "key":
        return  # Of another issuer it is refused for good.
    again = floor.begin()
    assert floor.counts(again["access_token"])
    later = floor.narrow(again["access_token"]).json()["access_token"]
    assert floor.counts(later)
    assert floor.introspect(again["access_token"], "web")["active"] is True
    assert floor.introspect(again["refresh_token"], "web")["active"] is True
    assert floor.refresh(again["refresh_token"]).status_code == 200


@pytest.mark.parametrize(("kind", "name", "issuer"), HOLDERS)
def test_F06_what_was_made_since_of_what_was_issued_before_ends_with_it(
    floor: Floor, kind: HolderKind, name: str, issuer: str
) -> None:
    before_s = int(floor.clock.now_s())
    given = floor.begin()
    floor.clock.advance(7)  # more than the leeway
    child = floor.narrow(given["access_token"]).json()["access_token"]
    floor.clock.advance(7)
    grandchild = floor.narrow(child).json()["access_token"]
    answer = floor.ask_as("web", "refresh_token", refresh_token=given["refresh_token"])
    refreshed = answer.json()["access_token"]
    session = floor.ask_as(
        "web", EXCHANGE, subject_token=child, subject_token_type=ACCESS_TOKEN_URN, scope="ai offline_access"
    ).json()
    later = floor.narrow(floor.begin()["access_token"]).json()["access_token"]
    told = floor.revoke_of(kind, name, issuer, before_s)
    floor.check_ended({**given, "refresh_token": answer.json()["refresh_token"]}, child)
    floor.check_ended(session, grandchild)
    assert not floor.counts(refreshed)
    assert floor.counts(later), "of what was issued since"
    assert told.live in (None, 5), "the token, what was narrowed from it, what from that, and what a refresh gave"


@pytest.mark.parametrize(("kind", "name"), [("client", "web"), ("subject", "alice"), ("tenant", "default")])
def test_F06_so_does_what_was_made_with_a_token_of_ours_or_a_personal_one(
    floor: Floor, kind: HolderKind, name: str
) -> None:
    own, personal = floor.made(client_id="web").token, floor.personal("create")
    before_s = int(floor.clock.now_s())
    floor.clock.advance(7)
    children = [floor.trade(own).access_token]
    if kind != "client":
        children.append(floor.trade(personal).access_token)
    floor.revoke_of(kind, name, "", before_s)
    assert not any(map(floor.counts, children))
    if kind == "client":
        assert floor.trade(personal).access_token


def test_F06_what_is_made_with_a_personal_token_of_one_who_was_disabled_once_counts(floor: Floor) -> None:
    personal = floor.personal("create")
    floor.clock.advance(7)
    floor.revoked.take([Entry(f"subject {NAME} alice", None, before_s=int(floor.clock.now_s()))])
    floor.clock.advance(7)
    child = floor.trade(personal).access_token
    assert floor.counts(child)
    assert floor.counts(floor.trade(child).access_token)


def test_F06_what_was_on_its_way_ends_too_where_clocks_may_not_differ_at_all(floor: Floor) -> None:
    floor.own = replace(floor.own, leeway_s=0)
    floor.trusts(floor.terms())
    floor.revoke_of("client", "web")
    then_s = int(floor.clock.now_s())
    for late_s, counts in ((1, False), (2, False), (3, True)):
        floor.clock.advance(1)
        token = floor.keys.with_claims(sub="alice", client_id="web", iat=then_s + late_s).decode()
        assert floor.counts(token) is counts
        if counts:
            assert floor.made(client_id="web").token
        else:
            with pytest.raises(IssuanceHeld):
                floor.made(client_id="web")


def test_F06_an_assertion_of_before_gets_nothing_any_more(floor: Floor) -> None:
    job = floor.job(jti="early", iat=int(floor.clock.now_s()))
    floor.revoke_of("subject", JOB, "ci")
    answer = floor.ask_as("web", JWT_BEARER, assertion=job)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "Log in again" in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("how", "kind", "name"),
    [
        ("disabled", ClientRecord, "web"),
        ("disabled", PrincipalRecord, WORKER),
        ("disabled", TenantRecord, "default"),
        ("deleted", ClientRecord, "web"),
        ("deleted", PrincipalRecord, WORKER),
    ],
)
def test_F19_with_an_account_ends_what_it_was_issued_and_what_was_traded_for_it(
    floor: Floor, how: str, kind: type[Any], name: str
) -> None:
    given = floor.begin()
    child = floor.narrow(given["access_token"]).json()["access_token"]
    if how == "deleted":
        delete_account(floor.store, floor.terms_now(), kind, name)
    else:
        switch_account(floor.store, floor.terms_now(), kind, name, enabled=False)
    asyncio.run(floor.look())
    floor.check_ended(given, child)
    if how == "deleted":
        return
    floor.clock.advance(6)
    switch_account(floor.store, floor.terms_now(), kind, name, enabled=True)
    floor.check_ended(given, child)
    again = floor.begin()
    assert floor.counts(again["access_token"])


def test_F19_a_grant_that_is_under_way_while_its_account_is_deleted_gives_nothing_that_lives(floor: Floor) -> None:
    """The token is signed when the account is gone already; it says that it was issued at about that time."""
    issue = floor.issuer.issue

    async def slow(grant: Any, *, actor: str) -> Any:
        delete_account(floor.store, floor.terms_now(), PrincipalRecord, WORKER)
        floor.clock.advance(2)
        return await issue(grant, actor=actor)

    floor.issuer.issue = slow  # type: ignore[method-assign]
    given = floor.begin()
    asyncio.run(floor.look())
    assert not floor.counts(given["access_token"])
    floor.put(PrincipalRecord(name=WORKER, scopes=("ai",)))  # Somebody else comes by that name.
    assert floor.refresh(given["refresh_token"]).json()["error"] == "invalid_grant"


def test_F19_a_family_ends_with_the_trust_in_the_issuer_that_it_was_begun_for(floor: Floor) -> None:
    given = floor.begin()
    floor.trusts()
    answer = floor.refresh(given["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_F18_while_what_was_revoked_is_not_known_nothing_is_granted_or_vouched_for(floor: Floor) -> None:
    given = floor.begin()
    floor.stale = True
    asked = (
        floor.refresh(given["refresh_token"]),
        floor.narrow(given["access_token"]),
        floor.ask_as("web", "client_credentials"),
        floor.post("/oauth/introspect", {"token": given["access_token"]}, authorization=basic("web")),
    )
    for answer in asked:
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
    given_back = floor.post("/oauth/revoke", {"token": given["access_token"]}, authorization=basic("web"))
    assert given_back.status_code == 200, "what is to end may end"
    floor.stale = False
    assert floor.refresh(given["refresh_token"]).status_code == 200
