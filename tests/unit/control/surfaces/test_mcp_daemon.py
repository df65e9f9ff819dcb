"""What the MCP daemon's face answers who asks for a new token, beside what tests/attacks asks it."""

from typing import Any

import msgspec
import pytest

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.issuers import ClaimMapping, Condition
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.revocations import token_handle
from jotgate.services.federation import TrustedIssuer
from tests.callers import NAME
from tests.renewing import DAY_S, RenewalStage, claims_of, daemon_issuer


@pytest.fixture
def stage() -> RenewalStage:
    return RenewalStage()


def test_a_new_token_has_the_claims_of_the_document_and_names_what_it_goes_on_for(stage: RenewalStage) -> None:
    token = stage.signed(role=["a", "b"], name=None, quota=7, jti="mine with spaces")
    claims = claims_of(stage.refresh(token)["access_token"])
    now_s = int(stage.clock.now_s())
    assert "name" not in claims
    assert (claims["sub"], claims["role"], claims["quota"]) == ("agent_001", ["a", "b"], 7)
    assert (claims["iat"], claims["exp"]) == (now_s, now_s + DAY_S)
    assert claims["limits"] == [{"of": "exai-mcp-server mine with spaces", "limits": ["7 requests"]}]
    without = claims_of(stage.refresh(stage.signed(role=None, quota=None))["access_token"])
    assert "role" not in without, "what is absent stays so"
    assert without["quota"] == 100


def test_the_family_knows_where_it_comes_from_and_is_no_client_s(stage: RenewalStage) -> None:
    family = stage.family(stage.refresh(stage.signed())["refresh_token"])
    assert (family.client_id, family.face, family.roles) == ("jotgate-refresh", MCP_DAEMON, ("user",))
    answer = stage.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "x"})
    assert answer.status_code in (400, 401), "and nobody can be a client of that name"


def test_the_old_token_counts_for_the_grace_and_all_earlier_ones_end_by_a_refresh_token(stage: RenewalStage) -> None:
    token = stage.signed()
    first = stage.refresh(token)
    second = stage.refresh(first["access_token"])["access_token"]
    assert "refresh_token" not in stage.refresh(first["access_token"])
    stage.clock.advance(9)
    assert all(map(stage.counts, (token, first["access_token"], second)))
    stage.clock.advance(1)
    assert [stage.counts(one) for one in (token, first["access_token"], second)] == [False, False, True]
    third = stage.refresh(refresh_token=first["refresh_token"])
    assert third["refresh_token"]
    stage.clock.advance(10)
    assert [stage.counts(one) for one in (second, third["access_token"])] == [False, True]


def test_an_operator_s_revocation_counts_at_once_whatever_waits(stage: RenewalStage) -> None:
    token = stage.signed()
    renewed = stage.refresh(token)["access_token"]
    now_s = int(stage.clock.now_s())
    handle = token_handle("exai-mcp-server", stage.verify(token).token_id)
    stage.store.revoke([Revocation(RevocationKind.TOKEN, handle, now_s, now_s + DAY_S)])
    assert [stage.counts(one) for one in (token, renewed)] == [False, True]


@pytest.mark.parametrize(("issuer", "before"), [("exai-mcp-server", 0), (NAME, 0), (NAME, None)])
def test_a_subject_that_is_revoked_by_either_name_has_no_chain(
    stage: RenewalStage, issuer: str, before: int | None
) -> None:
    renewed = stage.refresh(stage.signed())
    now_s = int(stage.clock.now_s())
    watermark = None if before is None else now_s
    handle = token_handle(issuer, "agent_001")
    stage.store.revoke([Revocation(RevocationKind.SUBJECT, handle, now_s, None, watermark)])
    stage.catch_up()
    assert not stage.counts(renewed["access_token"])
    stage.clock.advance(20)
    assert stage.refused(renewed["access_token"])[0] == 401
    assert stage.refused(refresh_token=renewed["refresh_token"])[0] == 401


