"""What `jotgate.toml` says of presets: where each listens, and which variables hold its secrets."""

from typing import Annotated

from msgspec import Meta, Struct

_Listen = Annotated[str, Meta(description='a host and a port in quotes, such as "127.0.0.1:8000"', max_length=300)]
_Variable = Annotated[
    str, Meta(description="the name of an environment variable in quotes", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
]


class PromptChainEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[prompt_chain]`: the preset `prompt-chain`. `listen` goes before API_HOST and API_PORT."""

    listen: _Listen = ""
    secret_env: _Variable = "JWT_SECRET_KEY"


class ApiGatewayEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[api_gateway]`: the preset `api-gateway`. `listen` goes before HOST and PORT."""

    listen: _Listen = ""
    private_key_env: _Variable = "JWT_PRIVATE_KEY"


PresetEntry = PromptChainEntry | ApiGatewayEntry
