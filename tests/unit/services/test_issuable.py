"""What would be refused is not handed out: until a watermark is past, and clocks agree on that, nothing is issued."""

from typing import Final, Literal

import pytest

from jotgate.codes import Code
from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import Entry, personal_handle
from jotgate.errors import IssuanceHeld
from jotgate.stores.memory import MemoryStore
from tests.callers import NAME
from tests.personal import Office
from tests.token_stage import TokenStage, client
from tests.trading import JOB, TradingFloor

PRINCIPAL: Final = f"ci/{JOB}"
_LEEWAY_S: Final = 5


def watermark(floor: TokenStage, name: str) -> None:
    """Have what was issued until now refused of that name."""
    floor.revoked.take([Entry(name, None, before_s=int(floor.clock.now_s()))])


def test_for_the_leeway_behind_a_watermark_nothing_is_issued_and_then_what_counts() -> None:
    stage = TokenStage()
    stage.put(client())
    stage.token()
    watermark(stage, "client ci")
    for left_s in (6, 5, 4, 3, 2, 1):
        answer = stage.ask()
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == str(left_s), "what it says is when it is over"
        assert f"{left_s} s" in answer.json()["error_description"]
        stage.clock.advance(1)
    assert stage.claims(stage.token())["client_id"] == "ci", "and the gateway takes it"
    assert len(stage.log.named("token.issued")) == 2, "of what was held back nothing is on record"


@pytest.mark.parametrize("name", ["client app", f"subject {NAME} {PRINCIPAL}", "tenant default"])
def test_an_assertion_is_not_used_up_by_what_is_held_back_and_no_family_is_begun(name: str) -> None:
    floor = TradingFloor()
    watermark(floor, name)
    assertion = floor.job()
    with pytest.raises(IssuanceHeld) as caught:
        floor.present(assertion, scope="ai offline_access")
    assert caught.value.code is Code.ISSUANCE_HELD
    assert floor.log.events == []
    floor.clock.advance(caught.value.retry_after_s)
    answer = floor.present(assertion, scope="ai offline_access")
    assert floor.principal(answer.access_token).subject == PRINCIPAL
    assert floor.grant("refresh_token", refresh_token=answer.refresh_token).refresh_token


def test_a_trade_of_a_token_is_held_back_by_what_it_comes_of() -> None:
    floor = TradingFloor()
    early = floor.made().token
    floor.clock.advance(_LEEWAY_S + 1)
    watermark(floor, "client app")
    with pytest.raises(IssuanceHeld):
        floor.trade(early)
    floor.revoked.take([Entry("client app", None)])  # Whatever it is issued: nobody knows when that ends.
    with pytest.raises(IssuanceHeld) as caught:
        floor.trade(early)
    assert caught.value.retry_after_s == 1


def test_a_refresh_that_is_held_back_uses_nothing_up() -> None:
    floor = TradingFloor()
    first = floor.present(floor.job(), scope="ai offline_access")
    floor.clock.advance(60)
    watermark(floor, f"key {NAME} {floor.keys.key.kid}")
    with pytest.raises(IssuanceHeld) as caught:
        floor.grant("refresh_token", refresh_token=first.refresh_token)
    floor.clock.advance(caught.value.retry_after_s)
    again = floor.grant("refresh_token", refresh_token=first.refresh_token)
    assert floor.principal(again.access_token).subject == PRINCIPAL
    assert floor.log.named("family.repeated") == []


@pytest.mark.parametrize("holder", [(RevocationKind.SUBJECT, "alice"), (RevocationKind.TENANT, "default")])
@pytest.mark.parametrize("action", ["create", "roll"])
def test_a_personal_token_is_not_made_in_the_second_in_which_all_of_them_were_revoked(
    holder: tuple[RevocationKind, str], action: Literal["create", "roll"]
) -> None:
    office = Office(MemoryStore())
    if action == "roll":
        office.create()
    now_s = int(office.clock.now_s())
    kind, name = holder
    office.store.revoke([Revocation(kind, personal_handle(name), now_s, None, before_s=now_s)])
    with pytest.raises(IssuanceHeld):
        office.order(action)
    office.clock.advance(1)
    assert office.order(action).answer.secret
