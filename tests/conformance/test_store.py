"""What every store does, in memory, in SQLite and in PostgreSQL alike."""

import random
import threading

import msgspec
import pytest

from jotgate.core.durable import (
    Issuance,
    IssuanceQuery,
    IssuerRecord,
    KeyRecord,
    KeyRing,
    KeyState,
    Revocation,
    RevocationKind,
    Versions,
)
from jotgate.errors import CommandError
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess, ThreadedAccess
from tests.conformance.threads import THREADS, in_parallel
from tests.loops import on_loop

RANDOM = random.Random(1).randbytes(1024).hex()  # noqa: S311
"""As long as a text may be, and too random to be packed for an index."""


def key(kid: str, created_at_s: int = 1, **more: object) -> KeyRecord:
    """A key that is not sealed and not active, unless said otherwise."""
    plain = KeyRecord(kid, "ES256", b'{"kty":"EC"}', None, KeyState.PENDING, created_at_s)
    return msgspec.structs.replace(plain, **more)


def issuance(token_id: str, **more: object) -> Issuance:
    """A token of `ann` that ends at 100."""
    return msgspec.structs.replace(Issuance(token_id, "ann", "cli", "k1", 1, 100), **more)


def revocation(handle: str, kind: RevocationKind = RevocationKind.TOKEN, **more: object) -> Revocation:
    """A revocation that ends at 100."""
    return msgspec.structs.replace(Revocation(kind, handle, 1, 100), **more)


def test_an_empty_store_is_empty(store: Store) -> None:
    assert store.fact("issuer") is None
    assert store.key_ring() == KeyRing(0, ())
    assert store.issuers() == ()
    assert store.issuance("t") is None
    assert store.revocations_after(0, 10) == ()
    assert store.versions() == Versions(0, 0, 0, 0)


def test_revocations_are_found_by_what_they_speak_of(store: Store) -> None:
    first = revocation("t", before_s=5)
    other = revocation("t", RevocationKind.FAMILY)
    last = revocation("t", reason="lost", actor="ann")
    store.revoke([first, other, revocation("u"), last])
    found = store.revocations_of(RevocationKind.TOKEN, "t")
    assert [(one.before_s, one.reason) for one in found] == [(5, ""), (None, "lost")]
    assert [one.number for one in found] == sorted(one.number for one in found)
    assert [one.kind for one in store.revocations_of(RevocationKind.FAMILY, "t")] == [RevocationKind.FAMILY]
    assert store.revocations_of(RevocationKind.TOKEN, "T") == ()


def test_a_fact_is_fixed_once(store: Store) -> None:
    assert store.fix_fact("issuer", "https://one.example") == "https://one.example"
    assert store.fix_fact("issuer", "https://two.example") == "https://one.example"
    assert store.fact("issuer") == "https://one.example"
    assert store.fix_fact("other", "") == ""
    assert store.fact("other") == ""


def test_everybody_who_fixes_a_fact_gets_the_same(store: Store) -> None:
    """Two machines that start at once are one installation or do not start."""
    found = in_parallel(lambda index: store.fix_fact("issuer", str(index)))
    assert {store.fact("issuer")} == set(found)


def test_keys_come_back_as_they_were_kept_oldest_first(store: Store) -> None:
    full = KeyRecord("b", "RS256", b"\x00\xff", b"\x01\x00", KeyState.COMPROMISED, 2, 3, 4, 5, 6, 7)
    assert store.put_keys(0, [full, key("c", 3), key("a", 2)]) == 1
    assert store.key_ring() == KeyRing(1, (key("a", 2), full, key("c", 3)))


@pytest.mark.parametrize("state", KeyState)
def test_a_key_is_kept_in_every_state(store: Store, state: KeyState) -> None:
    store.put_keys(0, [key("a", state=state)])
    assert store.key_ring().keys[0].state is state


def test_a_change_of_one_key_leaves_the_others(store: Store) -> None:
    store.put_keys(0, [key("a", sealed=b"s"), key("b")])
    gone = key("a", state=KeyState.GONE, ended_at_s=9)
    assert store.put_keys(1, [gone]) == 2
    assert store.key_ring() == KeyRing(2, (gone, key("b")))


def test_keys_are_changed_only_by_who_has_seen_the_last_change(store: Store) -> None:
    assert store.put_keys(0, [key("a")]) == 1
    assert store.put_keys(0, [key("b")]) is None
    assert store.put_keys(2, [key("b")]) is None
    assert store.key_ring() == KeyRing(1, (key("a"),))


