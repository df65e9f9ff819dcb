"""Rows IN-01 to IN-08 of the token checklist (RFC 7662). IN-06 is of bound tokens, which come with step 5."""

import asyncio
from typing import Any, Final

import pytest

from jotgate.core.accounts import ClientRecord, PrincipalRecord, TenantRecord
from jotgate.core.durable import Issuance
from jotgate.errors import StoreUnavailable
from jotgate.jose.keys import generate
from jotgate.services.families import FamilyTerms
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from jotgate.testing.issuer import wrong_tokens
from tests.callers import NAME, NOW_S
from tests.refreshing import RefreshStage
from tests.token_stage import FILES, TokenStage, basic, claims_of, client, principal

INTROSPECT: Final = "/oauth/introspect"
INACTIVE: Final = {"active": False}
MOVED: Final[tuple[tuple[type[Any], str, dict[str, Any]], ...]] = (
    (PrincipalRecord, "alice", {"enabled": False}),
    (PrincipalRecord, "alice", {"tenant": "team"}),
    (PrincipalRecord, "alice", {"scopes": ("embeddings",)}),
    (ClientRecord, "app", {"tenant": "team"}),
    (ClientRecord, "app", {"scopes": ("embeddings",)}),
    (ClientRecord, "app", {"audiences": ("https://else.example",)}),
    (ClientRecord, "app", {"grants": ("client_credentials",)}),
)
"""What becomes of a refresh token's principal and client, so that a refresh is refused."""


def staged(store: Store | None = None) -> TokenStage:
    """With the clients `ci`, `other`, and `files`, which is the resource that tokens may be for."""
    stage = TokenStage(store)
    stage.put(client(audiences=(NAME, FILES), grants=("client_credentials", "refresh_token")))
    stage.put(client("other"))
    stage.put(client("files", audiences=(FILES,), scopes=("introspect",)))
    return stage


@pytest.fixture
def stage() -> TokenStage:
    return staged()


def test_IN_01_the_caller_is_a_client_that_has_proved_who_it_is(stage: TokenStage) -> None:
    stage.put(client("phone", authentication="none", secrets=()))
    token = stage.token()
    for form, fields in (
        ({}, {}),
        ({"client_id": "phone"}, {}),
        ({}, {"authorization": basic("ci", "wrong")}),
        ({}, {"authorization": "Bearer " + token}),
    ):
        answer = stage.post(INTROSPECT, {"token": token, **form}, **fields)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_IN_01_only_a_client_that_may_is_told_of_the_tokens_of_others(stage: TokenStage) -> None:
    token = stage.token(resource=FILES)
    assert stage.introspect(token, "files")["client_id"] == "ci"
    assert stage.introspect(token, "other") == INACTIVE
    stage.put(client("files", audiences=(FILES,)))
    assert stage.introspect(token, "files") == INACTIVE


def test_IN_02_only_a_posted_form_is_answered(stage: TokenStage) -> None:
    assert stage.http.get(INTROSPECT, params={"token": "x"}).status_code == 405
    for form in ({}, {"token": ""}):
        answer = stage.post(INTROSPECT, form, authorization=basic("ci"))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_IN_03_what_does_not_count_is_inactive_and_nothing_more(stage: TokenStage) -> None:
    """Every wrong token that there is a name for, tokens of nobody, and what is no token."""
    wrong = wrong_tokens(stage.keys.key, NAME, NAME, NOW_S)
    of_others = {"audience", "other_audience", "wrong_audience"}
    texts = [token.decode("utf-8", "replace") for name, (token, _) in wrong.items() if name not in of_others]
    texts += ["x", "jot_p_" + "A" * 43, "jot_r_" + "A" * 43, "jot_r_A"]
    seen = [stage.introspect(text) for text in texts if text and text.isprintable()]
    assert len(seen) > 20
    assert [one for one in seen if one != INACTIVE] == []


def test_IN_03_a_token_of_another_key_or_issuer_is_inactive(stage: TokenStage) -> None:
    foreign = TokenStage()
    foreign.keys = type(stage.keys)(generate("ES256"), NAME, NAME, NOW_S)
    assert stage.introspect(foreign.keys.token(client_id="ci", sub="ci").decode()) == INACTIVE
    other = stage.keys.with_claims(iss="https://other.example", client_id="ci", sub="ci")
    assert stage.introspect(other.decode()) == INACTIVE


