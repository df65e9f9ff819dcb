"""The operator narrows a token: less in every respect, by the rules of the token exchange."""

import asyncio
from typing import Any

import pytest

from jotgate.core.accounts import PrincipalRecord, TenantRecord
from jotgate.core.claims import LIFETIME_DEFAULT_S, LIFETIME_MAX_S, Issued
from jotgate.core.limit_texts import read_limit
from jotgate.core.lineage import ACTORS_MAX, Confirmation
from jotgate.core.narrow_orders import NarrowOrder
from jotgate.core.narrowing import NARROWINGS_MAX
from jotgate.core.opaque import Mark, make_opaque
from jotgate.core.principals import Principal
from jotgate.core.quotas import TokenLimit
from jotgate.errors import AuditUnavailable, CommandError, TokenError, TokenRevoked
from jotgate.jose import jwt
from jotgate.services.narrowing import Narrower
from tests.callers import NAME
from tests.trading import JOB, TradingFloor

FILES = "https://files.example"


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def narrow(floor: TradingFloor, token: str, **order: Any) -> Issued:
    narrower = Narrower(
        tokens=floor.presented, access=floor.access, issuer=floor.issuer, recorder=floor.recorder, clock=floor.clock
    )
    return asyncio.run(narrower.carry_out(NarrowOrder(token=token, **order)))


def child(floor: TradingFloor, token: str, **order: Any) -> Principal:
    return floor.principal(narrow(floor, token, **order).token)


def refused(floor: TradingFloor, token: str, **order: Any) -> CommandError:
    before = floor.issued
    with pytest.raises(CommandError) as caught:
        narrow(floor, token, **order)
    assert floor.issued == before
    return caught.value


def test_without_a_wish_a_child_may_what_its_parent_may_and_names_it(floor: TradingFloor) -> None:
    parent = floor.made(scopes=("models", "metrics"), models=("a", "b"), audiences=(NAME, FILES), ttl_s=7_200)
    floor.change(PrincipalRecord, "alice", scopes=("ai", "metrics"))
    found = child(floor, parent.token)
    assert (found.subject, found.client_id, found.tenant) == ("alice", "jotgate-cli", "")
    assert found.scopes == {"models", "metrics"}
    assert found.models == frozenset("ab")
    assert found.audiences == {NAME, FILES}
    assert found.ancestors == (parent.token_id,)
    assert found.expires_at_s == floor.clock.now_s() + LIFETIME_DEFAULT_S


def test_a_child_is_what_was_asked_for(floor: TradingFloor) -> None:
    parent = floor.made(audiences=(NAME, FILES))
    found = child(floor, parent.token, scopes=("models",), models=("a",), audiences=(NAME,), ttl_s=60, actor="agent")
    assert found.scopes == {"models"}
    assert found.models == frozenset("a")
    assert found.audiences == {NAME}
    assert found.expires_at_s == floor.clock.now_s() + 60
    assert [one.subject for one in found.actors] == ["agent"]
    again = child(floor, narrow(floor, parent.token, actor="agent").token, actor="sub-agent")
    assert [one.subject for one in again.actors] == ["sub-agent", "agent"]


def test_a_child_has_limits_beside_its_parents(floor: TradingFloor) -> None:
    parent = floor.made(limits=(TokenLimit(read_limit("5 requests")),))
    assert child(floor, parent.token, limits=("4 requests",)).limits == (
        TokenLimit(read_limit("4 requests")),
        TokenLimit(read_limit("5 requests"), f"{NAME} {parent.token_id}"),
    )
    with pytest.raises(CommandError, match="'many' is no limit"):
        NarrowOrder(token="t", limits=("many",))


def test_what_may_be_had_is_told_to_who_asks_for_more(floor: TradingFloor) -> None:
    parent = floor.made(scopes=("models", "embeddings"), models=("a", "b"), ttl_s=600)
    assert refused(floor, parent.token, scopes=("ai",)).hint == "What may be: embeddings models"
    assert refused(floor, parent.token, models=("a", "c")).hint == "What may be: a b"
    assert refused(floor, parent.token, audiences=(FILES,)).hint == f"It is for: {NAME}"
    assert "600s" in refused(floor, parent.token, ttl_s=601).hint
    assert child(floor, parent.token, ttl_s=600).expires_at_s == parent.expires_at_s


def test_what_the_record_has_lost_is_not_given_to_a_child(floor: TradingFloor) -> None:
    parent = floor.made()
    floor.change(PrincipalRecord, "alice", scopes=("models",), models=("a",))
    found = child(floor, parent.token)
    assert found.scopes == {"models"}
    assert found.models == frozenset("a")
    assert refused(floor, parent.token, scopes=("embeddings",)).hint == "What may be: models"
    floor.change(PrincipalRecord, "alice", enabled=False)
    assert "unknown, or may have no tokens" in refused(floor, parent.token).message


