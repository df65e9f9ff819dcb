"""What a token says of where it comes from, who acts by it, and what its bearer must prove."""

import pytest

from jotgate.core.lineage import ACTORS_MAX, NO_LINEAGE, Actor, Confirmation, Lineage, actor_claim, read_lineage
from jotgate.errors import ClaimRefused

_DIGEST = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


def test_a_token_that_says_nothing_comes_of_nothing() -> None:
    assert read_lineage({"sub": "alice"}, ours=True) == NO_LINEAGE


def test_our_own_token_says_all_of_it() -> None:
    claims: dict[str, object] = {
        "tenant": "acme",
        "roles": ["reader"],
        "family": "f",
        "ancestors": ["a", "b"],
        "origins": ["client ci"],
        "act": {"sub": "agent", "iss": "https://i", "act": {"sub": "before", "client_id": "c"}},
        "may_act": {"sub": "helper"},
        "cnf": {"jkt": _DIGEST},
        "sid": "s",
    }
    assert read_lineage(claims, ours=True) == Lineage(
        tenant="acme",
        roles=frozenset({"reader"}),
        family="f",
        ancestors=("a", "b"),
        origins=("client ci",),
        actors=(Actor("agent", "https://i"), Actor("before", client_id="c")),
        may_act=Actor("helper"),
        confirmation=Confirmation("jkt", _DIGEST),
        session="s",
    )
    foreign = read_lineage(claims, ours=False)
    assert (foreign.tenant, foreign.roles, foreign.family, foreign.ancestors, foreign.origins) == (
        "",
        frozenset(),
        "",
        (),
        (),
    )
    assert (foreign.actors, foreign.session) == ((Actor("agent", "https://i"), Actor("before", client_id="c")), "s")


def test_a_chain_of_actors_is_written_as_it_is_read() -> None:
    actors = tuple(Actor(f"agent {number}", "https://i", "c" * number) for number in range(ACTORS_MAX))
    assert read_lineage({"act": actor_claim(actors)}, ours=True).actors == actors
    with pytest.raises(ClaimRefused, match="at most 4"):
        read_lineage({"act": actor_claim((*actors, Actor("one too many")))}, ours=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("act", "agent"),
        ("act", None),
        ("act", []),
        ("act", {}),
        ("act", {"sub": ""}),
        ("act", {"sub": 1}),
        ("act", {"sub": "a", "iss": 1}),
        ("act", {"sub": "a", "client_id": "\n"}),
        ("act", {"sub": "a", "act": "b"}),
        ("may_act", {"iss": "i"}),
        ("may_act", {"sub": "helper", "email": "h@example.org"}),
        ("may_act", {"sub": "helper", "act": {"sub": "other"}}),
        ("may_act", None),
        ("cnf", None),
        ("cnf", {}),
        ("cnf", {"jwk": {"kty": "EC"}}),
        ("cnf", {"jkt": _DIGEST[:-1]}),
        ("cnf", {"jkt": _DIGEST + "A"}),
        ("cnf", {"jkt": _DIGEST[:-1] + "B"}),  # its last character says more than 32 bytes
        ("cnf", {"jkt": 1}),
        ("cnf", {"jkt": _DIGEST, "x5t#S256": _DIGEST}),
        ("sid", ""),
        ("sid", 1),
    ],
)
@pytest.mark.parametrize("ours", [True, False])
def test_what_is_not_understood_is_refused_whoever_says_it(name: str, value: object, ours: bool) -> None:
    with pytest.raises(ClaimRefused):
        read_lineage({name: value}, ours=ours)


@pytest.mark.parametrize("name", ["tenant", "roles", "family", "ancestors", "origins"])
def test_what_is_ours_alone_is_refused_in_a_wrong_shape_and_means_nothing_elsewhere(name: str) -> None:
    with pytest.raises(ClaimRefused):
        read_lineage({name: [""]}, ours=True)
    assert read_lineage({name: [""]}, ours=False) == NO_LINEAGE
