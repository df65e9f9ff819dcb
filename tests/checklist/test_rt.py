"""Rows RT-01 to RT-06 of the token checklist, and F03, F04, F07 and F08 of the attacks, at the token endpoint.

On each kind of store. F01 and F02 stand in `tests/conformance/test_refresh.py` and `tests/integration/test_refresh.py`.
"""

from collections.abc import Callable

import pytest

from jotgate.core.accounts import Account, ClientRecord, PrincipalRecord, Role, TenantRecord
from jotgate.core.opaque import opaque_digest
from jotgate.core.refresh import RefreshRules
from jotgate.errors import Code, TokenRevoked
from jotgate.store_ports import Store
from tests.callers import NAME
from tests.refreshing import SCOPES, RefreshStage
from tests.token_stage import FILES, basic, claims_of, client, principal

DAY_S = 86_400


@pytest.fixture
def stage(store: Store) -> RefreshStage:
    """On each kind of store."""
    return RefreshStage(store)


@pytest.fixture
def quick() -> RefreshStage:
    """On the store in memory, where no database can make a difference."""
    return RefreshStage()


# RT-01


def test_RT_01_a_refreshed_token_says_what_was_granted(stage: RefreshStage) -> None:
    answer = stage.refresh(stage.first(models=("small",)))
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 3_600, "chat.completions models")
    claims = stage.claims(answer["access_token"])
    assert (claims["sub"], claims["client_id"], claims["aud"], claims["models"]) == ("alice", "app", NAME, ["small"])
    assert claims["family"] == stage.family(answer["refresh_token"]).family_id
    (row,) = [row for row in (stage.store.issuance(claims["jti"]),) if row is not None]
    assert (row.family, row.client_id, row.subject) == (claims["family"], "app", "alice")


def test_RT_01_a_narrower_scope_is_for_that_access_token_and_the_refresh_token_keeps_all(stage: RefreshStage) -> None:
    first = stage.first()
    narrow = stage.refresh(first, scope="chat.completions")
    assert narrow["scope"] == "chat.completions"
    assert claims_of(narrow["access_token"])["scope"] == "chat.completions"
    assert stage.family(first).scopes == SCOPES
    assert stage.refresh(narrow["refresh_token"])["scope"] == "chat.completions models"


@pytest.mark.parametrize(
    "scope", ["chat.completions embeddings", "ai", "chat.completions  models", "admin:*", "chat.completions\u00e9"]
)
def test_RT_01_no_scope_comes_to_it_and_a_request_for_one_does_not_use_the_token(
    quick: RefreshStage, scope: str
) -> None:
    first = quick.first()
    assert quick.refusal(first, scope=scope) == "invalid_scope"
    assert quick.present(first, scope=scope).json()["code"] == Code.SCOPE_REFUSED
    assert quick.told() == ["begun"]
    assert quick.refresh(first)["scope"] == "chat.completions models"


def test_RT_01_the_scope_that_asked_for_the_refresh_token_may_be_named_again(quick: RefreshStage) -> None:
    assert quick.refresh(quick.first(), scope="chat.completions offline_access")["scope"] == "chat.completions"


def test_RT_01_resources_are_within_those_that_were_granted(stage: RefreshStage) -> None:
    first = stage.first(audiences=(NAME, FILES))
    both = stage.refresh(first)
    assert claims_of(both["access_token"])["aud"] == [NAME, FILES]
    one = stage.refresh(both["refresh_token"], resource=FILES)
    assert claims_of(one["access_token"])["aud"] == FILES
    assert stage.refusal(one["refresh_token"], resource="https://else.example") == "invalid_target"
    again = stage.refresh(one["refresh_token"])
    assert claims_of(again["access_token"])["aud"] == [NAME, FILES], "the refresh token keeps all"


def test_RT_01_a_resource_that_the_client_has_but_the_family_has_not_is_refused(quick: RefreshStage) -> None:
    first = quick.first()
    assert quick.refusal(first, resource=FILES) == "invalid_target"
    quick.change(ClientRecord, "app", audiences=(FILES,))
    assert quick.refusal(first) == "invalid_target", "its own is no longer the client's"
    assert quick.told() == ["begun"]


