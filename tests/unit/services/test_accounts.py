"""Who may get tokens now: whoever is enabled, as is their tenant; all that is not known to be so is refused."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from jotgate.core.accounts import AnyAccount, ClientRecord, PrincipalRecord, Role, TenantRecord
from jotgate.core.rights import Rights
from jotgate.errors import ClientRefused, GrantRefused
from jotgate.services.accounts import find_client, find_subject
from jotgate.stores.memory import MemoryStore

CI = ClientRecord(name="ci", tenant="acme", scopes=("models",), roles=("reader",))
ANN = PrincipalRecord(name="ann", tenant="acme", roles=("reader",))
ACME = TenantRecord(name="acme", roles=(Role("reader", ("chat.completions",), ("echo",)),))


def store_with(*accounts: AnyAccount) -> MemoryStore:
    store = MemoryStore()
    for account in accounts:
        assert store.put_account(account) is not None
    return store


def test_a_client_comes_with_what_it_may_do_now() -> None:
    found = find_client(store_with(ACME, CI), "ci")
    assert found.record.name == "ci"
    assert found.rights == Rights(frozenset({"models", "chat.completions"}), frozenset({"echo"}), ("reader",))


def test_the_default_tenant_need_not_be_kept() -> None:
    store = store_with(ClientRecord(name="ci", scopes=("ai",)), PrincipalRecord(name="ann", scopes=("ai",)))
    assert find_client(store, "ci").rights.scopes == {"ai"}
    assert find_subject(store, "ann").rights.scopes == {"ai"}


@pytest.mark.parametrize(
    "accounts",
    [
        (),
        (ACME, replace(CI, enabled=False), replace(ANN, enabled=False)),
        (replace(ACME, enabled=False), CI, ANN),
        (CI, ANN),
        (ACME, replace(CI, name="CI"), replace(ANN, name="Ann")),
    ],
    ids=["unknown", "disabled", "tenant disabled", "tenant gone", "spelt otherwise"],
)
def test_nobody_else_gets_anything_and_is_told_why(accounts: tuple[AnyAccount, ...]) -> None:
    store = store_with(*accounts)
    told: set[str] = set()
    asked: tuple[tuple[Callable[[], object], type[Exception]], ...] = (
        (lambda: find_client(store, "ci"), ClientRefused),
        (lambda: find_subject(store, "ann"), GrantRefused),
        (lambda: find_subject(store, "ci"), GrantRefused),
    )
    for ask, refusal in asked:
        with pytest.raises(refusal) as caught:
            ask()
        told.add(str(caught.value))
    assert told == {
        "the client is unknown, or may not ask for tokens",
        "whom this speaks for is unknown, or may have no tokens",
    }


def test_a_disabled_default_tenant_counts_for_those_who_name_none() -> None:
    store = store_with(TenantRecord(name="default", enabled=False), PrincipalRecord(name="ann"))
    with pytest.raises(GrantRefused):
        find_subject(store, "ann")


def test_a_client_may_speak_for_itself() -> None:
    """AT-05: where nobody else owns what is asked for, `sub` is the client."""
    assert isinstance(find_subject(store_with(ACME, CI), "ci").record, ClientRecord)