def test_of_several_rotations_at_once_one_is_done(store: Store) -> None:
    """A scheduled rotation runs on every machine, and makes one new key."""
    found = in_parallel(lambda index: store.put_keys(0, [key(f"k{index}")]))
    assert sorted(found, key=lambda version: version is None)[:2] == [1, None]
    assert len(store.key_ring().keys) == 1


def test_an_issuer_is_kept_changed_and_dropped(store: Store) -> None:
    first = IssuerRecord("google", b'{"url":"x"}', created_at_s=5, updated_at_s=5)
    assert store.put_issuer(first) == 1
    assert store.put_issuer(IssuerRecord("apple", b"{}")) == 2
    changed = msgspec.structs.replace(first, content=b"{}", enabled=False, version=1, updated_at_s=6)
    assert store.put_issuer(changed) == 3
    kept = msgspec.structs.replace(changed, version=3)
    assert store.issuers() == (IssuerRecord("apple", b"{}", version=2), kept)
    assert store.drop_issuer("apple", 2)
    assert store.issuers() == (kept,)
    assert store.versions() == Versions(0, 4, 0)


def test_an_issuer_is_changed_only_by_who_has_seen_the_last_change(store: Store) -> None:
    record = IssuerRecord("a", b"{}")
    assert store.put_issuer(msgspec.structs.replace(record, version=1)) is None
    assert store.put_issuer(record) == 1
    assert store.put_issuer(record) is None
    assert not store.drop_issuer("a", 2)
    assert not store.drop_issuer("b", 1)
    assert store.drop_issuer("a", 1)
    # One that was dropped and made again has a version that it never had.
    assert store.put_issuer(record) == 3
    assert store.put_issuer(msgspec.structs.replace(record, version=1)) is None


def test_of_several_changes_of_an_issuer_at_once_one_is_done(store: Store) -> None:
    found = in_parallel(lambda index: store.put_issuer(IssuerRecord("a", str(index).encode())))
    (winner,) = [index for index, version in enumerate(found) if version is not None]
    assert store.issuers() == (IssuerRecord("a", str(winner).encode(), version=1),)


def test_issued_tokens_are_found_by_what_they_share(store: Store) -> None:
    rows = [
        issuance("a"),
        issuance("b", client_id="web", family="f"),
        issuance("c", subject="bob", parent="a", kid="k2"),
        issuance("d", expires_at_s=50),
    ]
    store.add_issuances(rows)
    assert store.issuance("c") == rows[2]

    def found(**query: object) -> str:
        chosen = msgspec.structs.replace(IssuanceQuery(live_at_s=50), **query)
        tokens = "".join(row.token_id for row in store.find_issuances(chosen, "", 10))
        assert store.count_issuances(chosen) == len(tokens)
        return tokens

    assert found() == "abc"
    assert found(live_at_s=49) == "abcd"
    assert found(live_at_s=100) == ""
    assert found(subject="ann") == "ab"
    assert found(client_id="cli") == "ac"
    assert found(kid="k2") == "c"
    assert found(parent="a") == "c"
    assert found(family="f", subject="ann") == "b"
    assert found(family="f", subject="bob") == ""


def test_issued_tokens_are_paged_by_the_bytes_of_their_ids(store: Store) -> None:
    """In a language's order `a` would stand before `B`, and `_` nowhere."""
    store.add_issuances([issuance(token_id) for token_id in ("a", "B", "_", "Z", "b", "-")])
    query = IssuanceQuery(live_at_s=1)
    pages, after = [], ""
    while page := store.find_issuances(query, after, 2):
        pages.append("".join(row.token_id for row in page))
        after = page[-1].token_id
    assert pages == ["-B", "Z_", "ab"]


def test_an_issued_token_is_kept_once(store: Store) -> None:
    """A batch whose answer was lost is sent again."""
    store.add_issuances([])
    store.add_issuances([issuance("a")])
    store.add_issuances([issuance("a", subject="bob"), issuance("b")])
    assert store.issuance("a") == issuance("a")
    assert store.issuance("b") == issuance("b")


def test_tokens_that_have_ended_are_forgotten_oldest_first(store: Store) -> None:
    store.add_issuances([issuance("a", expires_at_s=12), issuance("b", expires_at_s=11), issuance("c")])
    assert store.drop_issuances(12, 1) == 1
    assert [store.issuance(one) is None for one in "abc"] == [False, True, False]
    assert store.drop_issuances(12, 10) == 1
    assert store.drop_issuances(12, 10) == 0
    assert store.issuance("c") is not None