# RT-02


def test_RT_02_a_public_client_gets_a_new_refresh_token_each_time(stage: RefreshStage) -> None:
    stage.put(client("page", authentication="none", secrets=(), grants=("refresh_token",)))
    token = stage.first(client_id="page")
    seen = {token}
    for _ in range(3):
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "page"}
        token = stage.post("/oauth/token", form).json()["refresh_token"]
        assert token not in seen
        seen.add(token)
    assert stage.told() == ["begun", "rotated", "rotated", "rotated"]


# RT-03


def test_RT_03_a_token_that_is_presented_after_its_grace_ends_the_family(stage: RefreshStage) -> None:
    first = stage.first()
    answer = stage.refresh(first)
    access, live = answer["access_token"], answer["refresh_token"]
    stage.claims(access)
    stage.clock.advance(10)
    assert stage.refusal(first) == "invalid_grant"
    assert stage.family(live).ended_at_s is not None
    assert stage.refusal(live) == "invalid_grant"
    (row,) = stage.store.revocations_after(0, 10)
    assert (row.kind, row.handle, row.reason, row.actor) == ("family", stage.family(live).family_id, "reused", "app")
    assert row.expires_at_s is not None
    assert row.expires_at_s >= claims_of(access)["exp"], "it stands for as long as any access token of it lives"
    with pytest.raises(TokenRevoked):
        stage.claims(access)
    assert stage.told() == ["begun", "rotated", "reused"]


def test_RT_03_the_revocation_is_durable_before_the_refusal_even_when_nobody_can_record_it(
    stage: RefreshStage,
) -> None:
    first = stage.first()
    live = stage.successor(first)
    stage.clock.advance(10)
    stage.log.full = True
    assert stage.present(first).status_code == 503
    stage.log.full = False
    assert stage.family(live).ended_at_s is not None
    assert stage.refusal(live) == "invalid_grant"


def test_RT_03_within_the_grace_a_repeat_gets_the_token_that_counts_by_then(stage: RefreshStage) -> None:
    first = stage.first()
    second = stage.successor(first)
    assert stage.successor(first) == second, "an answer that was lost is given again"
    third = stage.successor(second)
    assert stage.successor(first) == third, "and never a token that was used"
    stage.clock.advance(9)
    assert stage.successor(first) == stage.successor(second) == third
    stage.clock.advance(1)
    assert stage.refusal(first) == "invalid_grant", "no repeat made it longer"
    assert stage.refusal(third) == "invalid_grant"
    assert stage.told() == ["begun", "rotated", "repeated", "rotated", *["repeated"] * 3, "reused"]