def test_IN_03_a_token_that_has_ended_is_inactive(stage: TokenStage) -> None:
    token = stage.token()
    stage.clock.advance(3_604.9)
    assert stage.introspect(token)["active"], "within the leeway that every worker allows"
    stage.clock.advance(0.1)
    assert stage.introspect(token) == INACTIVE


def test_IN_03_a_revoked_token_is_inactive(store: Store) -> None:
    stage = staged(store)
    token = stage.token()
    stage.post("/oauth/revoke", {"token": token}, authorization=basic("ci"))
    assert stage.introspect(token) == INACTIVE


def test_IN_03_a_good_token_is_told_whole(stage: TokenStage) -> None:
    stage.put(client(models=("b", "a"), scopes=("ai", "metrics")))
    token = stage.token(scope="ai")
    claims = claims_of(token)
    assert stage.introspect(token) == {
        "active": True,
        "iss": NAME,
        "sub": "ci",
        "client_id": "ci",
        "aud": NAME,
        "scope": "ai",
        "models": ["a", "b"],
        "token_type": "Bearer",
        "jti": claims["jti"],
        "iat": claims["iat"],
        "exp": claims["exp"],
    }


def test_IN_04_the_client_and_its_tenant_are_looked_at_anew(store: Store) -> None:
    stage = staged(store)
    stage.put(TenantRecord(name="team"))
    stage.put(client(tenant="team", audiences=(FILES,)))
    stage.put(client("theirs", tenant="team", audiences=(FILES,), scopes=("introspect",)))
    token = stage.token(resource=FILES)
    assert stage.introspect(token, "theirs")["active"]
    stage.put(client(tenant="team", enabled=False))
    assert stage.introspect(token, "theirs") == INACTIVE
    stage.put(client())
    assert stage.introspect(token, "theirs") == INACTIVE, "of another tenant than the token by now"
    stage.put(client(tenant="gone"))
    assert stage.introspect(token, "theirs") == INACTIVE
    stage.put(client(tenant="team"))
    assert stage.introspect(token, "theirs")["active"]


def test_IN_01_a_client_is_told_of_no_token_of_another_tenant(store: Store) -> None:
    """Not for a resource of its own either, and not by the client of the operator's tenant."""
    stage = staged(store)
    stage.put(TenantRecord(name="team"))
    stage.put(client("theirs", tenant="team", audiences=(FILES,)))
    stage.put(client("watch", tenant="team", scopes=("introspect",), audiences=(FILES,)))
    form = {"grant_type": "client_credentials", "resource": FILES}
    token = stage.post("/oauth/token", form, authorization=basic("theirs")).json()["access_token"]
    assert stage.introspect(token, "watch")["client_id"] == "theirs"
    assert stage.introspect(token, "files") == INACTIVE
    assert stage.introspect(stage.token(resource=FILES), "watch") == INACTIVE
    stage.put(client("theirs"))
    assert stage.introspect(token, "theirs") == INACTIVE, "it is in another tenant than when it got it"


def test_IN_04_a_tenant_that_is_disabled_is_looked_at_anew(store: Store) -> None:
    stage = staged(store)
    stage.put(TenantRecord(name="team"))
    stage.put(principal("alice", tenant="team"))
    stage.put(client("theirs", tenant="team"))
    token = stage.keys.token(sub="alice", client_id="theirs", tenant="team").decode()
    assert stage.introspect(token, "theirs")["sub"] == "alice"
    stage.put(principal("alice"))
    assert stage.introspect(token, "theirs") == INACTIVE, "of another tenant than the token by now"
    stage.put(principal("alice", tenant="team"))
    assert stage.introspect(token, "theirs")["active"]


def test_IN_04_the_subject_is_looked_at_anew(store: Store) -> None:
    stage = staged(store)
    stage.put(principal("alice"))
    token = stage.keys.token(sub="alice", client_id="ci").decode()
    assert stage.introspect(token)["sub"] == "alice"
    stage.put(principal("alice", enabled=False))
    assert stage.introspect(token) == INACTIVE
    stage.put(principal("alice", tenant="gone"))
    assert stage.introspect(token) == INACTIVE
    assert stage.introspect(stage.keys.token(sub="nobody", client_id="ci").decode()) == INACTIVE


