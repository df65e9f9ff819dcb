"""What jotgate says of itself to clients: as an authorization server (RFC 8414) and as a resource (RFC 9728).

All of it comes from the issuer's URL, which is configured; nothing a request says has a part in it.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Struct, UnsetType

from jotgate.core.accounts import ClientAuthentication, GrantName
from jotgate.core.call_details import CALL_TYPE
from jotgate.core.client_proofs import ASSERTION_ALGORITHMS
from jotgate.core.dpop import PROOF_ALGORITHMS
from jotgate.core.grants import GRANT_TYPES, OFFLINE_ACCESS
from jotgate.core.mcp_resources import mcp_resource
from jotgate.core.mcp_tools import EVERY, READ, tool_scope
from jotgate.core.operations import SCOPES
from jotgate.core.resources import admin_resource
from jotgate.core.scopes import ADMIN_SCOPES, INTROSPECT
from jotgate.core.well_known import AUTHORIZATION_SERVER, OPENID, PROTECTED_RESOURCE, well_known_url

TOKEN_PATH: Final = "/oauth/token"
REVOCATION_PATH: Final = "/oauth/revoke"
INTROSPECTION_PATH: Final = "/oauth/introspect"
LOGOUT_PATH: Final = "/oauth/backchannel-logout"
FORM_PATHS: Final = frozenset(
    path.encode("ascii") for path in (TOKEN_PATH, REVOCATION_PATH, INTROSPECTION_PATH, LOGOUT_PATH)
)
"""What takes forms by POST."""
KEYS_PATH: Final = "/.well-known/jwks.json"

_SECRETS: Final[tuple[ClientAuthentication, ...]] = ("client_secret_basic", "client_secret_post", "private_key_jwt")


class _ServerMetadata(Struct, frozen=True, kw_only=True):
    """RFC 8414 s2. No response type stands in it while there is no authorization endpoint, but the member must."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str
    jwks_uri: str
    scopes_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ASSERTION_ALGORITHMS
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ASSERTION_ALGORITHMS
    introspection_endpoint_auth_methods_supported: tuple[str, ...]
    introspection_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ASSERTION_ALGORITHMS
    authorization_details_types_supported: tuple[str, ...] = (CALL_TYPE,)
    dpop_signing_alg_values_supported: tuple[str, ...] = PROOF_ALGORITHMS
    tls_client_certificate_bound_access_tokens: bool | UnsetType
    protected_resources: tuple[str, ...]


class _ResourceMetadata(Struct, frozen=True, kw_only=True):
    """RFC 9728 s2. What is left out of the members that speak of bound tokens is not so."""

    resource: str
    authorization_servers: tuple[str, ...]
    scopes_supported: tuple[str, ...]
    bearer_methods_supported: tuple[str, ...] = ("header",)
    dpop_signing_alg_values_supported: tuple[str, ...] | UnsetType = UNSET
    dpop_bound_access_tokens_required: bool | UnsetType = UNSET
    tls_client_certificate_bound_access_tokens: bool | UnsetType = UNSET
    resource_name: str


def documents(
    issuer: str, grants: Iterable[GrantName], *, certificates: bool, servers: Sequence[str] = ()
) -> dict[str, bytes]:
    """Each document as JSON by its path. `grants` are those that there are; `certificates`: clients can show theirs.

    `servers` are the MCP servers: each is a resource, and so are all of them. That of OpenID Connect says the same as
    that of OAuth: it is there for those who look for keys in it.
    """
    found = set(grants)
    confidential = (*_SECRETS, "tls_client_auth") if certificates else _SECRETS
    bound = True if certificates else UNSET
    offline = {OFFLINE_ACCESS} if "refresh_token" in found else set()
    server = _ServerMetadata(
        issuer=issuer,
        token_endpoint=issuer + TOKEN_PATH,
        revocation_endpoint=issuer + REVOCATION_PATH,
        introspection_endpoint=issuer + INTROSPECTION_PATH,
        jwks_uri=issuer + KEYS_PATH,
        scopes_supported=tuple(sorted({*SCOPES, *ADMIN_SCOPES, INTROSPECT, *offline, *_scopes_of(servers)})),
        grant_types_supported=tuple(value for value, name in GRANT_TYPES.items() if name in found),
        token_endpoint_auth_methods_supported=(*confidential, "none"),
        revocation_endpoint_auth_methods_supported=(*confidential, "none"),
        introspection_endpoint_auth_methods_supported=confidential,
        tls_client_certificate_bound_access_tokens=bound,
        protected_resources=(issuer, admin_resource(issuer), *_mcp_resources(issuer, servers)),
    )
    gateway = msgspec.structs.replace(
        _resource(issuer, issuer, SCOPES, "jotgate gateway"),
        dpop_signing_alg_values_supported=PROOF_ALGORITHMS,
        dpop_bound_access_tokens_required=False,
        tls_client_certificate_bound_access_tokens=bound,
    )
    admin = _resource(admin_resource(issuer), issuer, ADMIN_SCOPES, "jotgate administration API")
    tools = {
        _path(resource, PROTECTED_RESOURCE): msgspec.json.encode(
            msgspec.structs.replace(
                gateway, resource=resource, scopes_supported=_scopes_of(named), resource_name=f"MCP: {', '.join(named)}"
            )
        )
        for resource, named in _mcp_resources(issuer, servers).items()
    }
    return {
        **tools,
        _path(issuer, AUTHORIZATION_SERVER): msgspec.json.encode(server),
        _path(issuer, OPENID): msgspec.json.encode(server),
        _path(gateway.resource, PROTECTED_RESOURCE): msgspec.json.encode(gateway),
        _path(admin.resource, PROTECTED_RESOURCE): msgspec.json.encode(admin),
    }


def _mcp_resources(issuer: str, servers: Sequence[str]) -> dict[str, Sequence[str]]:
    """The resources of MCP servers, each with the servers that it is."""
    if not servers:
        return {}
    return {mcp_resource(issuer): servers, **{mcp_resource(issuer, one): (one,) for one in servers}}


def _scopes_of(servers: Sequence[str]) -> tuple[str, ...]:
    """What is told to everybody: nobody learns here which tools there are."""
    return tuple(tool_scope(server, what) for server in servers for what in (READ, EVERY))


def _resource(resource: str, issuer: str, scopes: frozenset[str], title: str) -> _ResourceMetadata:
    return _ResourceMetadata(
        resource=resource,
        authorization_servers=(issuer,),
        scopes_supported=tuple(sorted(scopes)),
        resource_name=title,
    )


def _path(url: str, name: str) -> str:
    return urlsplit(well_known_url(url, name)).path
