"""Principals and tenants are made and changed once, by their versions, and nobody gives more than he has."""

from collections.abc import Callable, Mapping

import pytest

from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues
from jotgate.core.accounts import Account, AnyAccount, ClientRecord, PrincipalRecord, Role, TenantRecord
from jotgate.errors import (
    InsufficientScope,
    JotgateError,
    RecordChanged,
    RecordExists,
    RecordMissing,
    RequestMalformed,
)
from jotgate.services.administration import (
    Terms,
    change_principal,
    change_tenant,
    create_principal,
    create_tenant,
    find_account,
    redefine_tenant,
    switch_account,
)
from jotgate.services.client_administration import change_client, create_client, rotate_secret
from jotgate.stores.memory import MemoryStore
from tests.administering import MACHINE, NOW_S, terms

ANN = PrincipalValues(scopes=("ai",), models=("echo",))
READER = TenantValues(roles=(Role("reader", ("models",)),))
KEEPER = TenantValues(roles=(Role("keeper", ("admin:keys",)),))


class Meddled(MemoryStore):
    """A store in which somebody else writes an account before the next writes of it: so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def put_account(self, record: AnyAccount) -> int | None:
        found = self.account(PrincipalRecord, record.name)
        if self.times and found is not None:
            self.times -= 1
            super().put_account(found)
        return super().put_account(record)


def test_a_principal_is_made_and_changed_where_it_is_said() -> None:
    store = MemoryStore()
    made = create_principal(store, terms(), "ann", ANN)
    assert (made.event, made.details) == ("principal.created", {"set": "scopes models"})
    assert made.record == store.account(PrincipalRecord, "ann")
    assert (made.record.created_at_s, made.record.updated_at_s, made.record.version) == (NOW_S, NOW_S, 1)
    changed = change_principal(store, terms(now_s=NOW_S + 5), "ann", PrincipalValues(title="Ann", models=None))
    assert (changed.event, changed.record.title, changed.record.models) == ("principal.changed", "Ann", None)
    assert (changed.record.scopes, changed.record.created_at_s, changed.record.updated_at_s) == (
        ("ai",),
        NOW_S,
        NOW_S + 5,
    )
    assert changed.record == store.account(PrincipalRecord, "ann")


def test_what_is_so_already_is_no_change() -> None:
    store = MemoryStore()
    made = create_principal(store, terms(), "ann", ANN)
    again = change_principal(store, terms(now_s=NOW_S + 5), "ann", ANN)
    assert (again.event, again.record) == ("", made.record)
    assert switch_account(store, terms(), PrincipalRecord, "ann", enabled=True).event == ""
    assert store.versions().accounts == 1


def test_an_account_is_switched_off_and_on() -> None:
    store = MemoryStore()
    create_principal(store, terms(), "ann", ANN)
    off = switch_account(store, terms(), PrincipalRecord, "ann", enabled=False)
    assert (off.event, off.record.enabled) == ("principal.disabled", False)
    on = switch_account(store, terms(), PrincipalRecord, "ann", enabled=True, version=off.record.version)
    assert (on.event, on.record.enabled) == ("principal.enabled", True)


def test_roles_are_defined_anew_and_dropped() -> None:
    store = MemoryStore()
    made = create_tenant(store, terms(), "acme", READER)
    assert (made.event, made.record.roles) == ("tenant.created", READER.roles)
    create_principal(store, terms(), "ann", PrincipalValues(tenant="acme", roles=("reader",)))
    changed = change_tenant(store, terms(), "acme", TenantValues(roles=()))
    assert (changed.event, changed.record.roles) == ("tenant.changed", ())
    with pytest.raises(RequestMalformed, match="the tenant 'acme' has no role 'reader'; it defines none"):
        create_principal(store, terms(), "bob", PrincipalValues(tenant="acme", roles=("reader",)))


def test_the_default_tenant_is_kept_from_its_first_change_on() -> None:
    store = MemoryStore()
    assert find_account(store, TenantRecord, "default") == TenantRecord(name="default")
    assert switch_account(store, terms(), TenantRecord, "default", enabled=False).event == "tenant.disabled"
    found = store.account(TenantRecord, "default")
    assert found is not None
    assert (found.enabled, found.created_at_s) == (False, NOW_S)


@pytest.mark.parametrize("kind", [TenantRecord, PrincipalRecord, ClientRecord])
@pytest.mark.parametrize("name", ["nobody", "", "a\0", "\ud800", "x" * 5_000])
def test_a_name_that_nothing_has_is_missing_and_no_fault(kind: type[Account], name: str) -> None:
    with pytest.raises(RecordMissing, match="of this name"):
        find_account(MemoryStore(), kind, name)


def test_of_a_tenant_that_is_not_there_nobody_can_be() -> None:
    store = MemoryStore()
    makes: tuple[Callable[[], object], ...] = (
        lambda: create_principal(store, terms(), "ann", PrincipalValues(tenant="nowhere")),
        lambda: create_client(store, terms(), "ci", ClientValues(tenant="nowhere", grants=("jwt_bearer",))),
    )
    for make in makes:
        with pytest.raises(RequestMalformed, match="there is no tenant of this name") as caught:
            make()
        assert caught.value.param == "tenant"


def test_nobody_moves_to_another_tenant() -> None:
    store = MemoryStore()
    create_tenant(store, terms(), "acme", TenantValues())
    create_principal(store, terms(), "ann", ANN)
    create_client(store, terms(), "ci", MACHINE)
    changes: tuple[Callable[[], object], ...] = (
        lambda: change_principal(store, terms(), "ann", PrincipalValues(tenant="acme")),
        lambda: change_client(store, terms(), "ci", ClientValues(tenant="acme")),
    )
    for change in changes:
        with pytest.raises(RequestMalformed, match="is 'default' and stays so"):
            change()


def test_no_client_has_the_name_of_a_principal_nor_the_other_way_round() -> None:
    """CF-01, AT-05: a token's `sub` is one or the other."""
    store = MemoryStore()
    create_principal(store, terms(), "ann", ANN)
    create_client(store, terms(), "ci", MACHINE)
    with pytest.raises(RecordExists, match="there is a principal of this name already"):
        create_client(store, terms(), "ann", MACHINE)
    with pytest.raises(RecordExists, match="there is a client of this name already"):
        create_principal(store, terms(), "ci", ANN)
    with pytest.raises(RecordExists, match="there is a principal of this name already"):
        create_principal(store, terms(), "ann", ANN)
    # A tenant is nobody's `sub`.
    assert create_tenant(store, terms(), "ann", TenantValues()).record.name == "ann"