def test_the_operator_narrows_tokens_of_every_tenant_and_of_who_has_no_record(floor: TradingFloor) -> None:
    floor.put(TenantRecord(name="acme"))
    floor.put(PrincipalRecord(name="bob", tenant="acme", scopes=("ai",)))
    assert child(floor, floor.made("bob").token).tenant == "acme"
    assert child(floor, floor.made("guest").token).subject == "guest"


def test_a_revoked_parent_takes_its_child_with_it_and_gets_no_other(floor: TradingFloor) -> None:
    parent = floor.made()
    found = narrow(floor, parent.token)
    floor.revoke(floor.principal(parent.token))
    with pytest.raises(TokenRevoked):
        floor.principal(found.token)
    for token in (parent.token, found.token):
        with pytest.raises(TokenRevoked):
            narrow(floor, token)


def test_tokens_of_others_and_personal_ones_are_narrowed_too(floor: TradingFloor) -> None:
    found = child(floor, floor.job(sub=JOB))
    assert found.subject == f"ci/{JOB}"
    assert found.scopes == {"ai"}
    found = child(floor, floor.personal("create", scopes=("models",), ttl_s=60), scopes=("models",))
    assert found.subject == "alice"
    assert found.scopes == {"models"}
    assert found.expires_at_s <= floor.clock.now_s() + 60


def test_a_token_for_another_resource_is_narrowed_for_that_one(floor: TradingFloor) -> None:
    parent = narrow(floor, floor.made(audiences=(NAME, FILES)).token, audiences=(FILES,)).token
    with pytest.raises(TokenError):
        floor.principal(parent)
    found = narrow(floor, parent, scopes=("models",)).token
    claims = jwt.peek_unverified(found.encode())[1]
    assert (claims["aud"], claims["scope"]) == (FILES, "models")
    assert refused(floor, found, audiences=(NAME,)).hint == f"It is for: {FILES}"


def test_what_is_no_good_token_is_not_narrowed(floor: TradingFloor) -> None:
    assert "refresh token" in refused(floor, make_opaque(Mark.REFRESH, bytes(32)).reveal()).message
    for token in (floor.keys.expired(), floor.keys.alg_none(), floor.keys.stolen_kid(), b"hello"):
        with pytest.raises(TokenError):
            narrow(floor, token.decode())
    assert floor.issued == 0


def test_who_may_act_is_named_by_the_operator_too(floor: TradingFloor) -> None:
    bound = floor.keys.with_claims(sub="alice", client_id="jotgate-cli", may_act={"sub": "agent"}).decode()
    assert child(floor, bound, actor="agent").actors[0].subject == "agent"
    for order in ({}, {"actor": "other"}):
        assert "may_act" in refused(floor, bound, **order).message


@pytest.mark.parametrize("foreign", [False, True])
def test_TX_05_whom_a_token_speaks_for_is_no_actor_of_its_own(floor: TradingFloor, foreign: bool) -> None:
    token, subject = (floor.job(), f"ci/{JOB}") if foreign else (floor.made().token, "alice")
    assert "needs no actor" in refused(floor, token, actor=subject).message
    assert child(floor, token, actor="robot").actors[0].subject == "robot"


def test_lines_of_children_and_of_actors_have_an_end(floor: TradingFloor) -> None:
    token = floor.made().token
    for number in range(NARROWINGS_MAX):
        token = narrow(floor, token, actor=f"agent-{min(number, ACTORS_MAX - 1)}").token
    assert "narrowed 8 times" in refused(floor, token).message
    acted = floor.made().token
    for number in range(ACTORS_MAX):
        acted = narrow(floor, acted, actor=f"agent-{number}").token
    assert "actors" in refused(floor, acted, actor="one more").message


def test_it_stands_in_the_audit_log_before_it_is_handed_out(floor: TradingFloor) -> None:
    parent = floor.made()
    found = narrow(floor, parent.token, actor="agent")
    presented, issued = floor.log.events[-2:]
    assert (presented.event, presented.actor) == ("token.presented", "jotgate-cli")
    assert presented.details == {"issuer": NAME, "jti": parent.token_id, "actor": "agent"}
    assert (issued.event, issued.details["jti"], issued.details["parent"]) == (
        "token.issued",
        found.token_id,
        parent.token_id,
    )
    assert issued.details["act"] == "agent"
    floor.log.full = True
    with pytest.raises(AuditUnavailable):
        narrow(floor, parent.token)


@pytest.mark.parametrize(
    "order",
    [{"scopes": ("",)}, {"models": ("a\n",)}, {"audiences": (" x",)}, {"actor": "a" * 257}, {"ttl_s": 0},
     {"ttl_s": LIFETIME_MAX_S + 1}],
)  # fmt: skip
def test_an_order_names_plain_texts_and_a_life(order: Any) -> None:
    with pytest.raises(CommandError):
        NarrowOrder(token="x", **order)


def test_an_order_does_not_show_its_token() -> None:
    assert "eyJ" not in repr(NarrowOrder(token="eyJ.a.b"))


def test_a_child_of_a_bound_token_is_bound_as_it_is(floor: TradingFloor) -> None:
    bound = Confirmation("jkt", "A" * 43)
    assert child(floor, floor.made(confirmation=bound).token).confirmation == bound
