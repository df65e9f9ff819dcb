"""Turns `[mcp]` into what a snapshot has of it: the servers, and the upstreams by which they are reached."""

from collections.abc import Mapping

from msgspec.structs import replace

from jotgate.core.config import Config, UpstreamEntry, seconds
from jotgate.core.grant_compiler import compile_grants
from jotgate.core.mcp_entries import McpEntry, McpServerEntry
from jotgate.core.mcp_eras import STATELESS
from jotgate.core.mcp_servers import McpRules, McpServer
from jotgate.core.oauth_checks import GrantSecrets
from jotgate.core.routes import Bounds, Reach, Upstream
from jotgate.core.token_grants import OF_CALLERS, GrantKind, TokenGrant
from jotgate.core.tool_entries import compile_tool
from jotgate.core.values import Secret


def compile_mcp(entry: McpEntry, session_key: Secret | None) -> McpRules:
    """The servers as workers know them."""
    return McpRules(
        servers=tuple(
            McpServer(
                name=one.name,
                upstream=one.upstream,
                era=STATELESS[0] if one.tools or one.python else one.era,
                local=one.is_child,
                message_bytes=one.message_bytes,
                tools_ttl_s=seconds(one.tools_ttl),
                pins="off" if one.tools else one.pins,  # What the settings say of a tool is what its operator has read.
                of_callers=one.kept_credential == "user" or (one.oauth is not None and one.oauth.grant in OF_CALLERS),
            )
            for one in entry.servers
        ),
        keep_alive_s=seconds(entry.keep_alive),
        session_key=session_key,
    )


def mcp_upstream(
    entry: McpServerEntry,
    credentials: Mapping[str, Secret],
    reaches: Mapping[str, Reach],
    grants: Mapping[str, TokenGrant],
) -> Upstream:
    """The upstream of a server; one without a base URL is a child of control. The mappings are by its name."""
    needed = entry.proxy or entry.ca_file
    grant = grants.get(entry.upstream)
    return Upstream(
        name=entry.upstream,
        kind="mcp",
        base_url=entry.url,
        credential=credentials.get(entry.upstream),
        # An entry that asks for tokens and has no grant gets none: it is never sent without a credential.
        exchanged=entry.oauth is not None or bool(entry.kept_credential),
        of_callers=grant is not None and grant.kind in OF_CALLERS,
        token_mark="" if grant is None else grant.mark,
        connect_timeout_s=seconds(entry.connect_timeout),
        first_byte_timeout_s=seconds(entry.first_byte_timeout),
        idle_timeout_s=seconds(entry.idle_timeout),
        total_timeout_s=seconds(entry.total_timeout),
        # Where a proxy or roots of its own are asked for, a missing reach is an error and never the direct way.
        reach=reaches[entry.upstream] if needed else Reach(),
        endpoints=tuple(map(compile_tool, entry.tools)),
        answer_bytes=entry.message_bytes,
        tells_callers=bool(entry.python),
        bounds=Bounds(concurrent=entry.max_concurrent, queued=entry.queue_length, queue_s=seconds(entry.queue_timeout)),
    )


def mcp_grants(
    entry: McpEntry, secrets: Mapping[str, GrantSecrets], reaches: Mapping[str, Reach]
) -> dict[str, TokenGrant]:
    """How control gets what servers are sent, by their names among the upstreams; what is kept for them is got too.

    An authorization server is told which one a token is for (RFC 8707; MCP, "Resource Parameter Implementation").
    """
    found = compile_grants(granted_upstreams(entry), secrets, reaches)
    grants = {name: replace(grant, resource=_resource_of(entry, name)) for name, grant in found.items()}
    for one in entry.servers:
        if one.kept_credential:
            kind: GrantKind = "kept" if one.kept_credential == "shared" else "kept-user"
            grants[one.upstream] = TokenGrant(upstream=one.upstream, kind=kind, token_url="", client_id="")
    return grants


def compile_all_grants(
    config: Config, secrets: Mapping[str, GrantSecrets], reaches: Mapping[str, Reach]
) -> dict[str, TokenGrant]:
    """The grants of upstreams and of MCP servers, by the names that they have among upstreams."""
    of_upstreams = compile_grants(config.upstreams, secrets, reaches)
    return {**of_upstreams, **mcp_grants(config.mcp, secrets, reaches)}


def _resource_of(entry: McpEntry, upstream: str) -> str:
    return next(one.url for one in entry.servers if one.upstream == upstream)


def granted_upstreams(entry: McpEntry) -> tuple[UpstreamEntry, ...]:
    """The servers that tokens are got for, as `core.grant_compiler` knows upstreams."""
    return tuple(
        UpstreamEntry(
            name=one.upstream, kind="openai", base_url=one.url, oauth=one.oauth, proxy=one.proxy, ca_file=one.ca_file
        )
        for one in entry.servers
        if one.oauth is not None
    )