def test_RT_03_a_repeat_has_an_access_token_of_its_own(quick: RefreshStage) -> None:
    first = quick.first()
    answers = [quick.refresh(first) for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len({quick.claims(answer["access_token"])["jti"] for answer in answers}) == 3


def test_RT_03_without_a_grace_the_second_use_is_reuse(quick: RefreshStage) -> None:
    quick.rules = RefreshRules(grace_s=0)
    first = quick.first()
    second = quick.successor(first)
    assert quick.refusal(first) == "invalid_grant"
    assert quick.refusal(second) == "invalid_grant"


# RT-04


def test_RT_04_a_token_ends_that_is_not_used(stage: RefreshStage) -> None:
    first = stage.first()
    stage.clock.advance(30 * DAY_S - 1)
    second = stage.successor(first)
    stage.clock.advance(30 * DAY_S)
    assert stage.refusal(second) == "invalid_grant"
    assert stage.told() == ["begun", "rotated"]


def test_RT_04_a_family_ends_however_often_it_is_used_and_its_access_tokens_with_it(stage: RefreshStage) -> None:
    token = stage.first()
    for _ in range(3):
        stage.clock.advance(29 * DAY_S)
        token = stage.successor(token)
    stage.clock.advance(3 * DAY_S - 100)
    answer = stage.refresh(token)
    assert answer["expires_in"] == 100
    stage.clock.advance(100)
    assert stage.refusal(answer["refresh_token"]) == "invalid_grant"


# RT-05; that a logout at the issuer ends them stands in `tests/conformance/test_logout.py`


def test_RT_05_a_token_that_was_given_back_counts_no_more_and_none_in_its_grace(stage: RefreshStage) -> None:
    first = stage.first()
    answer = stage.refresh(first)
    given = stage.post("/oauth/revoke", {"token": answer["refresh_token"]}, authorization=basic("app"))
    assert given.status_code == 200
    assert [stage.refusal(token) for token in (first, answer["refresh_token"])] == ["invalid_grant"] * 2
    with pytest.raises(TokenRevoked):
        stage.claims(answer["access_token"])
    assert stage.told() == ["begun", "rotated", "ended"]


# RT-06


@pytest.mark.parametrize("late_s", [0, 1_000])
def test_RT_06_F03_a_stranger_is_refused_and_changes_nothing(stage: RefreshStage, late_s: int) -> None:
    first = stage.first()
    second = stage.successor(first)
    stage.clock.advance(late_s)
    before = stage.store.find_family(opaque_digest(first))
    for token in (first, second):
        assert stage.refusal(token, "other") == "invalid_grant"
    assert stage.store.find_family(opaque_digest(first)) == before
    assert list(stage.store.revocations_after(0, 10)) == []
    assert stage.told() == ["begun", "rotated"]
    stage.successor(second)


def test_F03_a_stranger_is_told_what_is_said_of_a_token_that_there_is_not(quick: RefreshStage) -> None:
    first = quick.first()
    unknown = first[:6] + first[6:][::-1].replace(first[6], "A", 1)[:42] + "A"
    assert quick.present(first, "other").content == quick.present(unknown, "other").content


def test_F03_a_client_that_proves_nothing_ends_nothing(quick: RefreshStage) -> None:
    first = quick.first()
    second = quick.successor(first)
    quick.clock.advance(60)
    form = {"grant_type": "refresh_token", "refresh_token": first}
    assert quick.post("/oauth/token", form).json()["error"] == "invalid_client"
    wrong = quick.post("/oauth/token", form, authorization=basic("app", "jot_s_" + "B" * 42 + "A"))
    assert wrong.json()["error"] == "invalid_client"
    quick.successor(second)


def test_a_client_without_the_grant_refreshes_nothing(quick: RefreshStage) -> None:
    first = quick.first()
    quick.change(ClientRecord, "app", grants=("client_credentials",))
    assert quick.refusal(first) == "unauthorized_client"
    assert quick.told() == ["begun"]


# F04

Change = Callable[[RefreshStage, bool], None]


def _principal(stage: RefreshStage, enabled: bool) -> None:
    stage.change(PrincipalRecord, "alice", enabled=enabled)


def _client(stage: RefreshStage, enabled: bool) -> None:
    stage.change(ClientRecord, "app", enabled=enabled)


def _tenant(stage: RefreshStage, enabled: bool) -> None:
    stage.put(TenantRecord(name="default", enabled=enabled))


@pytest.mark.parametrize(
    ("change", "word"), [(_principal, "invalid_grant"), (_client, "invalid_client"), (_tenant, "invalid_client")]
)
def test_F04_who_is_disabled_refreshes_nothing_and_uses_no_token_up(
    stage: RefreshStage, change: Change, word: str
) -> None:
    first = stage.first()
    change(stage, False)
    assert stage.refusal(first) == word
    assert stage.told() == ["begun"]
    change(stage, True)
    stage.refresh(first)


def test_F04_a_tenant_that_is_disabled_has_no_tokens(stage: RefreshStage) -> None:
    stage.put(TenantRecord(name="acme"))
    stage.put(principal("bob", tenant="acme"))
    stage.put(client("theirs", tenant="acme", grants=("refresh_token",)))
    first = stage.first(subject="bob", tenant="acme", client_id="theirs")
    answer = stage.present(first, "theirs").json()
    assert claims_of(answer["access_token"])["tenant"] == "acme"
    stage.put(TenantRecord(name="acme", enabled=False))
    assert stage.refusal(answer["refresh_token"], "theirs") == "invalid_client"


def test_F04_a_principal_that_is_gone_or_of_another_tenant_gets_nothing(stage: RefreshStage) -> None:
    first = stage.first()
    stage.put(TenantRecord(name="acme"))
    stage.change(PrincipalRecord, "alice", tenant="acme")
    assert stage.refusal(first) == "invalid_grant"
    stage.change(ClientRecord, "app", tenant="acme")
    assert stage.refusal(first) == "invalid_grant", "though they are of one tenant again"
    stage.change(ClientRecord, "app", tenant="default")
    found = stage.store.account(PrincipalRecord, "alice")
    assert found is not None
    assert stage.store.drop_account(PrincipalRecord, "alice", found.version)
    assert stage.refusal(first) == "invalid_grant"
    assert stage.told() == ["begun"]


def test_F04_what_was_taken_away_is_gone_at_the_next_refresh(stage: RefreshStage) -> None:
    role = Role("staff", ("chat.completions", "embeddings"), ("small", "large"))
    stage.put(TenantRecord(name="default", roles=(role,)))
    stage.put(principal("bob", scopes=(), roles=("staff",)))
    token = stage.first(subject="bob", scopes=("chat.completions", "embeddings"), roles=("staff",))
    answer = stage.refresh(token)
    claims = stage.claims(answer["access_token"])
    assert (claims["scope"], claims["roles"]) == ("chat.completions embeddings", ["staff"])
    assert claims["models"] == ["large", "small"]
    stage.put(TenantRecord(name="default", roles=(Role("staff", ("chat.completions", "models"), ("small",)),)))
    answer = stage.refresh(answer["refresh_token"])
    claims = stage.claims(answer["access_token"])
    assert claims["scope"] == "chat.completions", "what came to the role did not come to the family"
    assert claims["models"] == ["small"]
    stage.change(ClientRecord, "app", scopes=("models",))
    assert stage.refusal(answer["refresh_token"]) == "invalid_scope"


# F07


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token[:20],
        lambda token: token + "=",
        lambda token: token.swapcase(),
        lambda token: "jot_p_" + token[6:],
        lambda token: token[6:],
        lambda token: token + "%",
        lambda token: opaque_digest(token).hex(),
    ],
    ids=["shorter", "longer", "beginning", "padded", "case", "kind", "unmarked", "wildcard", "digest"],
)
def test_F07_only_the_whole_token_is_it(quick: RefreshStage, change: Callable[[str], str]) -> None:
    first = quick.first()
    assert quick.refusal(change(first)) == "invalid_grant"
    quick.refresh(first)


