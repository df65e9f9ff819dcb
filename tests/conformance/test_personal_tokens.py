"""Personal tokens in every store: found by digest, one name each, dropped with their revocation."""

from msgspec.structs import replace

from jotgate.core.accounts import AccountChange, SecretDigest, TokenUse
from jotgate.core.durable import Revocation, RevocationKind, Versions
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.records import digest, personal_token
from tests.conformance.threads import in_parallel

REVOKED = Revocation(RevocationKind.TOKEN, "a", 1, 100)


def listed(store: Store, owner: str, after: str = "", limit: int = 10) -> str:
    return "".join(one.token_id for one in store.personal_tokens(owner, after, limit))


def test_a_token_comes_back_as_it_was_kept_and_by_each_of_its_secrets(store: Store) -> None:
    assert store.put_personal_token(sample.PERSONAL_TOKEN) == 1
    kept = replace(sample.PERSONAL_TOKEN, version=1)
    assert store.personal_token("pt") == kept
    assert [store.find_personal_token(secret.digest) for secret in kept.secrets] == [kept, kept]
    assert store.personal_tokens("ann", "", 10) == (kept,)


def test_nobody_knows_a_digest_that_no_token_has(store: Store) -> None:
    store.put_personal_token(personal_token("a"))
    assert store.find_personal_token(digest("b")) is None
    assert store.find_personal_token(b"") is None
    assert store.find_personal_token(digest("a")[:-1]) is None
    assert store.personal_token("b") is None


def test_a_token_that_is_rolled_is_found_by_the_secrets_that_it_has_then(store: Store) -> None:
    first, second, third = (SecretDigest(digest(name), 1) for name in ("a", "a1", "a2"))
    store.put_personal_token(personal_token("a"))
    assert store.put_personal_token(replace(personal_token("a", 1), secrets=(first, second))) == 2
    assert store.put_personal_token(replace(personal_token("a", 2), secrets=(second, third))) == 3
    found = [store.find_personal_token(secret.digest) for secret in (first, second, third)]
    assert found == [None, store.personal_token("a"), store.personal_token("a")]
    assert store.put_personal_token(replace(personal_token("a", 3), secrets=())) == 4
    assert store.find_personal_token(third.digest) is None


def test_a_token_is_changed_only_by_who_has_seen_the_last_change(store: Store) -> None:
    assert store.put_personal_token(personal_token("a", 1)) is None
    assert store.put_personal_token(personal_token("a")) == 1
    assert store.put_personal_token(replace(personal_token("a"), secrets=(SecretDigest(digest("b"), 1),))) is None
    assert store.find_personal_token(digest("b")) is None
    assert store.put_personal_token(personal_token("a", 1, expires_at_s=200)) == 2
    assert not store.drop_personal_token("a", 1, REVOKED)
    assert store.personal_token("a") == personal_token("a", 2, expires_at_s=200)


def test_an_owner_has_one_token_of_a_name(store: Store) -> None:
    assert store.put_personal_token(personal_token("a", name="laptop")) == 1
    assert store.put_personal_token(personal_token("b", name="laptop")) is None
    assert store.put_personal_token(personal_token("b", name="laptop", owner="bob")) == 2
    assert store.put_personal_token(personal_token("c", name="ci")) == 3
    assert store.put_personal_token(personal_token("c", 3, name="laptop")) is None
    assert store.put_personal_token(personal_token("a", 1, name="laptop", expires_at_s=9)) == 4
    assert store.drop_personal_token("a", 4, REVOKED)
    assert store.put_personal_token(personal_token("c", 3, name="laptop")) == 6
    assert store.versions().accounts == 6


def test_of_several_tokens_of_one_name_at_once_one_is_made(store: Store) -> None:
    found = in_parallel(lambda index: store.put_personal_token(personal_token(str(index), name="laptop")))
    assert sorted(found, key=lambda version: version is None)[:2] == [1, None]
    assert len(store.personal_tokens("", "", 10)) == 1


