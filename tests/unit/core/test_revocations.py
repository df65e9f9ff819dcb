"""A token is met by itself, by its family and by every token that it was narrowed from, and by nothing else."""

from msgspec.structs import replace

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.revocations import (
    Entry,
    ancestor_handle,
    ancestor_name,
    claim_of,
    entry_of,
    names_of,
    token_handle,
)
from tests.callers import NAME, principal


def revoked(kind: RevocationKind, handle: str) -> str:
    return entry_of(Revocation(kind, handle, 1)).name


def test_a_token_is_met_by_itself_its_family_and_its_ancestors() -> None:
    whose = replace(principal(), family="f", ancestors=("a", "https://other.example b"))
    met = {
        "jti": (revoked(RevocationKind.TOKEN, token_handle(NAME, "t-1")), "t-1"),
        "family": (revoked(RevocationKind.FAMILY, "f"), "f"),
        "a": (revoked(RevocationKind.TOKEN, token_handle(NAME, "a")), "a"),
        "b": (revoked(RevocationKind.TOKEN, token_handle("https://other.example", "b")), "https://other.example b"),
    }
    assert names_of(whose) == tuple(name for name, _ in met.values())
    for claim, (name, got) in met.items():
        assert claim_of(whose, name) == (claim if claim in {"jti", "family"} else "ancestors", got)


def test_handles_of_two_kinds_or_of_two_issuers_are_never_one() -> None:
    assert revoked(RevocationKind.TOKEN, "x") != revoked(RevocationKind.FAMILY, "x")
    assert names_of(principal()) != names_of(replace(principal(), issuer="https://other.example"))


def test_a_token_without_family_names_its_ancestors_in_place() -> None:
    whose = replace(principal(), ancestors=("a", "b"))
    assert [claim_of(whose, name) for name in names_of(whose)] == [
        ("jti", "t-1"),
        ("ancestors", "a"),
        ("ancestors", "b"),
    ]


def test_children_name_our_tokens_by_their_jti_and_others_by_whose_they_are_too() -> None:
    ours, theirs = principal(), replace(principal(), issuer="https://other.example")
    assert ancestor_name(NAME, ours) == "t-1"
    for parent in (ours, theirs):
        assert ancestor_handle(NAME, ancestor_name(NAME, parent)) == token_handle(parent.issuer, "t-1")


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
