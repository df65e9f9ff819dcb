"""What is revoked is refused until it means nothing, then forgotten; revoking is told to the store and to the log."""

import asyncio

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord
from jotgate.core.claims import RENEWED_CLIENT_ID
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.revocations import Entry, names_of, token_handle
from jotgate.errors import TokenRevoked
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import PAGE, Revocable, RevokedSet, Revoker, end_family, load_revocations
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.callers import NAME, principal
from tests.token_stage import EventLog

_FAMILY = Family(family_id="f", client_id="c", subject="alice", idle_s=60, created_at_s=1, ends_at_s=10_000)
_FIRST = RefreshRecord(digest=b"1", family_id="f", generation=0, issued_at_s=1, expires_at_s=61)


def token_row(token_id: str, expires_at_s: int | None, number: int = 0) -> Revocation:
    return Revocation(RevocationKind.TOKEN, token_handle(NAME, token_id), 1, expires_at_s, number=number)


def names(token_id: str) -> tuple[str, ...]:
    return names_of(replace(principal(), token_id=token_id), NAME)


def test_what_was_taken_is_not_spared_and_all_else_is() -> None:
    revoked = RevokedSet()
    assert revoked.spares(names("a"))
    told = revoked.take_rows([token_row("a", 100, number=4), token_row("b", None, number=5)])
    assert (revoked.cursor, len(revoked)) == (5, 2)
    assert not revoked.spares(names("a"))
    assert not revoked.spares(names("b"))
    assert not revoked.spares(names_of(replace(principal(), token_id="c", ancestors=("x", "a")), NAME))
    assert revoked.spares(names("c"))
    other = RevokedSet()
    other.take(told)
    other.take(told)
    assert sorted(entry.name for entry in other.entries()) == sorted(entry.name for entry in told)


def test_an_entry_is_forgotten_after_its_end_and_leeway_and_one_without_end_never() -> None:
    revoked = RevokedSet()
    revoked.take_rows([token_row("a", 6_000), token_row("b", None)])
    revoked.forget(6_059)
    assert not revoked.spares(names("a"))
    revoked.forget(6_120)
    assert revoked.spares(names("a"))
    assert not revoked.spares(names("b"))
    assert revoked.entries() == [Entry(f"token {NAME} b", None)]


@pytest.mark.parametrize("first", [600, 6_000, None])
@pytest.mark.parametrize("second", [600, 6_000, None])
def test_of_two_ends_the_later_one_counts(first: int | None, second: int | None) -> None:
    revoked = RevokedSet()
    revoked.take_rows([token_row("a", first)])
    revoked.take_rows([token_row("a", second)])
    revoked.forget(1_000)
    assert revoked.spares(names("a")) == (first == second == 600)
    revoked.forget(10_000)
    assert revoked.spares(names("a")) == (None not in {first, second})


def test_much_that_ends_at_once_is_forgotten_in_steps_of_bounded_work() -> None:
    revoked = RevokedSet()
    count = 5 * PAGE // 2
    revoked.take(Entry(f"token {number}", 60) for number in range(count))
    left = []
    while len(revoked):
        revoked.forget(1_000_000)
        left.append(len(revoked))
    assert left == [count - PAGE, count - 2 * PAGE, 0]


def test_a_refusal_names_the_claim_and_never_the_others() -> None:
    revoked = RevokedSet()
    revoked.take_rows([token_row("a", None)])
    whose = replace(principal(), token_id="c", ancestors=("x", "a"))
    with pytest.raises(TokenRevoked) as refused:
        revoked.check(whose, names_of(whose, NAME), 0)
    assert (refused.value.claim, refused.value.got) == ("ancestors", "a")
    assert refused.value.message == "a token that this one was narrowed from was revoked"


def test_a_watermark_meets_what_was_issued_until_then_and_what_does_not_say_when() -> None:
    revoked = RevokedSet()
    revoked.take_rows([Revocation(RevocationKind.CLIENT, "app", 1, before_s=1_000)])
    assert not revoked.spares(("client app",))
    for issued_at_s, leeway_s, met in ((1_000, 0, True), (1_005, 5, True), (1_005.5, 5, False), (None, 0, True)):
        assert (revoked.find(("x", "client app"), issued_at_s, leeway_s) is not None) is met
    whose = replace(principal(), client_id="app", issued_at_s=1_001)
    revoked.check(whose, names_of(whose, NAME), 0)
    with pytest.raises(TokenRevoked, match="what was issued to the token's client was revoked"):
        revoked.check(whose, names_of(whose, NAME), 1)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_watermarks_the_later_counts_and_what_counts_not_at_all_counts_most(order: int) -> None:
    rows = [Revocation(RevocationKind.CLIENT, "app", 1, before_s=before_s) for before_s in (1_000, 2_000)][::order]
    revoked, other = RevokedSet(), RevokedSet()
    revoked.take_rows(rows)
    assert [entry.before_s for entry in revoked.entries()] == [2_000]
    both = [*rows, Revocation(RevocationKind.CLIENT, "app", 1)][::order]
    revoked.take_rows(both)
    assert [entry.before_s for entry in revoked.entries()] == [None]
    other.take(revoked.entries())
    assert other.find(("client app",), 9_999, 0) == "client app"


