"""Resources and scopes only ever shrink, and fit each other."""

import pytest

from jotgate.core.resources import Target, admin_resource, grant_target
from jotgate.errors import ScopeRefused, TargetRefused

ISSUER = "https://gate.example"
ADMIN = admin_resource(ISSUER)
FILES = "https://files.example"
READ = FILES + "/read"


def grant(
    *resources: str, scope: str = "", allowed: tuple[str, ...] = (), scopes: frozenset[str] = frozenset({"ai"})
) -> Target:
    return grant_target(resources, scope, allowed=allowed, scopes=scopes, issuer=ISSUER)


def test_who_names_nothing_gets_the_gateway_and_all_scopes_of_it() -> None:
    every = frozenset({"ai", "metrics", "admin:read", READ})
    assert grant(scopes=every) == Target((ISSUER,), ("ai", "metrics"))
    assert grant(allowed=(FILES, ISSUER), scopes=every) == Target((ISSUER,), ("ai", "metrics"))
    assert grant(allowed=(FILES,), scopes=every).audiences == (FILES,)


def test_a_resource_that_is_named_becomes_the_audience() -> None:
    every = frozenset({"ai", "admin:read", READ})
    assert grant(FILES, allowed=(ISSUER, FILES), scopes=every) == Target((FILES,), ("ai", READ))
    assert grant(ADMIN, allowed=(ISSUER, ADMIN), scopes=every) == Target((ADMIN,), ("admin:read",))
    both = grant(FILES, ADMIN, FILES, allowed=(ADMIN, FILES), scopes=every)
    assert both == Target((FILES, ADMIN), ("admin:read", "ai", READ))


def test_scopes_of_administration_alone_imply_its_resource() -> None:
    every = frozenset({"ai", "admin:read"})
    assert grant(scope="admin:read", allowed=(ISSUER, ADMIN), scopes=every) == Target((ADMIN,), ("admin:read",))
    with pytest.raises(ScopeRefused):
        grant(scope="admin:read", allowed=(ISSUER,), scopes=every)


@pytest.mark.parametrize(
    ("resources", "scope"),
    [
        ((), "ai admin:read"),
        ((ISSUER,), "admin:read"),
        ((ADMIN,), "ai"),
        ((ISSUER,), READ),
        ((ISSUER,), "unknown"),
        ((ISSUER,), "ai  metrics"),
        ((ADMIN,), ""),
    ],
)
def test_scopes_that_are_not_allowed_or_of_other_resources_are_refused(resources: tuple[str, ...], scope: str) -> None:
    scopes = frozenset({"ai", READ}) if not scope else frozenset({"ai", "metrics", "admin:read", READ})
    with pytest.raises(ScopeRefused):
        grant(*resources, scope=scope, allowed=(ISSUER, ADMIN, FILES), scopes=scopes)


def test_a_scope_that_is_covered_is_granted_as_it_was_asked() -> None:
    assert grant(scope="chat.completions").scopes == ("chat.completions",)
    with pytest.raises(ScopeRefused):
        grant(scope="ai", scopes=frozenset({"chat.completions"}))


@pytest.mark.parametrize(
    "resource",
    [
        ISSUER + "/",
        ISSUER.upper(),
        ISSUER + "#part",
        "files.example",
        "/admin/api",
        "https://other.example",
        "https://[",
        "urn:x",
        "https://ü.example",
        "https://" + "a" * 300,
    ],
)
def test_other_resources_are_refused(resource: str) -> None:
    with pytest.raises(TargetRefused):
        grant(resource, allowed=(ISSUER, FILES))


def test_a_resource_of_the_gateways_own_name_is_refused_to_a_client_of_others() -> None:
    with pytest.raises(TargetRefused):
        grant(ISSUER, allowed=(FILES,))
