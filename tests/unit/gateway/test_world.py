"""A snapshot made usable, and what of the world before it is carried over."""

from msgspec import structs

from jotgate.gateway.world import build_world
from jotgate.testing.ports import ScriptedPort
from tests.callers import NOW_S, issuer_of, make_issuer, make_world


def test_a_new_snapshot_of_the_same_issuer_keeps_the_verified_tokens() -> None:
    issuer = make_issuer()
    world = make_world(issuer, {"one": ScriptedPort()}, {"a": ("one",)})
    principal = world.verifier.verify(issuer.token(jti="t"), NOW_S)
    swapped = build_world(structs.replace(world.snapshot, version=8, routes=()), {}, world)
    assert swapped.verifier is world.verifier
    assert (swapped.snapshot.version, dict(swapped.routes), dict(swapped.places)) == (8, {}, {})
    assert principal.token_id == "t"


def test_an_issuer_with_another_content_gets_an_empty_cache() -> None:
    issuer = make_issuer()
    world = make_world(issuer, {}, {})
    for changed in (
        structs.replace(world.snapshot.issuers[0], leeway_s=0),
        structs.replace(world.snapshot.issuers[0], default_scopes=("ai",)),
        issuer_of(make_issuer()),
    ):
        swapped = build_world(structs.replace(world.snapshot, issuers=(changed,)), {}, world)
        assert swapped.verifier is not world.verifier
