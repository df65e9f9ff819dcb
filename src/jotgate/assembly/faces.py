"""The faces by name: what builds the surface of each listener."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from jotgate.core.api_gateway import API_GATEWAY
from jotgate.core.coze_proxy import COZE_PROXY
from jotgate.core.faces import Face
from jotgate.core.kong_auth import KONG_AUTH
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.prompt_chain import PROMPT_CHAIN
from jotgate.edge.surfaces.api_gateway import ApiGatewaySurface
from jotgate.edge.surfaces.cors import NamingApplication
from jotgate.edge.surfaces.coze_proxy import CozeProxySurface
from jotgate.edge.surfaces.kong_auth import KongAuthSurface
from jotgate.edge.surfaces.mcp_daemon import McpDaemonSurface
from jotgate.edge.surfaces.prompt_chain import PromptChainSurface
from jotgate.gateway.passage import ControlDoor
from jotgate.gateway.pipeline import Gateway

BuildSurface = Callable[[Face, Gateway, ControlDoor], NamingApplication]
"""Makes what serves a face, anew for each snapshot: it holds nothing that must outlive one."""

SURFACES: Final[Mapping[str, BuildSurface]] = MappingProxyType(
    {
        PROMPT_CHAIN: PromptChainSurface,
        API_GATEWAY: ApiGatewaySurface,
        COZE_PROXY: CozeProxySurface,
        KONG_AUTH: KongAuthSurface,
        MCP_DAEMON: McpDaemonSurface,
    }
)
