"""What a worker holds of one snapshot: typed keys, routes by alias, upstream connections. Read once per call."""

from collections.abc import Mapping

from msgspec import Struct

from jotgate.core.issuers import Issuer
from jotgate.core.routes import Route, Upstream
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.core.well_known import PROTECTED_RESOURCE, well_known_url
from jotgate.gateway.credentials import CredentialRules, compile_rules
from jotgate.gateway.standing import Standing
from jotgate.ports import UpstreamPort
from jotgate.services.endless_sights import EndlessSights
from jotgate.services.federation import carry_over
from jotgate.services.personal_cache import PersonalTokens
from jotgate.services.policy_decisions import PolicyDesk, build_desk
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import TokenCache, Verifier


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
    """One version of the world, ready for use. `desk` decides by policies; None: tokens alone decide.

    `metered`: there are quotas, beside those that tokens bring.
    """

    snapshot: Snapshot
    limits: Limits
    verifier: Verifier
    routes: Mapping[str, Route]
    places: Mapping[str, Place]
    turns: Turns
    credentials: CredentialRules
    personal: PersonalTokens
    desk: PolicyDesk | None = None
    metered: bool = False

    @property
    def metadata_url(self) -> str:
        """Where this gateway describes itself as a resource (RFC 9728 s3.1)."""
        return well_known_url(self.snapshot.issuers[0].issuer, PROTECTED_RESOURCE)

    @property
    def issuers_without_keys(self) -> tuple[str, ...]:
        """The names of those whose tokens cannot be verified: their keys are not to be had."""
        return tuple(one.name for one in self.snapshot.issuers if one.remote and one.jwks is None)


def build_verifier(
    issuers: tuple[Issuer, ...],
    capacity: int,
    before: Verifier | None = None,
    revoked: RevokedSet | None = None,
    sights: EndlessSights | None = None,
) -> Verifier:
    """The verifier of these issuers; what `before` knows of issuers that are still the same goes on.

    `revoked` None: that of `before`, or an empty one. So are `sights`, where tokens are noted that never expire.
    """
    if before is not None and before.cache.capacity == capacity:
        cache = before.cache
    else:
        cache = TokenCache(capacity, before.cache.sights if sights is None and before is not None else sights)
    if revoked is None:
        revoked = RevokedSet() if before is None else before.revoked
    return Verifier(carry_over(issuers, None if before is None else before.federation), cache, revoked)


def build_world(
    snapshot: Snapshot,
    places: Mapping[str, Place],
    previous: World | None,
    revoked: RevokedSet | None = None,
    personal: PersonalTokens | None = None,
) -> World:
    """Make a snapshot usable. The verifier goes on, with its cache, when all that it was built from is equal.

    `revoked` and `personal` are what all worlds of a process share; None: as for `build_verifier`, and that of before.
    """
    capacity = snapshot.limits.verified_tokens
    verifier = None if previous is None else previous.verifier
    if (
        verifier is None
        or previous is None
        or previous.snapshot.issuers != snapshot.issuers
        or verifier.cache.capacity != capacity
    ):
        verifier = build_verifier(snapshot.issuers, capacity, verifier, revoked)
    if personal is None:
        personal = PersonalTokens(verifier.revoked) if previous is None else previous.personal
    personal.limit(snapshot.limits.personal_tokens)
    return World(
        snapshot=snapshot,
        limits=snapshot.limits,
        verifier=verifier,
        routes={route.alias: route for route in snapshot.routes},
        places=places,
        turns=Turns(),
        credentials=compile_rules(snapshot),
        personal=personal,
        desk=_desk_for(snapshot, previous),
        metered=snapshot.metered,
    )


def _desk_for(snapshot: Snapshot, previous: World | None) -> PolicyDesk | None:
    """What decides by the policies; that of before, with all that it remembers, when it would decide alike."""
    aliases, capacity = frozenset(route.alias for route in snapshot.routes), snapshot.limits.verified_tokens
    if previous is not None and previous.snapshot.policies == snapshot.policies:
        before = (frozenset(previous.routes), previous.limits.verified_tokens)
        if before == (aliases, capacity):
            return previous.desk
    return build_desk(snapshot.policies, aliases, capacity)
