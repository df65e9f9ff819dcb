"""What an account may do, and what a token of it says: whatever is asked, whoever asks, both only ever shrink."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.accounts import ClientRecord, PrincipalRecord, Role, TenantRecord
from jotgate.core.operations import BEYOND_AI, SCOPES
from jotgate.core.rights import Rights, grant_scopes, rights_of, within_scopes
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.errors import ScopeRefused

FOREIGN = "https://files.example/read"
NAMES = st.sampled_from(sorted({*SCOPES, *ADMIN_SCOPES, FOREIGN}))
SOME_SCOPES = st.frozensets(NAMES, max_size=6)
MODELS = st.sampled_from(["echo", "gpt", "claude"])
SOME_MODELS = st.none() | st.frozensets(MODELS)
RIGHTS = st.builds(Rights, SOME_SCOPES, SOME_MODELS, st.just(()))
ROLES = st.lists(
    st.builds(
        Role,
        st.sampled_from(["reader", "writer", "keeper"]),
        SOME_SCOPES.map(tuple),
        st.none() | st.lists(MODELS, max_size=2).map(tuple),
    ),
    max_size=3,
    unique_by=lambda role: role.name,
).map(tuple)
HELD = st.lists(st.sampled_from(["reader", "writer", "keeper", "gone"]), max_size=3, unique=True).map(tuple)
PRINCIPALS = st.builds(
    PrincipalRecord,
    name=st.just("ann"),
    roles=HELD,
    scopes=SOME_SCOPES.map(tuple),
    models=st.none() | st.lists(MODELS, max_size=2).map(tuple),
)
ALL_MODELS = frozenset({"echo", "gpt", "claude", "any other"})


def meaning(scopes: Iterable[str]) -> frozenset[str]:
    """What scopes let somebody do, one by one."""
    found = set(scopes)
    if "ai" in found:
        found |= SCOPES - BEYOND_AI
    if ADMIN_ALL in found:
        found |= ADMIN_SCOPES
    # Who may do each part may do the whole, and the other way round: the whole's own name adds nothing.
    return frozenset(found - {"ai", ADMIN_ALL})


def models(rights: Rights) -> frozenset[str]:
    return ALL_MODELS if rights.models is None else rights.models


def is_within(one: Rights, other: Rights) -> bool:
    return meaning(one.scopes) <= meaning(other.scopes) and models(one) <= models(other)


@given(SOME_SCOPES, SOME_SCOPES)
def test_scopes_within_others_are_what_both_mean(asked: frozenset[str], allowed: frozenset[str]) -> None:
    assert meaning(within_scopes(asked, allowed)) == meaning(asked) & meaning(allowed)


@given(RIGHTS, RIGHTS)
def test_what_both_allow_is_never_more_than_either(one: Rights, other: Rights) -> None:
    both = one.within(other)
    assert is_within(both, one)
    assert is_within(both, other)
    again = both.within(one).within(other)
    assert (meaning(again.scopes), again.models) == (meaning(both.scopes), both.models)
    back = other.within(one)
    assert (meaning(back.scopes), back.models) == (meaning(both.scopes), both.models)


@given(RIGHTS, RIGHTS, RIGHTS)
def test_a_chain_of_exchanges_ends_alike_however_it_is_folded(one: Rights, two: Rights, three: Rights) -> None:
    left, right = one.within(two).within(three), one.within(two.within(three))
    assert (meaning(left.scopes), left.models) == (meaning(right.scopes), right.models)


@given(st.lists(NAMES, max_size=5), SOME_SCOPES)
def test_a_request_gets_what_it_asks_for_or_nothing(asked: list[str], allowed: frozenset[str]) -> None:
    try:
        granted = grant_scopes(" ".join(asked), allowed)
    except ScopeRefused:
        assert not allowed.issuperset(asked)
        return
    assert granted == (tuple(dict.fromkeys(asked)) or tuple(sorted(allowed)))
    assert meaning(granted) <= meaning(allowed)


@pytest.mark.parametrize("asked", ["ai", "chat.completions  models", " ", "metrics", "CHAT.COMPLETIONS", "admin:*"])
def test_what_is_only_partly_allowed_is_refused_and_not_widened(asked: str) -> None:
    allowed = frozenset({"chat.completions", "models", "admin:clients"})
    with pytest.raises(ScopeRefused, match="may not be granted") as caught:
        grant_scopes(asked, allowed)
    assert caught.value.hint == "What may be: admin:clients chat.completions models"


def test_ai_stands_for_ai_calls_alone_and_admin_for_administration_alone() -> None:
    everything = {*SCOPES, *ADMIN_SCOPES, FOREIGN}
    assert within_scopes(everything, frozenset({"ai"})) == SCOPES - BEYOND_AI
    assert within_scopes(everything, frozenset({ADMIN_ALL})) == ADMIN_SCOPES
    assert within_scopes(everything, frozenset({"admin:read"})) == {"admin:read"}


@given(PRINCIPALS, ROLES, st.sampled_from(["reader", "writer", "keeper"]))
def test_a_role_that_goes_takes_and_never_gives(ann: PrincipalRecord, roles: tuple[Role, ...], gone: str) -> None:
    before = rights_of(ann, TenantRecord(name="default", roles=roles))
    left = tuple(role for role in roles if role.name != gone)
    after = rights_of(ann, TenantRecord(name="default", roles=left))
    assert is_within(after, before)
    assert gone not in after.roles


@given(PRINCIPALS, ROLES)
def test_an_account_has_no_more_than_itself_and_its_roles(ann: PrincipalRecord, roles: tuple[Role, ...]) -> None:
    found = rights_of(ann, TenantRecord(name="default", roles=roles))
    held = [role for role in roles if role.name in ann.roles]
    assert found.scopes == frozenset(ann.scopes).union(*(role.scopes for role in held))
    if ann.models is not None:
        assert models(found) <= frozenset(ann.models)
    assert sorted(found.roles) == sorted(role.name for role in held)


def test_models_of_roles_add_up_and_none_of_them_means_every() -> None:
    roles = (Role("a", models=("echo",)), Role("b", models=("gpt",)), Role("c"))
    tenant = TenantRecord(name="default", roles=roles)
    assert rights_of(PrincipalRecord(name="ann", roles=("a", "b")), tenant).models == frozenset({"echo", "gpt"})
    assert rights_of(PrincipalRecord(name="ann", roles=("a", "c")), tenant).models is None
    bounded = PrincipalRecord(name="ann", roles=("a", "c"), models=("gpt",))
    assert rights_of(bounded, tenant).models == frozenset({"gpt"})
    assert rights_of(ClientRecord(name="ci", models=()), tenant).models == frozenset()


def test_a_role_that_nobody_defines_lets_nobody_use_every_model() -> None:
    tenant = TenantRecord(name="default")
    found = rights_of(PrincipalRecord(name="ann", roles=("gone",), scopes=("ai",)), tenant)
    assert found == Rights(frozenset({"ai"}), frozenset(), ())
