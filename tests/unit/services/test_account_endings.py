"""With an account ends what was given to it, and what that is can be told before and after."""

import pytest
from msgspec.structs import replace

from jotgate.core.account_orders import Impact
from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues
from jotgate.core.accounts import Account, ClientRecord, PersonalToken, PrincipalRecord, SecretDigest, TenantRecord
from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.revocations import names_of, origins_for, token_handle
from jotgate.errors import InsufficientScope, RecordChanged, RecordMissing, RequestMalformed, StoreUnavailable
from jotgate.services.account_endings import delete_account, impact_of
from jotgate.services.administration import (
    change_principal,
    create_principal,
    create_tenant,
    find_account,
    switch_account,
)
from jotgate.services.client_administration import create_client
from jotgate.services.revocation import load_revocations
from jotgate.stores.memory import MemoryStore
from tests.administering import ISSUER, MACHINE, NOW_S, terms
from tests.callers import principal

END_S = NOW_S + 3_600


def issue(store: MemoryStore, token_id: str, subject: str, client_id: str, end_s: int = END_S) -> None:
    store.add_issuances((Issuance(token_id, subject, client_id, "k1", NOW_S - 10, end_s),))


def begin(store: MemoryStore, family_id: str, client_id: str, subject: str) -> None:
    family = Family(
        family_id=family_id, client_id=client_id, subject=subject, idle_s=60, created_at_s=NOW_S - 10, ends_at_s=END_S
    )
    first = RefreshRecord(
        digest=family_id.encode(), family_id=family_id, generation=0, issued_at_s=NOW_S - 10, expires_at_s=END_S
    )
    store.add_family(family, first)


def personal(store: MemoryStore, token_id: str, owner: str, end_s: int = END_S) -> None:
    secret = SecretDigest(token_id.encode(), NOW_S)
    token = PersonalToken(token_id=token_id, owner=owner, name=token_id, secrets=(secret,), expires_at_s=end_s)
    assert store.put_personal_token(token) is not None


def peopled() -> MemoryStore:
    """Ann, whose tokens two clients hold; `ci`, which also acts for itself; and others."""
    store = MemoryStore()
    create_principal(store, terms(), "ann", PrincipalValues(scopes=("ai",)))
    create_principal(store, terms(), "bob", PrincipalValues(scopes=("ai",)))
    create_client(store, terms(), "ci", MACHINE)
    create_client(store, terms(), "app", MACHINE)
    issue(store, "own", "ci", "ci")
    issue(store, "ann-by-ci", "ann", "ci")
    issue(store, "ann-by-app", "ann", "app")
    issue(store, "bob-by-app", "bob", "app")
    issue(store, "ended", "ann", "ci", NOW_S)
    begin(store, "f-ann-ci", "ci", "ann")
    begin(store, "f-ann-app", "app", "ann")
    begin(store, "f-bob-app", "app", "bob")
    personal(store, "p-ann-1", "ann")
    personal(store, "p-ann-2", "ann")
    personal(store, "p-bob", "bob")
    return store


def revoked(store: MemoryStore, kind: RevocationKind) -> set[str]:
    return {row.handle for row in store.revocations_after(0, 100) if row.kind is kind}


def handles(*token_ids: str) -> set[str]:
    return {token_handle(ISSUER, token_id) for token_id in token_ids}


def test_a_client_ends_with_its_tokens_and_families_and_nobody_elses() -> None:
    store = peopled()
    wanted = Impact(live_tokens=2, families=1, personal_tokens=0)
    assert impact_of(store, terms(), find_account(store, ClientRecord, "ci")) == wanted
    done = delete_account(store, terms(), ClientRecord, "ci")
    assert (done.event, done.impact) == ("client.deleted", wanted)
    assert done.details == {"live_tokens": 2, "families": 1, "personal_tokens": 0}
    assert store.account(ClientRecord, "ci") is None
    assert revoked(store, RevocationKind.CLIENT) == {"ci"}
    assert revoked(store, RevocationKind.SUBJECT) == handles("ci")
    assert revoked(store, RevocationKind.FAMILY) == {"f-ann-ci"}
    assert [one.family_id for one in store.families("", "", "", 9)] == ["f-ann-app", "f-bob-app"]
    assert [one.owner for one in store.personal_tokens("", "", 9)] == ["ann", "ann", "bob"]
    (row,) = [row for row in store.revocations_after(0, 100) if row.kind is RevocationKind.CLIENT]
    assert (row.before_s, row.expires_at_s) == (NOW_S, NOW_S + LIFETIME_MAX_S)
    assert (row.reason, row.actor) == ("account deleted", "jotgate-cli")


def test_a_principal_ends_with_its_personal_tokens_too() -> None:
    store = peopled()
    done = delete_account(store, terms(), PrincipalRecord, "ann")
    assert (done.event, done.impact) == ("principal.deleted", Impact(2, 2, 2))
    assert revoked(store, RevocationKind.SUBJECT) == handles("ann")
    assert revoked(store, RevocationKind.TOKEN) == handles("p-ann-1", "p-ann-2")
    assert revoked(store, RevocationKind.FAMILY) == {"f-ann-ci", "f-ann-app"}
    assert [one.owner for one in store.personal_tokens("", "", 9)] == ["bob"]


