"""Faces: the listeners beside the native one, each with the issuers, routes and answers of one older system.

A face comes of a preset (`core.presets`). It is plain data, part of the snapshot; a worker makes a world of its own of
each (`gateway.world`), so that a token is good at the faces whose issuers made it, and nowhere else.
"""

from msgspec import Struct

from jotgate.core.api_gateway import ApiGatewayRules
from jotgate.core.coze_proxy import CozeProxyRules
from jotgate.core.edge import Edge
from jotgate.core.issuers import Issuer
from jotgate.core.kong_auth import KongAuthRules
from jotgate.core.mcp_daemon import McpDaemonRules
from jotgate.core.prompt_chain import PromptChainRules
from jotgate.core.routes import Route

FaceRules = PromptChainRules | ApiGatewayRules | CozeProxyRules | KongAuthRules | McpDaemonRules
"""What the surface of a face decides and answers by, tagged with the preset's name."""

Address = tuple[str, int]
"""A host, which is a name or an address, and a port; 0 picks one that is free."""


class Face(Struct, frozen=True, kw_only=True):
    """One listener beside the native one, complete but for the limits and policies, which are those of all.

    `listen` is where it has listened since the start; a change takes effect at the next one. `issuers` are those whose
    tokens it takes, at least one (without keys, if it has none yet), and `routes` the models that it serves; their
    upstreams are among the snapshot's. `missing` names what is not set and without which a part of it answers 503, each
    as a whole sentence without its full stop.
    """

    name: str
    listen: Address
    issuers: tuple[Issuer, ...]
    rules: FaceRules
    routes: tuple[Route, ...] = ()
    edge: Edge = Edge()
    missing: tuple[str, ...] = ()