def test_a_watermark_is_forgotten_as_whole_as_it_was_taken() -> None:
    revoked = RevokedSet()
    revoked.take_rows([Revocation(RevocationKind.TENANT, "acme", 1, 6_000, before_s=5_000)])
    revoked.forget(6_120)
    assert len(revoked) == 0
    revoked.take_rows([Revocation(RevocationKind.TENANT, "acme", 1, 9_000)])
    assert revoked.find(("tenant acme",), 8_000, 0) == "tenant acme"


def test_who_follows_is_told_of_what_is_new_and_of_what_reaches_further() -> None:
    revoked = RevokedSet()
    told: list[object] = []
    revoked.take([Entry("token a", None)])
    revoked.follow(told.append)
    growth = revoked.growth
    revoked.take([Entry("token a", None), Entry("token a", 60)])
    assert (told, revoked.growth) == ([], growth)
    revoked.take([Entry("token a", None), Entry("client b", 600, 5), Entry("token c", None)])
    revoked.take([Entry("client b", 600, 7)])
    assert told == [[Entry("client b", 600, 5), Entry("token c", None)], [Entry("client b", 600, 7)]]
    assert revoked.growth is not growth


class Bench:
    """A store, and who revokes in it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.log = EventLog()
        self.clock = ManualClock()
        self.looks = 0
        self.revoker = Revoker(DirectAccess(self.store), Recorder(self.log, self.clock), self.clock, self.look)

    async def look(self) -> None:
        self.looks += 1


def test_a_revoked_token_is_kept_recorded_and_looked_at_at_once() -> None:
    bench = Bench()
    asyncio.run(bench.revoker.revoke_token(NAME, "t-1", 7_777, reason="lost", actor="operator", subject="alice"))
    (row,) = bench.store.revocations_after(0, 10)
    assert (row.handle, row.expires_at_s, row.reason) == (token_handle(NAME, "t-1"), 7_777, "lost")
    (event,) = bench.log.named("token.revoked")
    assert (event.actor, event.subject, event.details["jti"]) == ("operator", "alice", "t-1")
    assert bench.looks == 1


def test_a_family_ends_once_and_what_came_of_it_is_revoked_for_as_long_as_it_lives() -> None:
    bench = Bench()
    bench.store.add_family(_FAMILY, _FIRST)
    now_s = int(bench.clock.now_s())
    bench.store.add_issuances([Issuance("t", "alice", "c", "k", now_s, now_s + 90_000, family="f")])
    assert asyncio.run(bench.revoker.end_family(_FAMILY, reason="reuse", actor="jotgate"))
    assert not asyncio.run(bench.revoker.end_family(_FAMILY, reason="reuse", actor="jotgate"))
    (row,) = bench.store.revocations_after(0, 10)
    assert (row.kind, row.handle, row.expires_at_s) == (RevocationKind.FAMILY, "f", now_s + 90_000)
    assert len(bench.log.named("family.ended")) == 1
    assert bench.looks == 1


def test_a_family_without_tokens_is_revoked_for_as_long_as_one_that_is_being_issued_may_live() -> None:
    bench = Bench()
    bench.store.add_family(_FAMILY, _FIRST)
    bench.store.put_account(ClientRecord(name="c", access_ttl_s=120))
    assert end_family(bench.store, _FAMILY, 500.5, reason="", actor="")
    (row,) = bench.store.revocations_after(0, 10)
    assert row.expires_at_s == 620
    renewed = replace(_FAMILY, family_id="g", client_id=RENEWED_CLIENT_ID)
    bench.store.add_family(renewed, replace(_FIRST, digest=b"2", family_id="g"))
    assert end_family(bench.store, renewed, 500.5, reason="", actor="")
    assert bench.store.revocations_after(1, 10)[0].expires_at_s == 500 + 86_400


def test_what_is_revoked_for_a_time_to_come_counts_from_then_on() -> None:
    bench = Bench()
    tokens = [Revocable(NAME, "t-1", None, "alice")]
    asyncio.run(bench.revoker.revoke_tokens(tokens, reason="refreshed", actor="me", after_s=10))
    assert bench.log.named("token.revoked")[0].details["after"] == 10
    now_s, revoked = bench.clock.now_s(), RevokedSet()
    rows = bench.store.revocations_after(0, 10)
    assert revoked.take_rows(rows, now_s) == revoked.take_rows(rows, now_s) == []
    assert (revoked.cursor, revoked.take_due(now_s + 9), len(revoked)) == (1, [], 0)
    assert len(revoked.take_due(now_s + 10)) == 1
    assert not revoked.spares(names("t-1"))
    assert revoked.take_due(now_s + 11) == []
    assert len(load_revocations(bench.store)) == 1, "who looks once takes it for revoked"
    behind = RevokedSet()
    assert len(behind.take_rows(rows, now_s + 8)) == 1, "of a clock that is two seconds ahead it is no time to come"