def test_tokens_are_paged_by_the_bytes_of_their_ids(store: Store) -> None:
    for token_id in ("a", "B", "_"):
        store.put_personal_token(personal_token(token_id))
    store.put_personal_token(personal_token("Z", owner="bob"))
    assert listed(store, "") == "BZ_a"
    assert listed(store, "", "B", 2) == "Z_"
    assert listed(store, "ann") == "B_a"
    assert listed(store, "ann", "B", 1) == "_"
    assert listed(store, "nobody") == ""


def test_a_token_is_dropped_and_revoked_in_one(store: Store) -> None:
    store.put_personal_token(personal_token("a"))
    assert not store.drop_personal_token("a", 2, REVOKED)
    assert not store.drop_personal_token("b", 1, REVOKED)
    assert store.revocations_after(0, 10) == ()
    assert store.drop_personal_token("a", 1, REVOKED)
    assert (store.personal_token("a"), store.find_personal_token(digest("a"))) == (None, None)
    assert store.revocations_after(0, 10) == (replace(REVOKED, number=1),)
    assert store.accounts_after(0, 10) == (AccountChange("personal_token", "a", 2),)
    assert not store.drop_personal_token("a", 1, REVOKED)
    assert store.versions() == Versions(0, 0, 1, 2)


def test_of_several_who_drop_a_token_one_does(store: Store) -> None:
    store.put_personal_token(personal_token("a"))
    found = in_parallel(lambda _: store.drop_personal_token("a", 1, REVOKED))
    assert found.count(True) == 1
    assert store.versions() == Versions(0, 0, 1, 2)


def test_the_last_use_only_moves_on_and_is_no_change(store: Store) -> None:
    """Two machines tell of the same token in any order, and nobody's compare-and-set fails for it."""
    store.put_personal_token(personal_token("a"))
    store.touch_personal_tokens([])
    store.touch_personal_tokens([TokenUse("a", 20, "192.0.2.2"), TokenUse("gone", 20, ""), TokenUse("a", 10, "late")])
    store.touch_personal_tokens([TokenUse("a", 20, "same time")])
    kept = replace(personal_token("a", 1), last_used_at_s=20, last_used_from="192.0.2.2")
    assert store.personal_token("a") == kept
    assert store.personal_token("gone") is None
    assert store.versions().accounts == 1
    store.touch_personal_tokens([TokenUse("a", 21, ""), TokenUse("a", 22, "2001:db8::1")])
    assert store.personal_token("a") == replace(kept, last_used_at_s=22, last_used_from="2001:db8::1")


def test_uses_that_are_told_at_once_are_all_kept(store: Store) -> None:
    for name in "ab":
        store.put_personal_token(personal_token(name))
    uses = [TokenUse("a", 20, ""), TokenUse("b", 20, "")]
    in_parallel(lambda index: store.touch_personal_tokens(uses if index % 2 else uses[::-1]))
    assert [one.last_used_at_s for one in store.personal_tokens("", "", 10)] == [20, 20]


def test_tokens_that_have_ended_are_forgotten_oldest_first(store: Store) -> None:
    for name, end_s in (("a", 12), ("b", 11), ("c", 13), ("d", 12)):
        store.put_personal_token(personal_token(name, expires_at_s=end_s))
    assert store.drop_personal_tokens(10, 10) == 0
    assert store.drop_personal_tokens(12, 1) == 1
    assert listed(store, "") == "acd"
    assert store.drop_personal_tokens(12, 10) == 2
    assert listed(store, "") == "c"
    assert [store.find_personal_token(digest(name)) is None for name in "abcd"] == [True, True, False, True]
    assert [(one.name, one.version) for one in store.accounts_after(4, 10)] == [("b", 5), ("a", 6), ("d", 7)]
    assert store.revocations_after(0, 10) == ()
