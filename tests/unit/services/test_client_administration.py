"""Clients and their secrets: shown once, kept as digests, at most two at a time."""

import json
import re

import pytest
from msgspec import Raw

from jotgate.core.account_values import ClientValues
from jotgate.core.accounts import ClientRecord
from jotgate.core.opaque import Mark, is_opaque, opaque_digest
from jotgate.errors import RecordChanged, RecordMissing, RequestMalformed
from jotgate.jose.keys import generate, public_jwk
from jotgate.services.client_administration import change_client, create_client, rotate_secret
from jotgate.stores.memory import MemoryStore
from tests.administering import MACHINE, NOW_S, terms

DAY_S = 86_400


def live(record: ClientRecord, now_s: int) -> list[bytes]:
    return [one.digest for one in record.secrets if one.ends_at_s is None or one.ends_at_s > now_s]


def test_a_client_has_a_secret_of_which_nothing_but_the_digest_is_kept() -> None:
    store = MemoryStore()
    made = create_client(store, terms(), "ci", MACHINE)
    assert is_opaque(Mark.CLIENT_SECRET, made.secret)
    assert (made.event, made.details) == ("client.created", {"set": "grants scopes"})
    assert [one.digest for one in made.record.secrets] == [opaque_digest(made.secret)]
    kept = store.account(ClientRecord, "ci")
    assert kept == made.record
    for text in (repr(made), repr(kept), str(made.details)):
        assert made.secret not in text
        assert opaque_digest(made.secret).hex() not in text


def test_a_client_without_a_name_gets_one_that_says_what_it_is() -> None:
    store = MemoryStore()
    names = {create_client(store, terms(), "", MACHINE).record.name for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"client-[0-9a-f]{16}", name) for name in names)


@pytest.mark.parametrize("way", ["none", "private_key_jwt"])
def test_who_uses_no_secret_gets_none(way: str) -> None:
    key = public_jwk(generate("Ed25519").verification_key)
    keys = ClientValues(jwks=Raw(json.dumps({"keys": [{**key, "x5t": "AAAA", "extra": 1}]}).encode()))
    values = ClientValues(
        grants=("jwt_bearer",),
        scopes=("ai",),
        authentication=way,
        jwks=keys.jwks if way == "private_key_jwt" else ClientValues().jwks,
    )
    made = create_client(MemoryStore(), terms(), "ci", values)
    assert (made.secret, made.record.secrets) == ("", ())
    if way == "private_key_jwt":  # As jotgate writes keys: what is no member of a public key is not kept.
        assert json.loads(made.record.jwks) == {"keys": [key]}
    with pytest.raises(RequestMalformed, match=f"the client uses no secret, but {way}"):
        rotate_secret(store_of(made.record), terms(), "ci")


def store_of(record: ClientRecord) -> MemoryStore:
    store = MemoryStore()
    assert store.put_account(
        ClientRecord(**{n: getattr(record, n) for n in record.__struct_fields__ if n != "version"})
    )
    return store


def test_a_new_secret_ends_the_one_before_it_at_once() -> None:
    store = MemoryStore()
    first = create_client(store, terms(), "ci", MACHINE)
    second = rotate_secret(store, terms(now_s=NOW_S + 10), "ci")
    assert second.event == "client.secret_rotated"
    assert second.secret != first.secret
    assert [one.digest for one in second.record.secrets] == [opaque_digest(second.secret)]


def test_two_secrets_count_for_a_while_and_never_three() -> None:
    store = MemoryStore()
    first = create_client(store, terms(), "ci", MACHINE)
    second = rotate_secret(store, terms(now_s=NOW_S + 10), "ci", DAY_S)
    assert second.details == {"overlap_s": DAY_S}
    digests = [opaque_digest(done.secret) for done in (first, second)]
    assert live(second.record, NOW_S + 10) == digests
    assert live(second.record, NOW_S + 10 + DAY_S - 1) == digests
    assert live(second.record, NOW_S + 10 + DAY_S) == digests[1:]
    third = rotate_secret(store, terms(now_s=NOW_S + 20), "ci", DAY_S)
    assert live(third.record, NOW_S + 20) == [digests[1], opaque_digest(third.secret)]


def test_an_overlap_brings_no_end_nearer_to_never_and_none_further() -> None:
    """A secret that ends in an hour does not live a day more because another one is made."""
    store = MemoryStore()
    create_client(store, terms(), "ci", MACHINE)
    rotate_secret(store, terms(), "ci", 3_600)
    third = rotate_secret(store, terms(now_s=NOW_S + 1), "ci", DAY_S)
    assert [one.ends_at_s for one in third.record.secrets] == [NOW_S + 1 + DAY_S, None]
    # One that has ended does not come back.
    fourth = rotate_secret(store, terms(now_s=NOW_S + 2 + DAY_S), "ci", DAY_S)
    assert [one.created_at_s for one in fourth.record.secrets] == [NOW_S + 1, NOW_S + 2 + DAY_S]


@pytest.mark.parametrize("overlap_s", [-1, 30 * DAY_S + 1])
def test_an_overlap_has_bounds(overlap_s: int) -> None:
    store = MemoryStore()
    create_client(store, terms(), "ci", MACHINE)
    with pytest.raises(RequestMalformed, match="at most 30 days"):
        rotate_secret(store, terms(), "ci", overlap_s)


def test_a_client_that_comes_to_use_a_secret_has_none_until_one_is_made() -> None:
    store = MemoryStore()
    create_client(store, terms(), "app", ClientValues(grants=("jwt_bearer",), scopes=("ai",), authentication="none"))
    changed = change_client(store, terms(), "app", ClientValues(authentication="client_secret_post"))
    assert (changed.event, changed.record.secrets) == ("client.changed", ())
    assert len(rotate_secret(store, terms(), "app", DAY_S).record.secrets) == 1


def test_versions_count_for_clients_too() -> None:
    store = MemoryStore()
    made = create_client(store, terms(), "ci", MACHINE)
    changed = change_client(store, terms(), "ci", ClientValues(title="CI"), made.record.version)
    assert changed.details == {"set": "title"}
    with pytest.raises(RecordChanged):
        change_client(store, terms(), "ci", ClientValues(title="X"), made.record.version)
    with pytest.raises(RecordChanged):
        rotate_secret(store, terms(), "ci", version=made.record.version)
    with pytest.raises(RecordMissing):
        change_client(store, terms(), "nobody", ClientValues(title="X"))


def test_a_change_that_cannot_be_leaves_the_client_as_it_is() -> None:
    store = MemoryStore()
    made = create_client(store, terms(), "ci", MACHINE)
    for values in (ClientValues(authentication="none"), ClientValues(scopes=("x",)), ClientValues(limits=Raw(b"{}"))):
        with pytest.raises(RequestMalformed):
            change_client(store, terms(), "ci", values)
    assert store.account(ClientRecord, "ci") == made.record