def test_the_token_is_named_once(quick: RefreshStage) -> None:
    first = quick.first()
    assert quick.refusal("") == "invalid_request"
    twice = f"grant_type=refresh_token&refresh_token={first}&refresh_token={first}".encode()
    assert quick.post("/oauth/token", twice, authorization=basic("app")).json()["error"] == "invalid_request"
    quick.refresh(first)


# F08


def test_F08_no_access_token_refreshes_anything_expired_or_not(quick: RefreshStage) -> None:
    access = quick.refresh(quick.first())["access_token"]
    assert quick.refusal(access) == "invalid_grant"
    quick.clock.advance(3_601)
    assert quick.refusal(access) == "invalid_grant"
    form = {"grant_type": "refresh_token", "access_token": access, "token": access}
    assert quick.post("/oauth/token", form, authorization=basic("app")).json()["error"] == "invalid_request"
    form = {"grant_type": "refresh_token", "refresh_token": access}
    assert quick.post("/oauth/token", form, authorization=f"Bearer {access}").json()["error"] == "invalid_client"


def test_F01_a_repeat_that_waited_for_its_client_to_be_known_came_in_time(quick: RefreshStage) -> None:
    """The store may keep it waiting for as long as the grace; the family must not end for that."""
    first = quick.first()
    given = quick.successor(first)
    find = quick.store.account

    def slowly(kind: type[Account], name: str) -> Account | None:
        quick.clock.advance(11)
        return find(kind, name)

    quick.store.account = slowly  # type: ignore[method-assign]
    assert quick.successor(first) == given
