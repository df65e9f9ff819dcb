"""Whatever stands in a token's claims, a principal has what its issuer's mapping leads to, or there is none."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from jotgate.core.issuers import ClaimMapping, Condition
from jotgate.core.principals import Identity, find, read_identity
from jotgate.errors import ClaimRefused, Code, JotgateError
from jotgate.gateway.world import build_verifier
from tests.callers import NOW_S, issuer_of, make_issuer

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcn") | st.just("name"), inner, max_size=3)
    ),
    max_leaves=8,
)
CLAIMS = st.dictionaries(st.sampled_from(["sub", "a", "b", "c", "scope", "models"]), JSON, max_size=6)
PATHS = st.lists(st.sampled_from(["sub", "a", "b", "c"]), min_size=1, max_size=3).map(tuple)
MAPPINGS = st.builds(
    ClaimMapping,
    subject=st.lists(PATHS, min_size=1, max_size=2).map(tuple),
    client=PATHS | st.just(()),
    tenant=PATHS | st.just(()),
    scopes=PATHS | st.just(()),
    models=PATHS | st.just(()),
    roles=PATHS | st.just(()),
)


def texts_in(value: object) -> set[str]:
    """The texts in a value, those of the objects' members too."""
    if isinstance(value, str):
        return {value, *value.split(" ")}
    if isinstance(value, dict):
        return {text for inner in value.values() for text in texts_in(inner)}
    return {text for inner in value for text in texts_in(inner)} if isinstance(value, list) else set()


def read(claims: Mapping[str, object], mapping: ClaimMapping) -> Identity | ClaimRefused:
    """What a mapping makes of claims, or why it makes nothing."""
    try:
        return read_identity(claims, mapping)
    except ClaimRefused as refusal:
        return refusal


@given(CLAIMS, MAPPINGS)
def test_nothing_comes_from_elsewhere(claims: Mapping[str, object], mapping: ClaimMapping) -> None:
    found = read(claims, mapping)
    if isinstance(found, ClaimRefused):
        assert found.message.isprintable()
        return
    parts = [find(claims, path) for path in mapping.subject]
    assert found.subject == "/".join(part for part in parts if isinstance(part, str))
    assert found.subject.isprintable()
    assert len(parts) == 1 or found.subject.count("/") == len(parts) - 1
    for value, path in ((found.tenant, mapping.tenant), (found.client_id, mapping.client)):
        assert value == (find(claims, path) or "")
    for names, path in ((found.roles, mapping.roles), (found.models, mapping.models), (found.scopes, mapping.scopes)):
        assert (names or frozenset()) <= texts_in(find(claims, path))
        assert all(name and name.isprintable() for name in names or ())
    assert (found.models is None) == (find(claims, mapping.models) is None)
    assert (found.scopes is None) == (find(claims, mapping.scopes) is None)


@given(CLAIMS, PATHS, JSON)
def test_what_a_mapping_does_not_lead_to_changes_nothing(
    claims: Mapping[str, object], path: tuple[str, ...], more: object
) -> None:
    mapping = ClaimMapping(subject=(path,), client=(), scopes=(), models=())
    beside = dict.fromkeys(("tenant", "roles", "org", "client_id", "scope", "models", "groups"), more)

    assert repr(read({**beside, **claims}, mapping)) == repr(read(claims, mapping))


VALUES = [
    True,
    False,
    0,
    1,
    1.0,
    0.0,
    "1",
    "true",
    "True",
    "",
    "access-token",
    "Access-Token",
    [True],
    {"a": True},
    None,
]


@pytest.mark.parametrize("wanted", ["access-token", True, False, 1, 0, ""])
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("got", VALUES, ids=repr)
def test_a_condition_holds_for_its_own_value_alone(wanted: str | bool | int, optional: bool, got: object) -> None:
    source = make_issuer()
    rules = structs.replace(issuer_of(source), equal=(Condition(("flags", "kind"), wanted, optional),))
    verifier = build_verifier((rules,), 10)
    holds = (type(got) is type(wanted) and got == wanted) or (got is None and optional)
    token = source.token(flags={"kind": got})
    if holds:
        assert verifier.verify(token, NOW_S).subject
    else:
        with pytest.raises(JotgateError) as caught:
            verifier.verify(token, NOW_S)
        assert caught.value.code is Code.CLAIM_REFUSED


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize(("flags", "is_object"), [({}, True), ("text", False), (None, False), ([], False)])
def test_a_condition_on_what_is_not_there_holds_only_if_it_is_optional(
    flags: object, is_object: bool, optional: bool
) -> None:
    source = make_issuer()
    rules = structs.replace(issuer_of(source), equal=(Condition(("flags", "kind"), False, optional),))
    verifier = build_verifier((rules,), 10)
    if optional and is_object:
        assert verifier.verify(source.token(flags=flags), NOW_S).subject
    else:
        with pytest.raises(JotgateError):
            verifier.verify(source.token(flags=flags), NOW_S)


@pytest.mark.parametrize("name", ["a\0b", "\u202eeci", "a\u200fb", "\n", "\x1b[31m", "", "a\u2028b"])
@pytest.mark.parametrize("claim", ["sub", "tenant", "role", "model"])
def test_names_that_deceive_terminals_are_refused(name: str, claim: str) -> None:
    mapping = ClaimMapping(tenant=("tenant",), models=("model",), roles=("role",))
    value = [name] if claim in ("role", "model") else name
    with pytest.raises(JotgateError) as caught:
        read_identity({"sub": "joe", claim: value}, mapping)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", ["רות", "名前", "Ünal", "a b", "ابن"])
def test_names_of_any_script_are_taken(name: str) -> None:
    mapping = ClaimMapping(tenant=("tenant",), roles=("role",))
    found = read_identity({"sub": name, "tenant": name, "role": name}, mapping)
    assert (found.subject, found.tenant) == (name, name)
    assert found.roles == {name}


@pytest.mark.parametrize(
    "scopes", ["a  b", " a", "a ", "a\tb", "a,\u00e4", "", ["a b"], [""], [7], {"name": "a"}, True]
)
def test_scopes_that_could_be_read_in_two_ways_are_refused(scopes: object) -> None:
    with pytest.raises(JotgateError):
        read_identity({"sub": "joe", "scp": scopes}, ClaimMapping(scopes=("scp",)))


@pytest.mark.parametrize("owner", ["text", None, [], 7])
def test_what_stands_in_the_way_is_not_as_if_nothing_stood_there(owner: object) -> None:
    """Nothing limits the models of a token without the claim: one with something else in its place is no such token."""
    mapping = ClaimMapping(models=("llm", "models"))
    assert read_identity({"sub": "joe"}, mapping).models is None
    assert read_identity({"sub": "joe", "llm": {}}, mapping).models is None
    with pytest.raises(JotgateError):
        read_identity({"sub": "joe", "llm": owner}, mapping)
