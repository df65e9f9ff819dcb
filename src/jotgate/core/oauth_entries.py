"""`[upstreams.oauth]` as values: how an operator says that the tokens of an upstream are got."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from jotgate.core.token_grants import AssertionAlgorithm, OAuthGrant

_Text = Annotated[str, Meta(description="a text in quotes", max_length=4096)]
_Span = Annotated[
    str, Meta(description='a duration in quotes, such as "90s" or "15m"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
]
_Label = Annotated[str, Meta(description="a text in quotes of at most 256 characters", max_length=256)]
_Number = Annotated[
    str, Meta(description="1 to 64 letters, digits, '_' or '-' in quotes", pattern=r"^([A-Za-z0-9_-]{1,64})?\Z")
]


class OAuthEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[upstreams.oauth]`: the grant by which control gets this upstream's tokens."""

    grant: Annotated[
        OAuthGrant,
        Meta(
            description='"jwt-bearer", "coze", "client-credentials", "refresh-token", or for an MCP server '
            '"token-exchange" or "user-login"'
        ),
    ]
    client_id: Annotated[str, Meta(description="a client's ID in quotes", min_length=1, max_length=1024)]
    token_url: _Text = ""
    client_secret_env: _Text = ""
    client_secret_file: _Text = ""
    private_key_env: _Text = ""
    private_key_file: _Text = ""
    key_id: _Label = ""
    next_private_key_env: _Text = ""
    next_private_key_file: _Text = ""
    next_key_id: _Label = ""
    algorithm: Annotated[
        AssertionAlgorithm,
        Meta(description='"RS256" to "RS512", "PS256" to "PS512", "ES256" to "ES512" or "Ed25519"'),
    ] = "RS256"
    audience: _Text = ""
    subject: _Text = ""
    scope: _Text = ""
    refresh_token_env: _Text = ""
    refresh_token_file: _Text = ""
    duration: _Span = "15m"
    timeout: _Span = "10s"
    account: _Number = ""
    enterprise: _Number = ""
    session: _Label = ""
    device_id: _Label = ""
    custom_consumer: _Label = ""


GRANT_SECRETS: Final = ("client_secret", "private_key", "next_private_key", "refresh_token")
"""What an entry names a variable or a file for."""
