"""A token is met by itself, by what it came of, and by whose it is, and by nothing else; its children by all that."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from jotgate.core.claims import AccessGrant
from jotgate.core.durable import Issuance, Revocation, RevocationKind
from jotgate.core.families import Family
from jotgate.core.principals import Principal
from jotgate.core.revocations import (
    Dated,
    Entry,
    ancestor_handle,
    ancestor_name,
    claim_of,
    entry_of,
    inherited_names,
    issued_names,
    names_of,
    origins_for,
    refreshed_origins,
    token_handle,
    token_name,
    with_family,
)
from tests.callers import NAME, principal

ELSEWHERE = "https://other.example"
GRANT = AccessGrant(subject="bob", client_id="app", scopes=("ai",), audiences=(NAME,), ttl_s=60)


def revoked(kind: RevocationKind, handle: str) -> str:
    return entry_of(Revocation(kind, handle, 1)).name


def test_a_token_is_met_by_itself_by_what_it_came_of_and_by_whose_it_is() -> None:
    whose = replace(
        principal(),
        tenant="acme",
        session="s-1",
        family="f",
        ancestors=("a", f"{ELSEWHERE} b"),
        origins=("client parent",),
    )
    met = {
        "jti": (revoked(RevocationKind.TOKEN, token_handle(NAME, "t-1")), "t-1"),
        "family": (revoked(RevocationKind.FAMILY, "f"), "f"),
        "ancestors": (revoked(RevocationKind.TOKEN, token_handle(NAME, "a")), "a"),
        "ancestors ": (revoked(RevocationKind.TOKEN, token_handle(ELSEWHERE, "b")), f"{ELSEWHERE} b"),
        "sub": (revoked(RevocationKind.SUBJECT, token_handle(NAME, "alice")), "alice"),
        "kid": (revoked(RevocationKind.KEY, token_handle(NAME, "k-1")), "k-1"),
        "sid": (revoked(RevocationKind.SESSION, token_handle(NAME, "s-1")), "s-1"),
        "client_id": (revoked(RevocationKind.CLIENT, "jotgate-cli"), "jotgate-cli"),
        "tenant": (revoked(RevocationKind.TENANT, "acme"), "acme"),
        "origins": (revoked(RevocationKind.CLIENT, "parent"), "client parent"),
    }
    assert names_of(whose, NAME) == tuple(name for name, _ in met.values())
    assert token_name(whose) == met["jti"][0]
    for claim, (name, got) in met.items():
        assert claim_of(whose, name) == (claim.strip(), got)


def test_handles_of_two_kinds_or_of_two_issuers_are_never_one() -> None:
    assert len({revoked(kind, "x") for kind in RevocationKind}) == len(RevocationKind)
    here, there = principal(), replace(principal(), issuer=ELSEWHERE)
    assert set(names_of(here, NAME)).isdisjoint(names_of(there, NAME))


def test_tokens_of_others_name_no_client_of_ours_and_a_tenant_if_they_are_mapped_to_one() -> None:
    there = replace(principal(), issuer=ELSEWHERE, client_id="app")
    assert not [name for name in names_of(there, NAME) if name.startswith(("client ", "tenant "))]
    assert "tenant acme" in names_of(replace(there, tenant="acme"), NAME)
    assert {"client jotgate-cli", "tenant default"} <= set(names_of(principal(), NAME))


def test_children_name_our_tokens_by_their_jti_and_others_by_whose_they_are_too() -> None:
    ours, theirs = principal(), replace(principal(), issuer=ELSEWHERE)
    assert ancestor_name(NAME, ours) == "t-1"
    for parent in (ours, theirs):
        assert ancestor_handle(NAME, ancestor_name(NAME, parent)) == token_handle(parent.issuer, "t-1")


@pytest.mark.parametrize("issuer", [NAME, ELSEWHERE])
def test_whatever_ends_a_parent_ends_its_child(issuer: str) -> None:
    parent = replace(principal(), issuer=issuer, tenant="acme", session="s", family="f", origins=("key x y",))
    ancestors = (*parent.ancestors, ancestor_name(NAME, parent))
    child = grown(replace(GRANT, ancestors=ancestors, family="f", origins=origins_for(parent, NAME, now_s=9)))
    assert set(names_of(parent, NAME)) <= set(names_of(child, NAME))
    again = replace(GRANT, subject="carol", client_id="third")
    grandchild = grown(
        replace(
            again,
            ancestors=(*child.ancestors, child.token_id),
            family="f",
            origins=origins_for(child, NAME, now_s=9),
        )
    )
    assert set(names_of(child, NAME)) <= set(names_of(grandchild, NAME))


def test_a_child_says_whose_its_parent_is_and_when_that_was_issued() -> None:
    own = (f"subject {NAME} alice", f"key {NAME} k-1", "client jotgate-cli", "tenant default")
    parent = replace(principal(), issued_at_s=70.5)
    assert origins_for(parent, NAME, now_s=99) == ("bindings none", "issued 70", *own)
    unknown = replace(parent, issued_at_s=None)
    assert origins_for(unknown, NAME, now_s=99) == (*own, "bindings none"), "no time: it may be older than everything"
    again = replace(parent, client_id="web", origins=("family f", "issued 50", own[0], "client ci"), issued_at_s=70)
    names = ("issued 50", own[0], "client ci", "issued 70", own[1], "client web", "tenant default")
    found = origins_for(again, NAME, now_s=99)
    assert found == ("family f", "bindings none", *names), "of the same name the earliest time holds"
    acting = replace(principal(), token_id="a", subject="agent", issued_at_s=60)
    times = times_of(origins_for(parent, NAME, acting, now_s=99))
    assert (times[f"subject {NAME} agent"], times[f"token {NAME} a"], times[own[0]], times[own[2]]) == (60, 60, 70, 60)


def test_a_child_of_a_personal_token_ends_with_what_ends_that_and_outlives_a_pause_of_its_owner() -> None:
    personal = replace(principal(), kid="", client_id="personal", issued_at_s=10)
    found = times_of(origins_for(personal, NAME, now_s=99))
    assert found["subject personal tokens of alice"] == found["tenant personal tokens of default"] == 10
    assert found[f"subject {NAME} alice"] == found["tenant default"] == 99


def test_a_time_that_is_none_of_ours_is_before_everything() -> None:
    for mark in ("issued ", "issued -5", "issued x", "issued \u00b2", "issued " + "9" * 5_000):
        assert inherited_names((mark, "client ci")) == (Dated(("client ci",), None),)


def test_what_a_refresh_yields_has_the_times_of_its_family() -> None:
    origins = ("issued 50", f"subject {NAME} alice")
    whose = Family(family_id="f", client_id="app", subject="alice", idle_s=9, created_at_s=70, ends_at_s=99)
    family = replace(whose, origins=origins)
    found = times_of(refreshed_origins(family, NAME))
    assert found == {f"subject {NAME} alice": 50, "client app": 70, "tenant default": 70}
    assert with_family(origins, "before") == ("family before", *origins)


def grown(grant: AccessGrant) -> Principal:
    """What is granted, as a token says it that another key has signed."""
    return replace(
        principal(subject=grant.subject),
        client_id=grant.client_id,
        token_id="of-" + grant.client_id,
        kid="k-2",
        family=grant.family,
        ancestors=grant.ancestors,
        origins=grant.origins,
    )


def test_the_ledger_knows_the_same_names_of_what_was_issued() -> None:
    child = Issuance("c", "alice", "app", "k-2", 5, 9, parent="p", family="f", tenant="default")
    parent = Issuance("p", "bob", "web", "k-1", 1, 2)
    found = issued_names(NAME, child, [parent, f"{ELSEWHERE} b"])
    whose = replace(
        principal(), token_id="c", client_id="app", kid="k-2", family="f", ancestors=(f"{ELSEWHERE} b", "p"),
        origins=(f"subject {NAME} bob", "client web", f"key {NAME} k-1"),
    )  # fmt: skip
    assert flat(found) == set(names_of(whose, NAME))
    known = issued_names(NAME, replace(child, tenant=None), [parent, f"{ELSEWHERE} b"])
    assert flat(known) == flat(found) - {"tenant default"}, "one that an earlier version issued"
    assert [one.issued_at_s for one in found] == [5, 1, None]


def times_of(origins: Iterable[str]) -> dict[str, float | None]:
    return {name: one.issued_at_s for one in inherited_names(origins) for name in one.names}


def flat(dated: Iterable[Dated]) -> set[str]:
    return {name for one in dated for name in one.names}


def test_a_long_identity_of_another_issuer_has_a_handle_that_can_be_stored() -> None:
    long = "\U0001f600" * 3_000
    handle = token_handle(NAME, long)
    Revocation(RevocationKind.TOKEN, handle, 1)  # Raises when it cannot be.
    assert handle == token_handle(NAME, long) != token_handle(NAME, long + "x")
    assert ancestor_handle(NAME, handle) == handle


def test_an_entry_lasts_until_no_leeway_keeps_the_token_any_more() -> None:
    row = Revocation(RevocationKind.FAMILY, "f", 1, expires_at_s=1_000)
    assert entry_of(row) == Entry("family f", 1_060)
    assert entry_of(replace(row, expires_at_s=None)) == Entry("family f", None)
    assert entry_of(replace(row, before_s=900)) == Entry("family f", 1_060, 900)
