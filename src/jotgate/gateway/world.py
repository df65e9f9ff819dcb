"""What a worker holds of one snapshot: typed keys, routes by alias, upstream connections. Read once per call."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.calls import Request
from jotgate.core.coze_proxy import LOCAL, CozeProxyRules
from jotgate.core.decisions import DECISIONS
from jotgate.core.faces import Face
from jotgate.core.issuers import Issuer
from jotgate.core.mcp_resources import basic_scopes, mcp_resource
from jotgate.core.mcp_servers import McpServer, is_mcp, server_of
from jotgate.core.principals import Principal
from jotgate.core.routes import Route, Upstream
from jotgate.core.snapshot import Limits, Snapshot
from jotgate.core.well_known import PROTECTED_RESOURCE, well_known_url
from jotgate.errors import NotReady
from jotgate.gateway.credentials import CredentialRules, compile_rules
from jotgate.gateway.standing import Standing
from jotgate.ports import UpstreamPort
from jotgate.services.endless_sights import EndlessSights
from jotgate.services.federation import Federation, carry_over
from jotgate.services.personal_cache import PersonalTokens
from jotgate.services.policy_decisions import PolicyDesk, build_desk
from jotgate.services.revocation import RevokedSet
from jotgate.services.verifier import TokenCache, Verifier

MCP_FACE: Final = "mcp"
"""Where the world of MCP servers stands among those of faces; it is no listener."""


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

    `metered`: there are quotas, beside those that tokens bring. `own_issuer` is the `iss` of this installation. `faces`
    are the worlds of the faces by their names: each has its own issuers, routes and rules for credentials, and shares
    the rest. Without `takes_personal` no personal token is taken: most faces have none among their issuers whose it
    could be. Where there is `anyone`, every call is that principal's, and no credential is looked at. `aims` are the
    rules by which a call names what it asks of Coze.
    """

    snapshot: Snapshot
    limits: Limits
    verifier: Verifier
    routes: Mapping[str, Route]
    places: Mapping[str, Place]
    turns: Turns
    credentials: CredentialRules
    personal: PersonalTokens
    own_issuer: str
    desk: PolicyDesk | None = None
    metered: bool = False
    takes_personal: bool = True
    anyone: Principal | None = None
    aims: CozeProxyRules | None = None
    faces: Mapping[str, "World"] = {}
    mcp_servers: Mapping[str, McpServer] = {}

    @property
    def metadata_url(self) -> str:
        """Where this gateway describes itself as a resource (RFC 9728 s3.1)."""
        return well_known_url(self.own_issuer, PROTECTED_RESOURCE)

    def metadata_of(self, path: bytes) -> str:
        """The same for the resource that a path is of: each MCP server is one, and so are all of them."""
        if not self.mcp_servers or not is_mcp(path):
            return self.metadata_url
        server = server_of(path)
        named = server if server in self.mcp_servers else ""
        return well_known_url(mcp_resource(self.own_issuer, named), PROTECTED_RESOURCE)

    def told_of(self, path: bytes) -> tuple[str, str]:
        """What a challenge says: `metadata_of` it, and the scopes that are needed there at least; empty: unsaid."""
        if not self.mcp_servers or not is_mcp(path):
            return self.metadata_url, ""
        server = server_of(path)
        scopes = basic_scopes((server,) if server in self.mcp_servers else tuple(self.mcp_servers))
        return self.metadata_of(path), " ".join(scopes)

    def of_request(self, request: Request) -> "World":
        """The world that a request is decided in. Raises NotReady."""
        if not request.face and self.mcp_servers and is_mcp(request.path):
            return self.faces[MCP_FACE]
        return self.of(request.face)

    def of(self, face: str) -> "World":
        """The world of a face; of the native listener, whose name is empty, this one. Raises NotReady."""
        if not face:
            return self
        found = self.faces.get(face)
        if found is None:
            raise NotReady("this worker has no snapshot with this listener yet", hint="Try again in a moment")
        return found

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The verifier of this world, and those of its faces."""
        return tuple(dict.fromkeys((self.verifier, *(one.verifier for one in self.faces.values()))))

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
    world = World(
        snapshot=snapshot,
        limits=snapshot.limits,
        verifier=verifier,
        routes={route.alias: route for route in snapshot.routes},
        places=places,
        turns=Turns(),
        credentials=compile_rules(snapshot),
        personal=personal,
        own_issuer=snapshot.issuers[0].issuer,
        desk=_desk_for(snapshot, previous),
        metered=snapshot.metered,
        mcp_servers=snapshot.mcp.by_name,
    )
    if not snapshot.faces and snapshot.decisions is None and not snapshot.mcp.servers:
        return world
    known = {} if previous is None else previous.faces
    faces = {one.name: _build_face(one, world, known.get(one.name)) for one in snapshot.faces}
    if snapshot.decisions is not None:
        url = snapshot.decisions.public_url or world.own_issuer
        faces[DECISIONS] = _build_decisions(url, world, known.get(DECISIONS))
    if snapshot.mcp.servers:
        faces[MCP_FACE] = _build_mcp(world, known.get(MCP_FACE))
    return replace(world, faces=faces)


def _build_mcp(world: World, previous: World | None) -> World:
    """The world of MCP servers: as the native one, but that tokens may be for a server alone (RFC 8707).

    None is taken there that is for nobody: what is for another resource is refused, whoever has issued it.
    """
    names = tuple(one.name for one in world.snapshot.mcp.servers)
    resources = (mcp_resource(world.own_issuer), *(mcp_resource(world.own_issuer, name) for name in names))
    contents = tuple(replace(one, audiences=(*one.audiences, *resources)) for one in world.snapshot.issuers)
    main, before = world.verifier, None if previous is None else previous.verifier
    federation = carry_over(contents, None if before is None else before.federation)
    if before is not None and before.revoked is main.revoked and before.federation.issuers == federation.issuers:
        return replace(world, verifier=before, credentials=CredentialRules())
    # A cache of its own: in a common one a token that is used in both places would be verified anew each time.
    cache = None if before is None else before.cache
    if cache is None or cache.capacity != main.cache.capacity:
        cache = TokenCache(main.cache.capacity, main.cache.sights)
    return replace(world, verifier=Verifier(federation, cache, main.revoked), credentials=CredentialRules())


def _build_decisions(url: str, world: World, previous: World | None) -> World:
    """The world of what proxies ask about, whom callers know by this URL: as the native one, but for credentials.

    Those stand in the Authorization header alone, and our own tokens may be for the proxy's URL too (RFC 8707).
    """
    verifier, ours = world.verifier, world.snapshot.issuers[0]
    if url not in ours.audiences:
        content = replace(ours, audiences=(*ours.audiences, url))
        others = verifier.federation.issuers[1:]  # The same objects, so that what one cached the other has.
        before = None if previous is None else previous.verifier
        own = carry_over((content,), None if before is None else before.federation).issuers
        if before is not None and before.cache is verifier.cache and before.federation.issuers == (*own, *others):
            verifier = before
        else:
            verifier = Verifier(Federation((*own, *others)), verifier.cache, verifier.revoked)
    return replace(world, own_issuer=url, verifier=verifier, credentials=CredentialRules())


def _build_face(face: Face, world: World, previous: World | None) -> World:
    """The world of a face, with the cache of verified tokens that all share: what one may use, the others refuse."""
    snapshot = replace(world.snapshot, issuers=face.issuers, routes=face.routes, edge=face.edge, faces=())
    main = world.verifier
    aims = face.rules if isinstance(face.rules, CozeProxyRules) else None
    if previous is not None and previous.snapshot.issuers == face.issuers and previous.verifier.cache is main.cache:
        verifier = previous.verifier
    else:
        before = None if previous is None else previous.verifier.federation
        verifier = Verifier(carry_over(face.issuers, before), main.cache, main.revoked)
    return replace(
        world,
        snapshot=snapshot,
        verifier=verifier,
        routes={route.alias: route for route in face.routes},
        credentials=compile_rules(snapshot),
        takes_personal=aims is not None,
        anyone=LOCAL if aims is not None and aims.open_local else None,
        aims=aims,
        desk=_desk_for(snapshot, previous),
    )


def _desk_for(snapshot: Snapshot, previous: World | None) -> PolicyDesk | None:
    """What decides by the policies; that of before, with all that it remembers, when it would decide alike."""
    aliases, capacity = frozenset(route.alias for route in snapshot.routes), snapshot.limits.verified_tokens
    if previous is not None and previous.snapshot.policies == snapshot.policies:
        before = (frozenset(previous.routes), previous.limits.verified_tokens)
        if before == (aliases, capacity):
            return previous.desk
    return build_desk(snapshot.policies, aliases, capacity)