def test_a_token_of_ours_ends_by_its_own_name_too_and_with_its_family(stage: RenewalStage) -> None:
    renewed = stage.refresh(stage.signed())
    token_id = claims_of(renewed["access_token"])["jti"]
    stage.store.revoke([Revocation(RevocationKind.TOKEN, token_handle(NAME, token_id), 1)])
    assert not stage.counts(renewed["access_token"])
    again = stage.refresh(refresh_token=renewed["refresh_token"])
    stage.store.revoke([Revocation(RevocationKind.FAMILY, stage.family(again["refresh_token"]).family_id, 1)])
    assert not stage.counts(again["access_token"])


def test_a_refresh_token_that_is_used_again_is_taken_for_stolen(stage: RenewalStage) -> None:
    first = stage.refresh(stage.signed())
    second = stage.refresh(refresh_token=first["refresh_token"])
    stage.clock.advance(11)
    assert stage.refused(refresh_token=first["refresh_token"])[0] == 401
    assert not stage.counts(second["access_token"])
    assert stage.refused(second["access_token"])[0] == 401
    assert stage.refused(refresh_token=second["refresh_token"])[0] == 401
    assert len(stage.log.named("family.reused")) == 1


def test_a_refresh_token_that_sleeps_too_long_has_expired(stage: RenewalStage) -> None:
    token = stage.refresh(stage.signed())["refresh_token"]
    stage.clock.advance(30 * DAY_S)
    assert stage.refused(refresh_token=token) == (401, "Token has expired")


@pytest.mark.parametrize(
    "members",
    [
        {"mapping": ClaimMapping(client=(), scopes=(), models=(), roles=("groups",))},
        {"equal": (Condition(("a",), "b"),)},
        {"required": ("aud", "exp", "iat", "iss", "sub", "name")},
        {"quota": None},
        {"types": ("at+jwt",)},
    ],
)
def test_where_the_issuer_s_entry_is_another_tokens_are_not_refreshed(
    stage: RenewalStage, members: dict[str, Any]
) -> None:
    stage.trust = TrustedIssuer(msgspec.structs.replace(daemon_issuer(), **members))
    token = stage.signed(a="b")
    status, _ = stage.refused(token)
    assert status == (401 if members.get("types") else 404)
    assert stage.log.named("family.begun") == []


@pytest.mark.parametrize("body", ['{"refresh_token": 7}', '{"refresh_token": ""}', '{"token": "x"}', "[]", "{"])
def test_a_body_that_means_nothing_is_refused(stage: RenewalStage, body: str) -> None:
    headers = {"authorization": f"Bearer {stage.signed()}", "content-type": "application/json"}
    answer = stage.face.post("/refresh", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("name", ["x" * 257, "a\x00b", 7, ""])
def test_a_name_that_cannot_be_kept_is_not_left_out(stage: RenewalStage, name: object) -> None:
    assert stage.refused(stage.signed(name=name))[1].startswith("Invalid token: the token's 'name'")


def test_a_subject_that_cannot_be_kept_is_told_so(stage: RenewalStage) -> None:
    assert stage.refused(stage.signed(sub="x" * 4_000))[0] == 400


def test_nothing_is_renewed_by_what_is_not_known(stage: RenewalStage) -> None:
    token = stage.signed()
    stage.stale = True
    answer = stage.post_refresh(token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"]
    stage.stale = False
    assert stage.refresh(token)


def test_workers_are_told_which_refused_tokens_nobody_has_guessed(stage: RenewalStage) -> None:
    token = stage.signed()
    first = stage.refresh(token)
    stage.refresh(refresh_token=first["refresh_token"])
    stage.clock.advance(11)
    stage.catch_up()
    known = "x-jotgate-known"
    assert stage.post_refresh(token).headers[known] == "1"
    assert stage.post_refresh(refresh_token=first["refresh_token"]).headers[known] == "1"
    assert known not in stage.post_refresh(token[:-6] + "AAAAAA").headers
    assert known not in stage.post_refresh(refresh_token="jot_r_" + "A" * 43).headers


def test_no_token_stands_in_what_is_recorded_or_kept(stage: RenewalStage) -> None:
    token = stage.signed()
    told = stage.refresh(token)
    stage.refused("x" + token)
    kept = msgspec.json.encode([stage.store.marks_of("renewed_token", "", 10)])
    for one in (token, told["access_token"], told["refresh_token"]):
        assert one.encode() not in b"".join(stage.log.lines) + kept