def test_what_is_counted_counts_now_down_to_the_last_child() -> None:
    store = peopled()
    rows = [
        Issuance("child", "ann", "app", "k1", NOW_S, END_S, parent="ann-by-ci"),
        Issuance("grandchild", "ann", "web", "k1", NOW_S, END_S, parent="child"),
        Issuance("gone", "ci", "ci", "k1", NOW_S, END_S),
        Issuance("gone-child", "ci", "app", "k1", NOW_S, END_S, parent="gone"),
        Issuance("traded", "svc", "app", "k1", NOW_S, END_S, parent="p-ann-1"),
    ]
    store.add_issuances(rows)
    store.revoke([Revocation(RevocationKind.TOKEN, token_handle(ISSUER, "gone"), NOW_S, END_S)])
    personal(store, "p-ann-old", "ann", NOW_S)
    assert delete_account(store, terms(), ClientRecord, "ci").impact == Impact(4, 1, 0)
    # Those that came of the client do not count any more, nor does a personal token that has expired.
    assert delete_account(store, terms(), PrincipalRecord, "ann").impact == Impact(2, 1, 2)
    assert [one.owner for one in store.personal_tokens("", "", 9)] == ["bob"]


def test_more_is_ended_than_one_reading_has() -> None:
    store = peopled()
    for number in range(1_203):
        issue(store, f"t{number:04}", "bob", "elsewhere")
    done = delete_account(store, terms(), PrincipalRecord, "bob")
    assert done.impact.live_tokens == 1_204
    assert len(store.revocations_after(0, 9_999)) == 1 + 1 + 1, "a watermark, a family and a personal token"


def test_the_name_is_free_again_for_either_kind() -> None:
    store = peopled()
    delete_account(store, terms(), PrincipalRecord, "ann")
    assert create_client(store, terms(), "ann", MACHINE).record.version
    # What the principal had is not the client's.
    assert impact_of(store, terms(), find_account(store, ClientRecord, "ann")).families == 0


class Failing(MemoryStore):
    """A store that goes away in the middle of a deletion."""

    def revoke(self, rows: object) -> int:
        raise StoreUnavailable("the store does not answer")


def test_one_that_was_cut_short_is_disabled_and_can_be_done_again() -> None:
    store = peopled()
    failing = Failing()
    failing._rows = store._rows  # the same store, through a bad line
    with pytest.raises(StoreUnavailable):
        delete_account(failing, terms(), PrincipalRecord, "ann")
    assert find_account(store, PrincipalRecord, "ann").enabled is False
    delete_account(store, terms(), PrincipalRecord, "ann")
    assert revoked(store, RevocationKind.SUBJECT) == handles("ann")
    assert revoked(store, RevocationKind.TOKEN) == handles("p-ann-1", "p-ann-2")


class Reviving(MemoryStore):
    """A store in which somebody enables the principal again while its tokens are being ended."""

    def revoke(self, rows: object) -> int:
        change_principal(self, terms(), "ann", PrincipalValues(title="back"))
        return 0


def test_one_that_somebody_changes_meanwhile_stays() -> None:
    store = Reviving()
    create_principal(store, terms(), "ann", PrincipalValues(scopes=("ai",)))
    issue(store, "t", "ann", "app")
    done = delete_account(store, terms(), PrincipalRecord, "ann")
    assert (done.event, done.impact.live_tokens) == ("principal.disabled", 1)
    assert "it was disabled, and what it had has ended, but it is not deleted" in done.unfinished
    assert find_account(store, PrincipalRecord, "ann").title == "back"


def test_a_version_is_kept_to() -> None:
    store = peopled()
    version = find_account(store, ClientRecord, "ci").version
    with pytest.raises(RecordChanged):
        delete_account(store, terms(), ClientRecord, "ci", version + 1)
    assert find_account(store, ClientRecord, "ci").enabled
    assert delete_account(store, terms(), ClientRecord, "ci", version).event == "client.deleted"


@pytest.mark.parametrize("kind", [TenantRecord, PrincipalRecord, ClientRecord])
@pytest.mark.parametrize("name", ["nobody", "default"])
def test_what_is_not_kept_is_not_deleted(kind: type[Account], name: str) -> None:
    with pytest.raises(RecordMissing):
        delete_account(MemoryStore(), terms(), kind, name)


@pytest.mark.parametrize("kind", ["principals", "clients"])
def test_a_tenant_with_accounts_stays(kind: str) -> None:
    store = MemoryStore()
    create_tenant(store, terms(), "acme", TenantValues())
    if kind == "principals":
        create_principal(store, terms(), "ann", PrincipalValues(tenant="acme"))
    else:
        values = ClientValues(tenant="acme", grants=("client_credentials",), scopes=("ai",))
        create_client(store, terms(), "ci", values)
    with pytest.raises(RequestMalformed, match=f"the tenant has {kind} still"):
        delete_account(store, terms(), TenantRecord, "acme")
    assert find_account(store, TenantRecord, "acme").enabled
    if kind == "principals":
        delete_account(store, terms(), PrincipalRecord, "ann")
    else:
        delete_account(store, terms(), ClientRecord, "ci")
    assert delete_account(store, terms(), TenantRecord, "acme").event == "tenant.deleted"


