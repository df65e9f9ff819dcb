"""Rows RV-01 to RV-10 and F14 of the token checklist (RFC 7009): tokens that their clients give back.

That workers refuse them within a second is a test of running gateways.
"""

import asyncio
from typing import Final

import pytest
from httpx2 import Response

from jotgate.core.accounts import ClientRecord
from jotgate.errors import Code, StoreUnavailable, TokenRevoked
from jotgate.services.families import FamilyTerms
from jotgate.store_ports import Store
from jotgate.stores.memory import MemoryStore
from tests.token_stage import FILES, SECRET, TokenStage, basic, claims_of, client

REVOKE: Final = "/oauth/revoke"


def staged(store: Store | None = None) -> TokenStage:
    stage = TokenStage(store)
    for one in (client(), client("other"), client("phone", authentication="none", secrets=())):
        stage.put(one)
    return stage


@pytest.fixture
def stage() -> TokenStage:
    return staged()


def refresh_token(stage: TokenStage, client_id: str = "ci") -> tuple[str, str]:
    """A refresh token of a client, and its family."""
    terms = FamilyTerms(client_id=client_id, subject=client_id, scopes=("ai",), audiences=(stage.issuer.issuer,))
    begun = asyncio.run(stage.families.begin(terms))
    return begun.token.reveal(), begun.family.family_id


def give_back(stage: TokenStage, token: str, client_id: str = "ci", **form: str) -> Response:
    return stage.post(REVOKE, {"token": token, **form}, authorization=basic(client_id))


def counts(stage: TokenStage, token: str) -> bool:
    try:
        stage.verifier.verify(token.encode(), stage.clock.now_s())
    except TokenRevoked:
        return False
    return True


def test_RV_01_the_client_proves_who_it_is_first(stage: TokenStage) -> None:
    token = stage.token()
    for fields in ({}, {"authorization": basic("ci", "wrong")}, {"authorization": "Bearer " + token}):
        answer = stage.post(REVOKE, {"token": token}, **fields)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert counts(stage, token)


def test_RV_01_a_public_client_names_itself(stage: TokenStage) -> None:
    token, family_id = refresh_token(stage, "phone")
    assert stage.post(REVOKE, {"token": token, "client_id": "phone"}).status_code == 200
    family = stage.store.family(family_id)
    assert family is not None
    assert family.ended_at_s is not None


def test_RV_02_access_tokens_are_revoked_at_once_and_for_good(store: Store) -> None:
    stage = staged(store)
    token, other = stage.token(), stage.token()
    answer = give_back(stage, token)
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert not counts(stage, token)
    assert counts(stage, other)
    (row,) = store.revocations_after(0, 10)
    assert (row.handle, row.expires_at_s) == (
        f"{stage.issuer.issuer} {claims_of(token)['jti']}",
        claims_of(token)["exp"],
    )
    (event,) = stage.log.named("token.revoked")
    assert (event.actor, event.subject, event.details["reason"]) == ("ci", "ci", "returned")


def test_RV_02_a_token_for_another_resource_is_revoked_too(stage: TokenStage) -> None:
    stage.put(client(audiences=(FILES,)))
    token = stage.token(resource=FILES)
    assert stage.introspect(token)["active"]
    assert give_back(stage, token).status_code == 200
    assert not stage.introspect(token)["active"]


def test_RV_02_refresh_tokens_end_their_family(store: Store) -> None:
    stage = staged(store)
    token, family_id = refresh_token(stage)
    assert give_back(stage, token).status_code == 200
    family = store.family(family_id)
    assert family is not None
    assert family.ended_at_s == int(stage.clock.now_s())
    (row,) = store.revocations_after(0, 10)
    assert (row.kind, row.handle) == ("family", family_id)
    assert stage.log.named("family.ended")[0].actor == "ci"


@pytest.mark.parametrize("token", ["x", "jot_r_" + "A" * 43, "jot_r_A", "jot_p_A", "a.b.c", "é", "." * 70])
def test_RV_03_an_unknown_token_is_as_good_as_revoked(stage: TokenStage, token: str) -> None:
    assert give_back(stage, token).status_code == 200
    assert stage.store.revocations_after(0, 10) == ()


def test_RV_03_so_is_one_that_has_ended_or_was_given_back_before(stage: TokenStage) -> None:
    token, refresh = stage.token(), refresh_token(stage)[0]
    for _ in range(2):
        assert give_back(stage, token).status_code == 200
        assert give_back(stage, refresh).status_code == 200
    assert len(stage.store.revocations_after(0, 10)) == 2
    late = stage.token()
    stage.clock.advance(4_000)
    assert give_back(stage, late).status_code == 200
    assert len(stage.store.revocations_after(0, 10)) == 2


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "", "wrong"])
def test_RV_04_a_hint_changes_nothing(stage: TokenStage, hint: str) -> None:
    token, (refresh, family_id) = stage.token(), refresh_token(stage)
    assert give_back(stage, token, token_type_hint=hint).status_code == 200
    assert give_back(stage, refresh, token_type_hint=hint).status_code == 200
    assert not counts(stage, token)
    family = stage.store.family(family_id)
    assert family is not None
    assert family.ended_at_s is not None


