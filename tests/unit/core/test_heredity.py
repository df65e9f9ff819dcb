"""What of a token its children keep for policies that deny, and how it is read."""

from msgspec.structs import replace

from jotgate.core.heredity import HEREDITARY, actor_names, policy_names, read_inherited
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.policy_checks import PATTERNS, check_policy
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.revocations import names_of, origins_for, personal_handle
from tests.callers import NAME, principal

ELSEWHERE = "https://other.example"


def test_a_token_of_ours_leaves_its_roles_and_whether_it_was_bound() -> None:
    whose = replace(principal(), roles=frozenset({"b", "a"}), actors=(Actor("agent"),))
    assert policy_names(whose, NAME) == ("roles a", "roles b", "bindings none")
    assert policy_names(replace(principal(), confirmation=Confirmation("jkt", "v")), NAME) == ("bindings dpop",)


def test_a_token_of_another_leaves_what_is_called_otherwise_here_too() -> None:
    actors = (Actor("bot", client_id="web"), Actor("x", "https://else.example"))
    whose = replace(principal(), issuer=ELSEWHERE, client_id="app", actors=actors)
    names = ("actors bot", "actors web", "actors https://else.example x", "clients app", "tenants default")
    assert policy_names(whose, NAME) == (*names, "bindings none")
    assert "tenants default" not in policy_names(replace(whose, tenant="acme"), NAME), "that one is named anyway"


def test_what_a_personal_token_is_revoked_by_names_nobody() -> None:
    personal = replace(principal(), kid="")
    origins = origins_for(personal, NAME, now_s=9)
    assert f"subject {personal_handle('alice')}" in origins
    found = read_inherited(origins).values
    assert (found["subjects"], found["tenants"], found["issuers"]) == ({"alice"}, {"default"}, {NAME})


def test_who_acts_is_called_once_by_each_name() -> None:
    chain = (Actor("ag1", client_id="ag1"), Actor("bob", NAME, "ag1"), Actor("ag1"))
    assert actor_names(chain, NAME) == ["ag1", "bob"]


def test_what_is_read_of_names_for_revocations_and_of_those_for_policies() -> None:
    found = read_inherited(
        ("bindings mtls", "roles a b", "issued 50", f"subject {ELSEWHERE} bob", "client ci", "clients web")
        + ("tenant acme", "tenants default", "actors agent", "key x y", "family f")
    )
    assert found.values == {
        "subjects": {"bob"},
        "issuers": {ELSEWHERE},
        "clients": {"ci", "web"},
        "tenants": {"acme", "default"},
        "roles": {"a b"},
        "actors": {"agent"},
        "bindings": {"mtls", "any"},
    }
    assert not found.unreadable
    assert read_inherited(("subject sha256 0123",)).unreadable
    assert read_inherited(("bindings none",)).values["bindings"] == {"none"}


def test_a_policy_that_denies_names_nothing_of_a_token_that_can_be_shed() -> None:
    about_calls = {"operations", "routes", "models", "tools"}
    assert set(PATTERNS) == set(HEREDITARY) - {"bindings"} | about_calls | {"scopes"}
    faults = check_policy("p", PolicyEntry(name="p", effect="deny", scopes=("ai",)))
    assert [path for path, _ in faults] == ["p.scopes"]


def test_no_name_for_policies_is_one_that_something_is_revoked_by() -> None:
    whose = replace(principal(), issuer=ELSEWHERE, roles=frozenset({"r"}), actors=(Actor("a"),))
    names = set(policy_names(whose, NAME))
    assert names <= set(origins_for(whose, NAME, now_s=9))
    assert names.isdisjoint(names_of(replace(whose, origins=()), NAME))
