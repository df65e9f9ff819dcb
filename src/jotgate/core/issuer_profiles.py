"""What is known beforehand of some issuers: a profile fills in what the entry of such an issuer leaves out.

`casdoor` is for the tokens of a Casdoor. The others take the tokens that the documents of three older systems describe,
and no others. In `mcp-daemon` the claims `quota` and `role` may be there.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from jotgate.core.issuers import ACCESS_TOKEN_CLAIMS, ClaimMapping, Condition, QuotaClaim

SECRET: Final = "secret"
PUBLIC: Final = ("discovery", "jwks_url", "jwks_file")
_DAY_S: Final = 86_400

SECRET_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
PUBLIC_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256")
"""The default: of RSA only what providers use, since their keys do not always say whether they are for RS or PS."""

_JWT_OR_NONE: Final = ("JWT", "")


class Profile(Struct, frozen=True, kw_only=True):
    """The defaults of one kind of issuer. None: the entry says it.

    `ways` are the ways to its keys; of algorithms, `public` are for published keys, `secret` those that a shared secret
    may be for, the first by default. `secret_env` is the variable with the secret if the entry names nothing.
    """

    ways: tuple[str, ...] = (*PUBLIC, SECRET)
    issuer: str | None = None
    audiences: tuple[str, ...] | None = None
    names_audience: bool = False
    public: tuple[str, ...] = PUBLIC_ALGORITHMS
    secret: tuple[str, ...] = SECRET_ALGORITHMS
    types: tuple[str, ...] = ("at+jwt",)
    required: tuple[str, ...] = ACCESS_TOKEN_CLAIMS
    equal: tuple[Condition, ...] = ()
    leeway_s: int = 5
    lifetime_max_s: int = 365 * _DAY_S
    default_scopes: tuple[str, ...] = ()
    mapping: ClaimMapping = ClaimMapping()
    secret_env: str = ""
    quota: QuotaClaim | None = None


# A Casdoor names the claim `TokenType` in the refresh tokens of its format JWT-Custom, which carry `tokenType`
# "access-token" all the same.
_CASDOOR: Final = Profile(
    ways=PUBLIC,
    names_audience=True,
    public=("RS256", "RS512", "ES256", "ES384", "ES512"),
    types=("JWT",),
    required=("aud", "exp", "iat", "iss", "jti", "sub", "tokenType"),
    equal=(
        Condition(("tokenType",), "access-token"),
        Condition(("TokenType",), "access-token", optional=True),
        Condition(("isForbidden",), False, optional=True),
        Condition(("isDeleted",), False, optional=True),
    ),
    mapping=ClaimMapping(client=("azp",), tenant=("owner",), models=(), roles=("roles",)),
)

_PROMPT_CHAIN: Final = Profile(
    ways=(SECRET,),
    issuer="",
    audiences=(),
    types=_JWT_OR_NONE,
    required=("iat", "sub"),
    leeway_s=0,
    default_scopes=("chat.completions", "models"),
    mapping=ClaimMapping(client=(), scopes=(), models=()),
    secret_env="JWT_SECRET_KEY",
)

_API_GATEWAY: Final = Profile(
    ways=("jwks_url", "jwks_file", SECRET),
    issuer="api-gateway",
    audiences=("openai-api",),
    public=("RS256", "ES256"),
    secret=("HS256",),
    types=_JWT_OR_NONE,
    required=("aud", "exp", "iat", "iss", "sub"),
    leeway_s=30,
    lifetime_max_s=_DAY_S,
    default_scopes=("ai",),
    mapping=ClaimMapping(client=(), scopes=(), models=(), roles=("roles",)),
)

_MCP_DAEMON: Final = Profile(
    ways=(SECRET,),
    issuer="exai-mcp-server",
    audiences=("exai-mcp-client",),
    secret=("HS256",),
    types=_JWT_OR_NONE,
    required=("aud", "exp", "iat", "iss", "sub"),
    leeway_s=0,
    lifetime_max_s=90 * _DAY_S,
    default_scopes=("ai",),
    mapping=ClaimMapping(client=(), scopes=(), models=(), roles=("role",)),
    secret_env="SUPABASE_JWT_SECRET",
    quota=QuotaClaim("quota", absent=100, daily=1_000),
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "": Profile(),
        "casdoor": _CASDOOR,
        "prompt-chain": _PROMPT_CHAIN,
        "api-gateway": _API_GATEWAY,
        "mcp-daemon": _MCP_DAEMON,
    }
)
"""By the name that an entry's `profile` has; the empty one is for issuers of no kind that is known here."""
