"""Tenants, principals and clients in every store, and the order in which they changed."""

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import (
    Account,
    AccountChange,
    ClientRecord,
    PrincipalRecord,
    Role,
    TenantRecord,
)
from jotgate.core.durable import Versions
from jotgate.errors import CommandError
from jotgate.store_ports import Store
from tests.conformance import sample
from tests.conformance.records import client, personal_token, principal, revocation, tenant
from tests.conformance.test_store import RANDOM
from tests.conformance.threads import in_parallel

ACCOUNTS = (tenant("a"), principal("a"), client("a"))


def names(store: Store, kind: type[PrincipalRecord], after: str, limit: int, tenant: str = "") -> str:
    return "".join(one.name for one in store.accounts(kind, after, limit, tenant=tenant))


@pytest.mark.parametrize("account", sample.ACCOUNTS, ids=lambda one: type(one).__name__)
def test_an_account_comes_back_as_it_was_kept(store: Store, account: Account) -> None:
    assert store.put_account(account) == 1
    kept = replace(account, version=1)
    assert store.account(type(account), account.name) == kept
    assert store.accounts(type(account), "", 10) == (kept,)


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda one: type(one).__name__)
def test_an_account_is_changed_and_dropped_only_by_who_has_seen_the_last_change(store: Store, account: Account) -> None:
    kind = type(account)
    assert store.account(kind, "a") is None
    assert store.put_account(replace(account, version=1)) is None
    assert store.put_account(account) == 1
    assert store.put_account(account) is None
    assert store.put_account(replace(account, title="b", version=1)) == 2
    assert store.put_account(replace(account, title="c", version=1)) is None
    assert store.account(kind, "a") == replace(account, title="b", version=2)
    assert not store.drop_account(kind, "a", 1)
    assert not store.drop_account(kind, "b", 2)
    assert store.drop_account(kind, "a", 2)
    assert not store.drop_account(kind, "a", 2)
    assert store.account(kind, "a") is None
    # One that was dropped and made again has a version that it never had.
    assert store.put_account(account) == 4
    assert store.put_account(replace(account, version=2)) is None


def test_no_models_and_every_model_are_not_the_same(store: Store) -> None:
    store.put_account(replace(client("none"), models=()))
    store.put_account(replace(client("every"), models=None))
    store.put_account(replace(tenant(), roles=(Role("none", models=()), Role("every"))))
    assert [one.models for one in store.accounts(ClientRecord, "", 10)] == [None, ()]
    found = store.account(TenantRecord, "acme")
    assert found is not None
    assert [role.models for role in found.roles] == [(), None]


def test_a_tenant_may_have_the_name_of_a_client_and_a_principal_may_not(store: Store) -> None:
    """A `sub` is one of either (CF-01), also where nobody asked before."""
    assert store.put_account(tenant("a")) == 1
    assert store.put_account(principal("a")) == 2
    assert store.put_account(client("a")) is None
    assert store.account(ClientRecord, "a") is None
    assert store.put_account(client("b")) == 3
    assert store.put_account(principal("b")) is None
    assert store.drop_account(PrincipalRecord, "a", 2)
    assert store.put_account(client("a")) == 5


def test_of_a_client_and_a_principal_of_one_name_at_once_one_is_made(store: Store) -> None:
    found = in_parallel(lambda index: store.put_account(principal("a") if index % 2 else client("a")))
    assert sorted(found, key=lambda version: version is None)[:2] == [1, None]


def test_of_several_changes_of_a_client_at_once_one_is_done(store: Store) -> None:
    found = in_parallel(lambda index: store.put_account(client(title=str(index))))
    (winner,) = [index for index, version in enumerate(found) if version is not None]
    assert store.account(ClientRecord, "cli") == client(title=str(winner), version=1)


def test_accounts_are_paged_by_the_bytes_of_their_names_and_found_by_their_tenant(store: Store) -> None:
    for name in ("a", "B", "_", "Z"):
        store.put_account(principal(name, tenant="acme" if name in "aZ" else "default"))
    store.put_account(client("other", tenant="acme"))
    assert names(store, PrincipalRecord, "", 3) == "BZ_"
    assert names(store, PrincipalRecord, "_", 3) == "a"
    assert names(store, PrincipalRecord, "", 3, "acme") == "Za"
    assert names(store, PrincipalRecord, "Z", 3, "acme") == "a"
    assert names(store, PrincipalRecord, "", 1, "acme") == "Z"
    assert names(store, PrincipalRecord, "", 3, "nobody") == ""


def test_a_tenant_belongs_to_itself(store: Store) -> None:
    store.put_account(tenant("a"))
    store.put_account(tenant("b"))
    assert store.accounts(TenantRecord, "", 10, tenant="b") == (tenant("b", 2),)


def test_a_reader_of_changes_goes_on_where_it_stopped_and_misses_nothing_that_is_gone(store: Store) -> None:
    assert store.accounts_after(0, 10) == ()
    store.put_account(tenant("a"))
    store.put_account(principal("a"))
    store.put_personal_token(personal_token("a"))
    assert store.accounts_after(0, 2) == (AccountChange("tenant", "a", 1), AccountChange("principal", "a", 2))
    assert store.accounts_after(2, 2) == (AccountChange("personal_token", "a", 3),)
    store.drop_account(TenantRecord, "a", 1)
    store.put_account(principal("a", 2, title="b"))
    store.drop_personal_token("a", 3, revocation("a"))
    gone = (
        AccountChange("tenant", "a", 4),
        AccountChange("principal", "a", 5),
        AccountChange("personal_token", "a", 6),
    )
    # Each name once: whoever was away does not walk through all that happened.
    assert store.accounts_after(0, 10) == store.accounts_after(3, 10) == gone
    assert store.accounts_after(6, 10) == ()
    assert store.versions() == Versions(0, 0, 1, 6)


def test_changes_at_once_get_each_a_version(store: Store) -> None:
    found = in_parallel(
        lambda index: (
            store.put_account(client(str(index)) if index % 2 else tenant(str(index)))
            if index % 3
            else store.put_personal_token(personal_token(str(index)))
        )
    )
    assert sorted(map(str, found)) == [str(version) for version in range(1, len(found) + 1)]
    assert [one.version for one in store.accounts_after(0, 100)] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("text", [RANDOM[:1024], "'; DROP TABLE jotgate_clients; --", "%s :a ?", "naïve ☃ 𝄞", '"]\\'])
def test_texts_are_kept_as_they_are(store: Store, text: str) -> None:
    """Also where two of the longest stand in one row of an index, and inside of lists."""
    account = replace(client(text, tenant=text), scopes=(text, text), title=text)
    assert store.put_account(account) == 1
    assert store.account(ClientRecord, text) == replace(account, version=1)
    assert store.accounts(ClientRecord, "", 10, tenant=text) == (replace(account, version=1),)
    assert store.accounts_after(0, 10) == (AccountChange("client", text, 1),)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 1025])
def test_no_store_is_given_a_text_that_another_would_refuse(text: str) -> None:
    for change in ({"name": text}, {"scopes": ("ai", text)}, {"audiences": (text,)}):
        with pytest.raises(CommandError, match="cannot be stored"):
            replace(client(), **change)
    with pytest.raises(CommandError, match="cannot be stored"):
        replace(tenant(), roles=(Role("dev", scopes=(text,)),))
