"""The delegation tree: what a token comes of, what came of it, and how each of them stands."""

from typing import Any

import pytest

from jotgate.core.accounts import PrincipalRecord
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.grants import JWT_URN
from jotgate.core.token_orders import TokenListing
from jotgate.core.tree_orders import TREE_MAX, TokenTree, TreeOrder
from jotgate.errors import CommandError
from jotgate.services.token_ledger import TokenLedger
from jotgate.services.token_tree import TreeReader
from tests.callers import NAME
from tests.trading import CI, TradingFloor, claims_of


@pytest.fixture
def floor() -> TradingFloor:
    found = TradingFloor()
    found.put(PrincipalRecord(name="agent", scopes=("ai",)))
    return found


def read(floor: TradingFloor, name: str = "", /, **order: Any) -> TokenTree:
    now_s = floor.clock.now_s()
    reader = TreeReader(floor.store, TokenLedger(floor.store, floor.revoked.counts, NAME, now_s), NAME, now_s)
    return reader.carry_out(TreeOrder(**({"token_id": name} if name else order)))


def drawn(tree: TokenTree) -> list[str]:
    """Each token as a line: how deep, which, how it stands."""
    return [f"{'*' if node.named else '-'}{node.depth} {node.token_id} {node.state}" for node in tree.nodes]


def test_a_token_is_shown_with_those_above_and_all_below(floor: TradingFloor) -> None:
    root = floor.made()
    floor.clock.advance(1)
    first = floor.trade(root.token, actor_token=floor.made("agent").token, actor_token_type=JWT_URN)
    second = floor.trade(root.token)
    third = floor.trade(first.access_token)
    ids = [claims_of(one)["jti"] for one in (first, second, third)]
    whole = read(floor, root.token_id)
    assert sorted(drawn(whole)[1:]) == sorted([f"-1 {ids[0]} live", f"-1 {ids[1]} live", f"-2 {ids[2]} live"])
    assert drawn(whole)[0] == f"*0 {root.token_id} live"
    assert drawn(whole).index(f"-2 {ids[2]} live") == drawn(whole).index(f"-1 {ids[0]} live") + 1
    part = read(floor, ids[0])
    assert drawn(part) == [f"-0 {root.token_id} live", f"*1 {ids[0]} live", f"-2 {ids[2]} live"]
    view = part.nodes[1].view
    assert view is not None
    assert (view.subject, view.client_id, view.actor) == ("alice", "app", "agent")
    assert not whole.more


def test_it_shows_what_was_revoked_with_all_below_and_what_has_ended(floor: TradingFloor) -> None:
    root = floor.made()
    child = floor.trade(root.token)
    grandchild = floor.trade(child.access_token)
    ids = [claims_of(one)["jti"] for one in (child, grandchild)]
    floor.revoke(floor.principal(child.access_token))
    assert drawn(read(floor, root.token_id)) == [
        f"*0 {root.token_id} live",
        f"-1 {ids[0]} revoked",
        f"-2 {ids[1]} revoked",
    ]
    floor.clock.advance(3_600)
    assert {line.split(" ")[2] for line in drawn(read(floor, ids[1]))} == {"ended"}


@pytest.mark.parametrize("how", ["token", "holder"])
def test_a_child_ends_there_too_with_the_token_of_who_acts_by_it(floor: TradingFloor, how: str) -> None:
    root, acting = floor.made(), floor.made("agent")
    child = floor.trade(root.token, actor_token=acting.token, actor_token_type=JWT_URN)
    grandchild = floor.trade(child.access_token)
    ids = [claims_of(one)["jti"] for one in (child, grandchild)]
    assert {line.split(" ")[2] for line in drawn(read(floor, root.token_id))} == {"live"}
    if how == "token":
        floor.revoke(floor.principal(acting.token))
    else:
        now_s = int(floor.clock.now_s())
        floor.revoked.take_rows([Revocation(RevocationKind.SUBJECT, f"{NAME} agent", now_s, None, now_s)])
    assert drawn(read(floor, root.token_id)) == [
        f"*0 {root.token_id} live",
        f"-1 {ids[0]} revoked",
        f"-2 {ids[1]} revoked",
    ]
    ledger = TokenLedger(floor.store, floor.revoked.counts, NAME, floor.clock.now_s())
    assert [one.token_id for one in ledger.page(TokenListing(live=True, subject="alice"))[0]] == [root.token_id]


def test_what_came_of_a_session_elsewhere_ends_there_with_it(floor: TradingFloor) -> None:
    child = claims_of(floor.trade(floor.job(typ="at+jwt", scope="ai", sid="s-1")))
    (before,) = (line for line in drawn(read(floor, child["jti"])) if child["jti"] in line)
    assert before.endswith(" live")
    floor.revoked.take_rows([Revocation(RevocationKind.SESSION, f"{CI} s-1", int(floor.clock.now_s()))])
    (after,) = (line for line in drawn(read(floor, child["jti"])) if child["jti"] in line)
    assert after.endswith(" revoked")


def test_a_token_is_found_by_itself_whether_it_is_good_or_not(floor: TradingFloor) -> None:
    root = floor.made()
    floor.revoke(floor.principal(root.token))
    assert drawn(read(floor, token=root.token)) == [f"*0 {root.token_id} revoked"]


def test_a_personal_token_and_another_issuers_are_roots_too(floor: TradingFloor) -> None:
    personal = floor.personal("create", scopes=("models",), ttl_s=60)
    child = claims_of(floor.trade(personal))
    (root,) = child["ancestors"]
    for tree in (read(floor, token=personal), read(floor, root), read(floor, child["jti"])):
        assert [line[3:] for line in drawn(tree)] == [f"{root} live", f"{child['jti']} live"]
    floor.personal("revoke")
    assert drawn(read(floor, root)) == [f"*0 {root} revoked", f"-1 {child['jti']} revoked"]
    job = floor.job(jti="j-1")
    child = claims_of(floor.trade(job, subject_token_type=JWT_URN))
    for tree in (read(floor, token=job), read(floor, f"{CI} j-1")):
        assert drawn(tree) == [f"*0 {CI} j-1 unknown", f"-1 {child['jti']} live"]
    floor.revoke(floor.principal(job))
    assert drawn(read(floor, child["jti"])) == [f"-0 {CI} j-1 revoked", f"*1 {child['jti']} revoked"]


def test_what_is_shown_is_bounded(floor: TradingFloor) -> None:
    root = floor.made()
    now_s = int(floor.clock.now_s())
    rows = [
        Issuance(f"c{number}", "alice", "app", "k", now_s, now_s + 60, parent=root.token_id)
        for number in range(TREE_MAX + 10)
    ]
    floor.store.add_issuances(rows[: TREE_MAX - 1])
    whole = read(floor, root.token_id)
    assert (len(whole.nodes), whole.more) == (TREE_MAX, False)
    floor.store.add_issuances(rows)
    cut = read(floor, root.token_id)
    assert (len(cut.nodes), cut.more) == (TREE_MAX, True)


@pytest.mark.parametrize("order", [{"token_id": "unknown"}, {"token": "hello"}, {"token": "jot_p_" + "A" * 43}])
def test_of_what_is_not_known_that_is_said(floor: TradingFloor, order: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        read(floor, **order)


def test_one_token_is_named_and_never_one_where_others_can_read_it() -> None:
    for order in ({}, {"token_id": "a", "token": "b"}, {"token_id": "jot_p_" + "A" * 43}, {"token_id": "a" * 513}):
        with pytest.raises(CommandError):
            TreeOrder(**order)
    assert "eyJ" not in repr(TreeOrder(token="eyJ.a.b"))