@pytest.mark.parametrize("kind", RevocationKind)
def test_a_revocation_comes_back_as_it_was_kept(store: Store, kind: RevocationKind) -> None:
    row = revocation("h", kind, expires_at_s=None, before_s=7, reason="lost", actor="ann")
    assert store.revoke([row]) == 1
    assert store.revocations_after(0, 10) == (msgspec.structs.replace(row, number=1),)


def test_a_reader_goes_on_where_it_stopped(store: Store) -> None:
    assert store.revoke([revocation(name) for name in "abc"]) == 3
    assert [row.handle for row in store.revocations_after(0, 2)] == ["a", "b"]
    assert [row.handle for row in store.revocations_after(2, 2)] == ["c"]
    assert store.revocations_after(3, 2) == ()
    assert store.revoke([]) == 3
    assert store.versions() == Versions(0, 0, 3)


def test_what_is_covered_is_not_kept_again(store: Store) -> None:
    """Revoking the same thing over and over must not make every reader's set grow."""
    assert store.revoke([revocation("a"), revocation("a")]) == 1
    assert store.revoke([revocation("a", before_s=5), revocation("a", expires_at_s=99)]) == 1
    assert store.revoke([revocation("a", expires_at_s=101)]) == 2
    assert store.revoke([revocation("a", RevocationKind.FAMILY)]) == 3
    assert store.revoke([revocation("b", before_s=5), revocation("b", before_s=4), revocation("b", before_s=6)]) == 5
    assert store.revoke([revocation("b")]) == 6


def test_what_counts_from_a_time_to_come_covers_nothing_that_counts_now(store: Store) -> None:
    """An operator revokes at once what a refresh is about to: that must not wait."""
    assert store.revoke([revocation("a", revoked_at_s=20), revocation("a", revoked_at_s=30)]) == 1
    assert store.revoke([revocation("a", revoked_at_s=10), revocation("a", revoked_at_s=12)]) == 2
    assert [row.revoked_at_s for row in store.revocations_after(0, 10)] == [20, 10]


def test_numbers_go_on_after_rows_were_forgotten(store: Store) -> None:
    """A reader's cursor would otherwise stand beyond new rows."""
    store.revoke(
        [revocation("a", expires_at_s=10), revocation("b", expires_at_s=None), revocation("c", expires_at_s=9)]
    )
    assert store.drop_revocations(8, 10) == 0
    assert store.drop_revocations(10, 1) == 1
    assert [row.handle for row in store.revocations_after(0, 10)] == ["a", "b"]
    assert store.drop_revocations(1_000, 10) == 1
    assert [row.handle for row in store.revocations_after(0, 10)] == ["b"]
    assert store.revoke([revocation("d", expires_at_s=10)]) == 4
    assert store.drop_revocations(10, 10) == 1
    assert store.revoke([revocation("e")]) == 5


def test_revocations_at_once_get_each_a_number(store: Store) -> None:
    in_parallel(lambda index: store.revoke([revocation(f"{index}a"), revocation(f"{index}b")]))
    found = store.revocations_after(0, 100)
    assert [row.number for row in found] == list(range(1, 2 * THREADS + 1))
    # What was revoked together stands together: no reader sees half of it.
    assert all(one.handle[:-1] == two.handle[:-1] for one, two in zip(found[::2], found[1::2], strict=True))


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 2049, "☃" * 683])
def test_no_store_is_given_a_text_that_another_would_refuse(text: str) -> None:
    with pytest.raises(CommandError, match="cannot be stored"):
        revocation(text)
    with pytest.raises(CommandError, match="cannot be stored"):
        issuance("t", subject=text)


@pytest.mark.parametrize("text", [RANDOM, "'; DROP TABLE jotgate_keys; --", "%s :a ?", "naïve ☃ 𝄞", ""])
def test_texts_are_kept_as_they_are(store: Store, text: str) -> None:
    store.add_issuances([issuance("t", subject=text)])
    assert store.issuance("t") == issuance("t", subject=text)
    assert store.count_issuances(IssuanceQuery(live_at_s=1, subject=text)) == 1


@on_loop
async def test_an_event_loop_asks_without_waiting_itself(store: Store) -> None:
    """Reading, deciding and writing are one function, done on the store's thread."""

    def rotate(asked: Store) -> tuple[int | None, str]:
        ring = asked.key_ring()
        return asked.put_keys(ring.version, [key("a")]), threading.current_thread().name

    access = ThreadedAccess(store, threads=1)
    version, thread = await access.run(rotate)
    assert version == 1
    assert thread.startswith("store")
    assert await DirectAccess(store).run(lambda asked: asked.key_ring()) == KeyRing(1, (key("a"),))
    access.close()
