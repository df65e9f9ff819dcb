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


PresetEntry = PromptChainEntry | ApiGatewayEntry | CozeProxyEntry
