"""Which scopes an account may be given, and what those of the admin API let somebody do."""

import pytest

from jotgate.core.operations import SCOPES
from jotgate.core.scopes import ADMIN_ALL, ADMIN_NOUNS, ADMIN_READ, ADMIN_SCOPES, may_administer, scope_fault

FILES = "https://files.example"


@pytest.mark.parametrize("scope", sorted(SCOPES | ADMIN_SCOPES))
def test_scopes_of_jotgate_are_known(scope: str) -> None:
    assert scope_fault(scope) == ""
    assert scope_fault(scope, ()) == ""


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("chat", "'chat' is unknown"),
        ("chat.completion", "did you mean 'chat.completions'?"),
        ("AI", "is unknown"),
        ("admin:everything", "is unknown"),
        ("mcp:Files:read", "is unknown"),
        ("mcp:files", "is unknown"),
        ("", "is no scope"),
        ("two words", "is no scope"),
        ('quo"te', "is no scope"),
        ("back\\slash", "is no scope"),
        ("ünder", "is no scope"),
        ("x" * 257, "is no scope"),
    ],
)
def test_what_is_no_scope_is_told(scope: str, wanted: str) -> None:
    assert wanted in scope_fault(scope)
    assert wanted in scope_fault(scope, (FILES,))


def test_a_scope_of_another_resource_begins_with_its_url() -> None:
    assert scope_fault(f"{FILES}/read") == ""
    assert scope_fault("urn:files:read") == ""
    assert scope_fault(f"{FILES}/read", (FILES,)) == ""
    assert scope_fault(f"{FILES}/read", (f"{FILES}/",)) == ""
    assert scope_fault("urn:files:read", ("urn:files",)) == ""


@pytest.mark.parametrize(
    "scope", [FILES, f"{FILES}/", f"{FILES}.evil/read", "https://other.example/read", "http:", "urn:"]
)
def test_a_client_gets_no_scope_of_a_resource_that_is_not_its_own(scope: str) -> None:
    assert "begins with its URL and a slash" in scope_fault(scope, (FILES,))


def test_who_may_change_a_noun_and_who_may_only_look() -> None:
    for noun in ADMIN_NOUNS:
        assert may_administer({ADMIN_ALL}, noun, change=True)
        assert may_administer({f"admin:{noun}"}, noun, change=True)
        assert may_administer({f"admin:{noun}"}, noun, change=False)
        assert may_administer({ADMIN_READ}, noun, change=False)
        assert not may_administer({ADMIN_READ}, noun, change=True)
        others = {f"admin:{other}" for other in ADMIN_NOUNS if other != noun}
        assert not may_administer(others, noun, change=False)
        assert not may_administer({*SCOPES, "admin", "admin:", "ADMIN:*"}, noun, change=False)


@pytest.mark.parametrize("scope", ["mcp:files:read_file", "mcp:files:read", "mcp:files:*"])
def test_a_scope_of_tools_is_one_whoever_gets_it(scope: str) -> None:
    assert scope_fault(scope) == ""
    assert scope_fault(scope, (FILES,)) == ""
