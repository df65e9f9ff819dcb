"""What a worker holds of one snapshot: typed keys, routes by alias, upstream connections. Read once per call."""

from collections.abc import Mapping

from msgspec import Struct

from jotgate.core.routes import Route, Upstream
from jotgate.core.snapshot import Issuer, Limits, Snapshot
from jotgate.gateway.standing import Standing
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet
from jotgate.ports import UpstreamPort
from jotgate.services.verifier import Verifier


class Place:
    """An upstream as configured, the port that reaches it, and how it stands; a reload may hand the last one on."""

    __slots__ = ("port", "standing", "upstream")

    def __init__(self, upstream: Upstream, port: UpstreamPort, standing: Standing | None = None) -> None:
        self.upstream = upstream
        self.port = port
        self.standing = standing or Standing(upstream)


class Turns:
    """Counts the calls of routes whose upstreams share them by weight. Mutable: the counts, by alias."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, alias: str) -> int:
        """The number of this call among those of its route, from 0."""
        turn = self._counts.get(alias, 0)
        self._counts[alias] = turn + 1
        return turn


class World(Struct, frozen=True):
    """One version of the world, ready for use."""

    snapshot: Snapshot
    limits: Limits
    verifier: Verifier
    routes: Mapping[str, Route]
    places: Mapping[str, Place]
    turns: Turns


def build_verifier(issuer: Issuer, capacity: int) -> Verifier:
    """The verifier of an issuer's expectation."""
    expectation = Expectation(
        issuer=issuer.issuer,
        audience=issuer.audience,
        types=issuer.types,
        algorithms=issuer.algorithms,
        leeway_s=issuer.leeway_s,
        lifetime_max_s=issuer.lifetime_max_s,
    )
    return Verifier(
        keys=KeySet.from_jwks(issuer.jwks),
        expectation=expectation,
        default_scopes=frozenset(issuer.default_scopes),
        capacity=capacity,
    )


def build_world(snapshot: Snapshot, places: Mapping[str, Place], previous: World | None) -> World:
    """Make a snapshot usable. The verifier goes on, with its cache, when all that it was built from is equal."""
    capacity = snapshot.limits.verified_tokens
    same = (
        previous is not None
        and previous.snapshot.issuer == snapshot.issuer
        and previous.limits.verified_tokens == capacity
    )
    verifier = previous.verifier if same and previous else build_verifier(snapshot.issuer, capacity)
    return World(
        snapshot=snapshot,
        limits=snapshot.limits,
        verifier=verifier,
        routes={route.alias: route for route in snapshot.routes},
        places=places,
        turns=Turns(),
    )