def test_RV_05_the_token_of_another_client_stays_and_its_bearer_is_told(store: Store) -> None:
    """RFC 7009 s2.1: the request is refused, so that nobody believes the token revoked."""
    stage = staged(store)
    token, (refresh, family_id) = stage.token(), refresh_token(stage)
    for text in (token, refresh):
        answer = give_back(stage, text, "other")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert counts(stage, token)
    family = store.family(family_id)
    assert family is not None
    assert family.ended_at_s is None
    assert store.revocations_after(0, 10) == ()


def test_RV_06_a_refresh_token_takes_its_access_tokens_with_it(stage: TokenStage) -> None:
    refresh, family_id = refresh_token(stage)
    child, other = (stage.keys.token(client_id="ci", family=name, jti=name).decode() for name in (family_id, "f-2"))
    assert counts(stage, child)
    give_back(stage, refresh)
    assert not counts(stage, child)
    assert not stage.introspect(child)["active"]
    assert counts(stage, other)


def test_RV_06_an_access_token_takes_what_was_narrowed_from_it_and_leaves_the_refresh_token(stage: TokenStage) -> None:
    _, family_id = refresh_token(stage)
    parent = stage.keys.token(client_id="ci", family=family_id, jti="parent").decode()
    child = stage.keys.token(client_id="ci", ancestors=["parent"], jti="child").decode()
    give_back(stage, parent)
    assert not counts(stage, child)
    family = stage.store.family(family_id)
    assert family is not None
    assert family.ended_at_s is None


def test_RV_07_nobody_is_told_of_a_success_that_was_none(stage: TokenStage) -> None:
    """Access tokens are revoked; personal tokens are not clients', and count as before."""
    token = stage.token()
    assert give_back(stage, token).status_code == 200
    assert not stage.introspect(token)["active"]
    answer = give_back(stage, "jot_p_" + "A" * 43)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")
    assert answer.json()["code"] == Code.REVOCATION_UNSUPPORTED


def test_RV_08_503_says_that_the_token_may_still_count() -> None:
    class Broken(MemoryStore):
        def revoke(self, rows: object) -> int:
            raise StoreUnavailable("the store does not answer")

    stage = staged(Broken())
    answer = give_back(stage, stage.token())
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"


def test_RV_09_a_request_is_bounded_and_looks_up_nothing_before_its_client_is_known() -> None:
    asked: list[str] = []

    class Counting(MemoryStore):
        def find_family(self, digest: bytes) -> None:
            asked.append("family")

    stage = staged(Counting())
    refresh = "jot_r_" + "A" * 43
    stage.post(REVOKE, {"token": refresh}, authorization=basic("ci", "wrong"))
    assert asked == []
    give_back(stage, refresh, token_type_hint="access_token")
    assert asked == ["family"]
    assert give_back(stage, "x" * 70_000).json()["error"] == "invalid_request"


def test_RV_10_only_a_form_with_a_token_is_answered(stage: TokenStage) -> None:
    assert stage.http.get(REVOKE + "?token=x").status_code == 405
    for form in ({}, {"token": ""}):
        answer = stage.post(REVOKE, form, authorization=basic("ci"))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert stage.post(REVOKE + "?token=x", {"token": "x"}, authorization=basic("ci")).status_code == 400


@pytest.mark.parametrize("path", [REVOKE, "/oauth/introspect"])
def test_F14_nobody_scans_for_tokens(stage: TokenStage, path: str) -> None:
    """Neither without a client, nor with GET, nor as a client that is disabled."""
    token = stage.token()
    assert stage.post(path, {"token": token}).status_code == 401
    assert stage.http.get(path, params={"token": token}).status_code == 405
    stage.put(client(enabled=False))
    assert stage.post(path, {"token": token}, authorization=basic("ci")).status_code == 401
    kept = stage.store.account(ClientRecord, "ci")
    assert kept is not None
    assert counts(stage, token)


@pytest.mark.parametrize("path", [REVOKE, "/oauth/introspect"])
def test_F14_another_client_learns_nothing_from_a_token_that_is_none(stage: TokenStage, path: str) -> None:
    refresh, _ = refresh_token(stage)
    wrong = [refresh[:-1], refresh + "A", refresh[:-1] + "B", refresh.lower(), refresh[:20]]
    answers = {(one := stage.post(path, {"token": text}, authorization=basic("other"))).content for text in wrong}
    assert len(answers) == 1
    assert one.status_code == 200


def test_F07_no_part_and_no_variant_of_a_refresh_token_stands_for_it(store: Store) -> None:
    """Truncated, extended, or spelt in another way: base64url has spare bits in its last character."""
    stage = staged(store)
    stage.put(client(grants=("client_credentials", "refresh_token")))
    refresh, family_id = refresh_token(stage)
    spare = {"A": "B", "E": "F", "I": "J", "M": "N", "Q": "R", "U": "V", "Y": "Z", "c": "d"}
    variants = [refresh[:n] for n in range(1, len(refresh))] + [refresh + end for end in ("=", "A", " ", "%00")]
    variants += [refresh[:-1] + spare.get(refresh[-1], "_"), refresh.swapcase(), "jot_p_" + refresh[6:], refresh[6:]]
    for text in variants:
        assert not stage.introspect(text)["active"]
        assert give_back(stage, text).status_code == (400 if text.startswith("jot_p_") else 200)
    family = store.family(family_id)
    assert family is not None
    assert family.ended_at_s is None
    assert stage.introspect(refresh)["active"]
    assert SECRET not in str(stage.log.events)