def test_IN_04_an_operators_token_rests_on_no_record_unless_there_is_one(stage: TokenStage) -> None:
    stage.put(client("watch", scopes=("introspect",)))
    token = stage.keys.token(sub="me", client_id="jotgate-cli").decode()
    assert stage.introspect(token, "watch")["sub"] == "me"
    stage.store.add_issuances((_issuance("first", "jotgate-cli"), _issuance("other", "ci")))
    child = stage.keys.token(sub="me", client_id="ci", ancestors=["first", "x"]).decode()
    assert stage.introspect(child, "watch")["active"]
    for ancestors in (["other", "first"], ["unknown"]):
        stray = stage.keys.token(sub="me", client_id="ci", ancestors=ancestors).decode()
        assert stage.introspect(stray, "watch") == INACTIVE
    stage.put(principal("me", enabled=False))
    assert stage.introspect(token, "watch") == INACTIVE
    assert stage.introspect(child, "watch") == INACTIVE


def _issuance(token_id: str, client_id: str) -> Issuance:
    return Issuance(token_id, "me", client_id, "k", int(NOW_S), int(NOW_S) + 60)


def test_IN_05_no_answer_is_kept(stage: TokenStage) -> None:
    for token in (stage.token(), "x"):
        answer = stage.post(INTROSPECT, {"token": token}, authorization=basic("ci"))
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"


def test_IN_07_a_resource_sees_the_tokens_that_are_for_it(stage: TokenStage) -> None:
    stage.put(client("watch", scopes=("introspect",)))
    ours, theirs = stage.token(resource=NAME), stage.token(resource=FILES)
    assert [stage.introspect(one, "files")["active"] for one in (ours, theirs)] == [False, True]
    assert [stage.introspect(one, "watch")["active"] for one in (ours, theirs)] == [True, False]
    assert [stage.introspect(one)["active"] for one in (ours, theirs)] == [True, True], "its own, whatever for"


def test_IN_08_a_refresh_token_is_told_to_the_client_alone_that_has_it(store: Store) -> None:
    stage = staged(store)
    terms = FamilyTerms(client_id="ci", subject="ci", scopes=("ai",), audiences=(NAME, FILES))
    begun = asyncio.run(stage.families.begin(terms))
    token = begun.token.reveal()
    told: dict[str, Any] = stage.introspect(token)
    assert (told["active"], told["client_id"], told["aud"], told["scope"]) == (True, "ci", [NAME, FILES], "ai")
    assert stage.introspect(token, "other") == INACTIVE
    assert stage.introspect(token, "files") == INACTIVE
    stage.post("/oauth/revoke", {"token": token}, authorization=basic("ci"))
    assert stage.introspect(token) == INACTIVE


def test_IN_08_of_a_refresh_token_is_said_what_a_refresh_would_say(store: Store) -> None:
    stage = RefreshStage(store)
    stage.put(TenantRecord(name="team"))
    token = stage.first(audiences=(NAME, FILES))

    def told() -> Any:
        return stage.introspect(token, "app")

    assert (told()["sub"], told()["scope"], told()["aud"]) == ("alice", "chat.completions models", [NAME, FILES])
    stage.change(PrincipalRecord, "alice", scopes=("models",), models=("small",))
    assert (told()["scope"], told()["models"]) == ("models", ["small"])
    stage.change(ClientRecord, "app", audiences=(FILES,))
    assert told()["aud"] == FILES
    for kind, name, members in MOVED:
        before = stage.store.account(kind, name)
        assert before is not None
        stage.change(kind, name, **members)
        assert told() == INACTIVE, members
        word = stage.refusal(token)
        assert word in {"invalid_grant", "invalid_scope", "invalid_target", "unauthorized_client"}, members
        stage.put(before)
    assert told()["active"]
    alice = stage.store.account(PrincipalRecord, "alice")
    assert alice is not None
    assert stage.store.drop_account(PrincipalRecord, "alice", alice.version)
    assert told() == INACTIVE
    assert stage.refusal(token) == "invalid_grant"


def test_what_cannot_be_known_is_not_told_as_inactive() -> None:
    class Forgetful(MemoryStore):
        lost = False

        def account(self, kind: Any, name: str) -> Any:
            if self.lost and name == "alice":
                raise StoreUnavailable("the store does not answer")
            return super().account(kind, name)

    store = Forgetful()
    stage = staged(store)
    token = stage.keys.token(sub="alice", client_id="ci").decode()
    store.lost = True
    answer = stage.post(INTROSPECT, {"token": token}, authorization=basic("ci"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