def test_a_version_that_is_gone_is_told() -> None:
    store = MemoryStore()
    made = create_principal(store, terms(), "ann", ANN)
    change_principal(store, terms(), "ann", PrincipalValues(title="Ann"), made.record.version)
    changes: tuple[Callable[[], object], ...] = (
        lambda: change_principal(store, terms(), "ann", PrincipalValues(title="X"), made.record.version),
        lambda: switch_account(store, terms(), PrincipalRecord, "ann", enabled=False, version=made.record.version),
    )
    for change in changes:
        with pytest.raises(RecordChanged):
            change()


def test_of_two_at_a_time_both_are_done_and_a_version_is_kept_to() -> None:
    store = Meddled(0)
    made = create_principal(store, terms(), "ann", ANN)
    store.times = 3
    assert change_principal(store, terms(), "ann", PrincipalValues(title="Ann")).record.title == "Ann"
    store.times = 1
    with pytest.raises(RecordChanged):
        change_principal(store, terms(), "ann", PrincipalValues(title="X"), made.record.version + 4)
    store.times = 1_000
    with pytest.raises(RecordChanged, match="all the time"):
        change_principal(store, terms(), "ann", PrincipalValues(title="Y"))


def administered() -> MemoryStore:
    """A store with accounts that may administer keys, each in its own way."""
    store = MemoryStore()
    create_tenant(store, terms(), "acme", KEEPER)
    create_principal(store, terms(), "direct", PrincipalValues(scopes=("admin:keys",)))
    create_principal(store, terms(), "by-role", PrincipalValues(tenant="acme", roles=("keeper",)))
    create_client(store, terms(), "robot", ClientValues(grants=("client_credentials",), scopes=("admin:*",)))
    create_client(store, terms(), "plain", MACHINE)
    create_principal(store, terms(), "ann", ANN)
    create_tenant(store, terms(), "quiet", READER)
    create_principal(store, terms(), "keeper", PrincipalValues(tenant="quiet", scopes=("admin:keys",)))
    return store


