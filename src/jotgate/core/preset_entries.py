"""What `jotgate.toml` says of presets: where each listens, and which variables hold its secrets."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Listen = Annotated[str, Meta(description='a host and a port in quotes, such as "127.0.0.1:8000"', max_length=300)]
_Variable = Annotated[
    str, Meta(description="the name of an environment variable in quotes", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
]

_Ids = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^(\*|[A-Za-z0-9_-]{1,128})\Z")], ...],
    Meta(description='a list of IDs in quotes, or ["*"] for all', max_length=256),
]


class PromptChainEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[prompt_chain]`: the preset `prompt-chain`. `listen` goes before API_HOST and API_PORT."""

    listen: _Listen = ""
    secret_env: _Variable = "JWT_SECRET_KEY"


class ApiGatewayEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[api_gateway]`: the preset `api-gateway`. `listen` goes before HOST and PORT.

    Its tokens are signed with the keys of this installation, with the private key in `private_key_env` if that variable
    is set, or, for HS256, with the secret in `secret_env`.
    """

    listen: _Listen = ""
    algorithm: Annotated[
        Literal["RS256", "ES256", "HS256"],
        Meta(description='"RS256", "ES256" or "HS256"; a token without a signature ("none") is never made nor taken'),
    ] = "RS256"
    private_key_env: _Variable = "JWT_PRIVATE_KEY"
    secret_env: _Variable = "JWT_SECRET"


class CozeProxyEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[coze_proxy]`: the preset `coze-proxy`. `listen` goes before HOST and PORT.

    With `open_local` (--open-local) no credential is looked at. `bots` and `workflows` are the IDs that callers may
    name beside those that are configured.
    """

    listen: _Listen = ""
    open_local: Annotated[bool, Meta(description="true or false")] = False
    bots: _Ids = ()
    workflows: _Ids = ()


class KongAuthEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[kong_auth]`: the preset `kong-auth`. `listen` goes before HOST and PORT.

    A token is signed with `algorithm`. With `key_is_token_name` Kong's credential has the token's name as its key, and
    no two users have tokens of one name. A user has `tokens_max` tokens; `admin_roles` may see all consumers.
    """

    listen: _Listen = ""
    algorithm: Annotated[
        Literal["HS256", "ES256", "RS256", "EdDSA"],
        Meta(description='"HS256", "ES256", "RS256" or "EdDSA"'),
    ] = "HS256"
    key_is_token_name: Annotated[bool, Meta(description="true or false")] = False
    tokens_max: Annotated[int, Meta(description="a whole number from 1 to 10000", ge=1, le=10_000)] = 100
    admin_roles: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...],
        Meta(description='a list of roles in quotes, such as ["admin"]', max_length=64),
    ] = ("admin",)


_Connections = Annotated[int, Meta(description="a whole number from 1 to 100000", ge=1, le=100_000)]
_Tools = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./-]{0,128}\*?\Z", min_length=1)], ...],
    Meta(description='a list of tools in quotes, such as ["chat", "files_*"], or ["*"] for all', max_length=256),
]


class McpDaemonEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[mcp_daemon]`: the preset `mcp-daemon`. `listen` goes before EXAI_WS_HOST and EXAI_WS_PORT.

    `model` is what the tool `chat` asks where a caller names none. `roles` are the tools of each role. A worker has so
    many `connections`, of one address and of one subject at the most, and a connection so many calls that run.
    """

    listen: _Listen = ""
    secret_env: _Variable = "SUPABASE_JWT_SECRET"
    model: Annotated[str, Meta(description="the name of a model in quotes", max_length=256)] = ""
    roles: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=128)], _Tools] | None,
        Meta(description="a table of roles, each with a list of tools in quotes"),
    ] = None
    connections: _Connections = 1_000
    connections_per_address: _Connections = 10
    connections_per_subject: _Connections = 10
    calls_per_connection: Annotated[int, Meta(description="a whole number from 1 to 64", ge=1, le=64)] = 8


PresetEntry = PromptChainEntry | ApiGatewayEntry | CozeProxyEntry | KongAuthEntry | McpDaemonEntry
