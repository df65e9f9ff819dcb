"""Row RV-05 and its bounds: one client leaves no more revocations than it was issued tokens, whatever it gives back."""

import asyncio
from typing import Final

import pytest

from jotgate.services.families import FamilyTerms
from jotgate.testing.issuer import wrong_tokens
from tests.callers import NAME
from tests.token_stage import TokenStage, basic, client

TIMES: Final = 25


@pytest.fixture
def stage() -> TokenStage:
    stage = TokenStage()
    stage.put(client())
    stage.put(client("other"))
    return stage


def give_back(stage: TokenStage, token: str, name: str = "ci") -> int:
    """The status of what a client gets."""
    return stage.post("/oauth/revoke", {"token": token}, authorization=basic(name)).status_code


def rows(stage: TokenStage) -> int:
    """How many revocations the store has, and was ever given."""
    kept = len(stage.store.revocations_after(0, 9_999))
    assert kept == stage.store.versions().revocations
    return kept


def events(stage: TokenStage) -> int:
    """How many of them the audit log has."""
    return len(stage.log.named("token.revoked")) + len(stage.log.named("family.ended"))


def test_RV_05_what_is_not_the_clients_own_good_token_leaves_nothing(stage: TokenStage) -> None:
    named = wrong_tokens(stage.keys.key, NAME, NAME, stage.clock.now_s())
    wrong = [token.decode("ascii") for token, _ in named.values()]
    assert len(wrong) > TIMES
    others = stage.token()
    for token in (*wrong, "jot_r_" + "A" * 43, "jot_p_" + "A" * 43, "x" * 9_000, "a.b.c"):
        give_back(stage, token)
    for _ in range(TIMES):
        assert give_back(stage, others, "other") == 400
    assert (rows(stage), events(stage)) == (0, 0)


def test_RV_05_a_token_that_is_given_back_again_and_again_is_one_row_and_one_event(stage: TokenStage) -> None:
    token = stage.token()
    assert {give_back(stage, token) for _ in range(TIMES)} == {200}
    assert (rows(stage), events(stage)) == (1, 1)


def test_RV_05_a_refresh_token_is_one_row_and_one_event_too(stage: TokenStage) -> None:
    terms = FamilyTerms(client_id="ci", subject="ci", scopes=("ai",), audiences=(NAME,))
    text = asyncio.run(stage.families.begin(terms)).token.reveal()
    assert {give_back(stage, text) for _ in range(TIMES)} == {200}
    assert (rows(stage), events(stage)) == (1, 1)


def test_RV_05_as_many_rows_as_tokens_were_issued_and_each_ends_with_its_token(stage: TokenStage) -> None:
    tokens = [stage.token() for _ in range(TIMES)]
    for token in (*tokens, *tokens):
        assert give_back(stage, token) == 200
    assert (rows(stage), events(stage)) == (TIMES, TIMES)
    ends = {row.expires_at_s for row in stage.store.revocations_after(0, 9_999)}
    assert None not in ends