Order = Callable[[MemoryStore, Terms], object]

ORDERS: Mapping[str, Order] = {
    "create direct": lambda store, by: create_principal(store, by, "x", PrincipalValues(scopes=("admin:keys",))),
    "create everything": lambda store, by: create_principal(store, by, "x", PrincipalValues(scopes=("ai", "admin:*"))),
    "create by role": lambda store, by: create_principal(
        store, by, "x", PrincipalValues(tenant="acme", roles=("keeper",))
    ),
    "give": lambda store, by: change_principal(store, by, "ann", PrincipalValues(scopes=("admin:keys",))),
    "take": lambda store, by: change_principal(store, by, "direct", PrincipalValues(scopes=("ai",))),
    "rename by role": lambda store, by: change_principal(store, by, "by-role", PrincipalValues(title="x")),
    "disable": lambda store, by: switch_account(store, by, PrincipalRecord, "direct", enabled=False),
    "create client": lambda store, by: create_client(
        store, by, "x", ClientValues(grants=("client_credentials",), scopes=("admin:keys",))
    ),
    "give client": lambda store, by: change_client(store, by, "plain", ClientValues(scopes=("admin:read",))),
    "take client": lambda store, by: change_client(store, by, "robot", ClientValues(scopes=("ai",))),
    "rotate secret": lambda store, by: rotate_secret(store, by, "robot"),
    "create tenant": lambda store, by: create_tenant(store, by, "x", KEEPER),
    "define role": lambda store, by: change_tenant(store, by, "default", KEEPER),
    "drop role": lambda store, by: change_tenant(store, by, "acme", TenantValues(roles=())),
    "disable a keeper's tenant": lambda store, by: switch_account(store, by, TenantRecord, "quiet", enabled=False),
    "redefine a keeper's tenant": lambda store, by: change_tenant(store, by, "quiet", TenantValues(title="x")),
    "keep a tenant that has a keeper": lambda store, by: create_tenant(store, by, "default", READER),
    "disable tenant": lambda store, by: switch_account(store, by, TenantRecord, "acme", enabled=False),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_nobody_makes_himself_an_administrator(order: Order) -> None:
    """Whoever may change accounts through the admin API touches none that administers more than he does."""
    by = terms("admin:clients", "admin:principals", "admin:tenants")
    store = administered()
    before = store.versions()
    with pytest.raises(InsufficientScope, match="and the token may not") as caught:
        order(store, by)
    assert caught.value.scope in {"admin:keys", "admin:*", "admin:read"}
    assert store.versions() == before
    order(administered(), terms("admin:*"))
    order(administered(), terms())


def test_what_administers_nothing_is_his_who_may_change_accounts() -> None:
    store, by = administered(), terms("admin:clients", "admin:principals")
    assert change_principal(store, by, "ann", PrincipalValues(scopes=("ai", "metrics"))).event == "principal.changed"
    assert rotate_secret(store, by, "plain").secret.startswith("jot_s_")
    given = change_client(store, by, "plain", ClientValues(scopes=("admin:clients",)))
    assert given.record.scopes == ("admin:clients",)


def test_a_fault_of_a_chosen_value_changes_nothing() -> None:
    store = MemoryStore()

    def refuse(_: TenantRecord) -> TenantValues:
        raise RecordMissing("there is no such role")

    with pytest.raises(RecordMissing, match="no such role"):
        redefine_tenant(store, terms(), "default", refuse)
    with pytest.raises(JotgateError):
        change_tenant(store, terms(), "default", TenantValues(title="x" * 300))
    assert store.versions().accounts == 0
