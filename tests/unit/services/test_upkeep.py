"""What has ended is forgotten, in batches; what could still be asked for stays."""

from msgspec.structs import replace

from jotgate.core.accounts import PersonalToken, PrincipalRecord
from jotgate.core.durable import Issuance, IssuanceQuery, Mark, Revocation, RevocationKind
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.ledger import LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.quotas import Limit, Quota
from jotgate.services.upkeep import BATCH, erase_sealed, post_lost, tidy
from jotgate.stores.memory import MemoryStore
from tests.conformance.sample import ENDLESS, OBJECT

_DAY_S = 86_400
_NOW_S = 100 * _DAY_S


def family(name: str, ends_at_s: int) -> tuple[Family, RefreshRecord]:
    whole = Family(family_id=name, client_id="c", subject="s", idle_s=60, created_at_s=1, ends_at_s=ends_at_s)
    first = RefreshRecord(digest=name.encode(), family_id=name, generation=0, issued_at_s=1, expires_at_s=ends_at_s)
    return whole, first


def test_what_has_ended_goes_and_what_counts_stays() -> None:
    store = MemoryStore()
    store.put_account(PrincipalRecord(name="s"))
    for name, end_s in (("gone", _NOW_S - 31 * _DAY_S), ("here", _NOW_S + 1)):
        store.add_issuances([Issuance(name, "s", "c", "k", 1, end_s)])
        store.revoke([Revocation(RevocationKind.TOKEN, name, 1, end_s)])
        assert store.mark(Mark("jti", name, end_s), 0) is None
        store.add_family(*family(name, end_s))
        store.put_personal_token(PersonalToken(token_id=name, owner="s", name=name, expires_at_s=end_s))
    store.revoke([Revocation(RevocationKind.TOKEN, "for good", 1)])
    assert not tidy(store, _NOW_S)
    assert [row.token_id for row in store.find_issuances(IssuanceQuery(live_at_s=0), "", 9)] == ["here"]
    assert [row.handle for row in store.revocations_after(0, 9)] == ["here", "for good"]
    assert store.mark(Mark("jti", "gone", _NOW_S), 0) is None
    assert store.mark(Mark("jti", "here", _NOW_S), 0) is not None
    assert (store.family("gone"), store.family("here") is None) == (None, False)
    assert [one.token_id for one in store.personal_tokens("s", "", 9)] == ["here"]


def test_tokens_that_never_expire_are_forgotten_when_nobody_used_them_for_long() -> None:
    store = MemoryStore()
    for digest, days in (("long ago", 400), ("lately", 399)):
        at_s = _NOW_S * 5 - days * _DAY_S
        store.see_endless_tokens([replace(ENDLESS, digest=digest, first_seen_at_s=1, last_seen_at_s=at_s)])
    tidy(store, _NOW_S * 5)
    assert [one.digest for one in store.endless_tokens("", "", 9)] == ["lately"]


def test_what_somebody_owned_is_forgotten_when_it_has_expired_by_every_clock() -> None:
    store = MemoryStore()
    store.put_owned_object(replace(OBJECT, expires_s=_NOW_S, used_s=1), 9)
    tidy(store, _NOW_S + 59)
    assert store.owned_object(OBJECT.key, 1) is not None
    tidy(store, _NOW_S + 60)
    assert store.owned_object(OBJECT.key, 1) is None


def test_a_revocation_stays_for_as_long_as_any_leeway_keeps_its_token_on_any_machine() -> None:
    store = MemoryStore()
    store.revoke([Revocation(RevocationKind.TOKEN, "t", 1, _NOW_S)])
    tidy(store, _NOW_S + 119)
    assert len(store.revocations_after(0, 9)) == 1
    tidy(store, _NOW_S + 120)
    assert len(store.revocations_after(0, 9)) == 0


def test_a_successor_is_erased_once_no_grace_can_give_it_any_more() -> None:
    store = MemoryStore()
    whole, first = family("f", _NOW_S + _DAY_S)
    store.add_family(whole, first)
    used = RefreshRecord(
        digest=first.digest, family_id="f", generation=0, issued_at_s=1, expires_at_s=_NOW_S + 9, used_at_s=_NOW_S,
        successor=b"sealed",
    )  # fmt: skip
    after = RefreshRecord(digest=b"2", family_id="f", generation=1, issued_at_s=_NOW_S, expires_at_s=_NOW_S + 9)
    assert store.rotate_family(whole, used, after)

    def sealed() -> bytes | None:
        found = store.find_family(first.digest)
        return None if found is None else found.token.successor

    erase_sealed(store, _NOW_S + 15, 10)  # Another machine's clock may be a few seconds behind.
    assert sealed() == b"sealed"
    erase_sealed(store, _NOW_S + 16, 10)
    assert sealed() is None


def test_much_that_has_ended_goes_in_batches_until_nothing_is_left() -> None:
    store = MemoryStore()
    store.add_issuances([Issuance(f"{number}", "s", "c", "k", 1, 2) for number in range(2 * BATCH + 1)])
    left = []
    while tidy(store, _NOW_S):
        left.append(store.count_issuances(IssuanceQuery(live_at_s=0)))
    assert left == [BATCH + 1, 1]
    assert store.count_issuances(IssuanceQuery(live_at_s=0)) == 0


def test_leases_that_ran_out_are_posted_and_forgotten_with_their_windows() -> None:
    now_s = [float(_NOW_S)]
    store = MemoryStore(lambda: now_s[0])
    meter = meter_of(Quota("q", Limit("requests", 2 * BATCH, "minute")), ("iss ann",))
    store.turn([LeaseAsk(f"{number}", meter, want=1, least=1) for number in range(BATCH + 1)])
    assert not post_lost(store)
    now_s[0] += 16
    assert [post_lost(store), post_lost(store)] == [True, False]
    assert store.balances([meter])[0].lost == BATCH + 1
    now_s[0] += 2 * _DAY_S
    assert [tidy(store, now_s[0]), tidy(store, now_s[0])] == [True, False]
    assert store.drop_leases(1) == store.drop_windows(1) == 0