def test_nobody_deletes_who_administers_more_than_he_does() -> None:
    store = peopled()
    create_principal(store, terms(), "root", PrincipalValues(scopes=("admin:*",)))
    with pytest.raises(InsufficientScope):
        delete_account(store, terms("admin:principals"), PrincipalRecord, "root")
    assert find_account(store, PrincipalRecord, "root").enabled


def met(store: MemoryStore, *, issued_at_s: int, **whose: str) -> bool:
    """Whether a token of ours with these claims counts no longer."""
    token = replace(principal(), issuer=ISSUER, issued_at_s=issued_at_s, **whose)
    return load_revocations(store).find(names_of(token, ISSUER), token.issued_at_s, 5) is not None


_HELD = (
    (ClientRecord, "ci", {"client_id": "ci"}),
    (ClientRecord, "ci", {"subject": "ci"}),
    (PrincipalRecord, "ann", {"subject": "ann"}),
    (TenantRecord, "acme", {"tenant": "acme"}),
)


@pytest.mark.parametrize(
    ("how", "kind", "name", "whose"),
    [(how, *one) for how in ("disabled", "deleted") for one in _HELD] + [("disabled", TenantRecord, "default", {})],
)
def test_what_an_account_was_issued_ends_with_it_and_what_is_issued_later_counts(
    how: str, kind: type[Account], name: str, whose: dict[str, str]
) -> None:
    store = peopled()
    create_tenant(store, terms(), "acme", TenantValues())
    assert not met(store, issued_at_s=NOW_S - 60, **whose)
    if how == "deleted":
        delete_account(store, terms(), kind, name)
    else:
        assert switch_account(store, terms(), kind, name, enabled=False).event.endswith("disabled")
    assert met(store, issued_at_s=NOW_S - 60, **whose)
    assert met(store, issued_at_s=NOW_S + 5, **whose), "what was in flight then, or comes of a clock that is ahead"
    assert not met(store, issued_at_s=NOW_S + 6, **whose)
    assert not met(store, issued_at_s=NOW_S - 60, **dict.fromkeys(whose or {"tenant": ""}, "else"))


def test_to_disable_again_ends_what_was_left_by_one_that_was_cut_short() -> None:
    store = peopled()
    failing = Failing()
    failing._rows = store._rows
    with pytest.raises(StoreUnavailable):
        switch_account(failing, terms(), ClientRecord, "ci", enabled=False)
    assert not met(store, issued_at_s=NOW_S, client_id="ci")
    assert switch_account(store, terms(), ClientRecord, "ci", enabled=False).event == ""
    assert met(store, issued_at_s=NOW_S, client_id="ci")


def test_what_was_traded_from_a_disabled_clients_token_ends_with_it() -> None:
    store = peopled()
    parent = replace(principal(), issuer=ISSUER, subject="ann", client_id="ci")
    origins = origins_for(parent, ISSUER, now_s=NOW_S)
    switch_account(store, terms(), ClientRecord, "ci", enabled=False)
    child = replace(principal(), issuer=ISSUER, subject="ann", client_id="app", origins=origins, issued_at_s=NOW_S)
    assert load_revocations(store).find(names_of(child, ISSUER), NOW_S, 0) == "client ci"


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_what_another_issuer_has_given_a_principal_ends_with_it_too(how: str) -> None:
    store, other = MemoryStore(), "https://idp.example"
    by = replace(terms(), others={"idp": other, "else": "https://else.example"})
    create_principal(store, by, "idp/a/b", PrincipalValues(scopes=("ai",)))

    def counts(issuer: str, subject: str, issued_at_s: int) -> bool:
        token = replace(principal(), issuer=issuer, subject=subject, issued_at_s=issued_at_s)
        return load_revocations(store).find(names_of(token, ISSUER), issued_at_s, 5) is None

    assert counts(other, "a/b", NOW_S - 60)
    if how == "deleted":
        delete_account(store, by, PrincipalRecord, "idp/a/b")
    else:
        switch_account(store, by, PrincipalRecord, "idp/a/b", enabled=False)
    assert not counts(other, "a/b", NOW_S - 60)
    assert counts(other, "a/b", NOW_S + 6), "whoever vouches for it there may do it again"
    assert counts(other, "a", NOW_S - 60)
    assert counts("https://else.example", "a/b", NOW_S - 60)
    assert counts(ISSUER, "a/b", NOW_S - 60)
    foreign = token_handle(other, "a/b")
    (row,) = (one for one in store.revocations_after(0, 10) if one.handle == foreign)
    assert row.expires_at_s is None, "how long its tokens live is its issuer's to say"
