"""Who would get more by a refresh than was given once: row F08 of docs/attacks.md, at the MCP daemon's face."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from jotgate.core.refresh import RefreshRules
from jotgate.core.spenders import Surroundings, spender_of, spending_of, token_meters
from jotgate.services.federation import TrustedIssuer
from tests.callers import NAME
from tests.daemons import SECRET
from tests.renewing import DAY_S, RenewalStage, claims_of, daemon_issuer

OTHER = "b0f9a7e6d88fe868199b0abc59b069d2261cf1f200779bac39484cc1702218b7"


@pytest.fixture
def stage() -> RenewalStage:
    return RenewalStage()


def test_F08_an_expired_access_token_is_refreshed_by_nothing(stage: RenewalStage) -> None:
    """Document 004 decodes it with `verify_exp: False`, and signs its claims again: any token would live for ever."""
    token = stage.signed()
    renewed = stage.refresh(token)
    other = stage.signed(sub="other")
    stage.clock.advance(DAY_S)
    for one in (token, renewed["access_token"], other):
        assert stage.refused(one) == (401, "Token has expired")
        assert stage.refused(refresh_token=one)[0] == 401
    assert stage.post_refresh(other).headers["www-authenticate"].startswith("Bearer ")
    assert stage.refresh(other, renewed["refresh_token"]), "the refresh token alone is what was good"


def test_F08_nor_is_one_that_was_revoked_or_forged_or_is_none(stage: RenewalStage) -> None:
    token = stage.signed()
    renewed = stage.refresh(token)
    stage.clock.advance(10)
    assert not stage.counts(token)
    assert stage.refused(token) == (401, "Invalid token: the token was revoked")
    for one, said in (
        (stage.signed(OTHER), "Invalid signature"),
        (stage.signed(aud="others"), "Audience mismatch"),
        (stage.signed(iss="others"), "Issuer mismatch"),
        (stage.signed(exp=None), "Invalid token: "),
        (renewed["refresh_token"], "Invalid token: "),
        ("", ""),
    ):
        status, message = stage.refused(one)
        assert (status, message.startswith(said)) == (401, True)
    assert {one.details["grant"] for one in stage.log.named("token.refused")} == {"face_refresh"}


def test_F08_a_stolen_token_is_kept_alive_no_longer_than_the_chain_lives(stage: RenewalStage) -> None:
    stage.refresh_rules = RefreshRules(life_s=3 * DAY_S, idle_s=3 * DAY_S)
    begun_s = int(stage.clock.now_s())
    token = stage.signed(iat=begun_s - DAY_S)
    assert stage.refused(stage.signed(iat=begun_s - 4 * DAY_S))[1].startswith("Invalid token: the token was issued")
    refresh_token = ""
    for _ in range(5):
        answer = stage.refresh(token)
        token, refresh_token = answer["access_token"], answer.get("refresh_token", refresh_token)
        assert claims_of(token)["exp"] <= begun_s + 2 * DAY_S
        stage.clock.advance(DAY_S // 2 - 100)
    stage.clock.advance(1_000)
    assert stage.refused(token) == (401, "Token has expired")
    assert stage.refused(refresh_token=refresh_token) == (401, "Token has expired")


def test_F08_all_of_a_chain_spend_of_one_account_also_by_rules_that_count_per_token(stage: RenewalStage) -> None:
    token = stage.signed(quota=7)
    first = stage.refresh(token)
    second = stage.refresh(first["access_token"])["access_token"]
    third = stage.refresh(refresh_token=first["refresh_token"])["access_token"]
    around = Surroundings(NAME, {"exai-mcp-server": "mcp-daemon"})
    spenders = [spender_of(stage.verify(one)) for one in (token, second, third)]
    (account,) = (meter.key for meter in token_meters(spenders[0]))
    for spender in spenders:
        assert account in {meter.key for meter in token_meters(spender)}
        assert {meter.quota.limit.amount for meter in token_meters(spender)} == {7}
        spending = spending_of(spender, "echo", "chat.completions", around)
        assert spenders[0].token in spending.holders["token"]
        assert "client" not in spending.holders, "what counts per client meets neither"
    assert [claims_of(one)["quota"] for one in (second, third)] == [7, 7]


def test_F08_one_token_has_one_successor_whoever_asks_at_once_and_on_whichever_machine(stage: RenewalStage) -> None:
    machines = [RenewalStage(stage.store) for _ in range(4)]
    token = stage.signed()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: one.refresh(token), machines))
    answers += [one.refresh(token) for one in machines]
    assert len({one["access_token"] for one in answers}) == 1
    assert len({one["refresh_token"] for one in answers}) == 1
    twin = stage.signed(name="Another", jti=claims_of(answers[0]["access_token"])["jti"])
    stage.refresh(answers[0]["access_token"])
    assert stage.refused(twin)[1].startswith("Invalid token: another token with this 'jti'")


def test_F08_a_chain_does_not_outlive_the_secret_that_its_first_token_was_signed_with(stage: RenewalStage) -> None:
    """Who has forged a token with a secret that leaked would be rid of its end by a refresh."""
    stage.trust = TrustedIssuer(daemon_issuer(OTHER, SECRET))
    forged = stage.refresh(stage.signed(SECRET))
    stage.trust = TrustedIssuer(daemon_issuer(OTHER))
    assert stage.refused(forged["access_token"])[0] == 401
    status, message = stage.refused(refresh_token=forged["refresh_token"])
    assert (status, message) == (401, "Invalid token: the refresh token is refused: its secret is gone")
    assert stage.refresh(stage.signed(OTHER, sub="somebody else"))


def test_a_chain_has_as_many_tokens_as_are_remembered_when_they_are_revoked(stage: RenewalStage) -> None:
    stage.refresh_rules = replace(stage.refresh_rules, grace_s=0)
    token, refresh_token = stage.signed(), ""
    for _ in range(100):
        answer = stage.refresh(token)
        token, refresh_token = answer["access_token"], answer.get("refresh_token", refresh_token)
    assert stage.refused(token) == (429, "the token was refreshed too often")
    assert stage.refused(refresh_token=refresh_token)[0] == 429
    stage.clock.advance(DAY_S)
    assert stage.refresh(refresh_token=refresh_token), "which has not been used up"
