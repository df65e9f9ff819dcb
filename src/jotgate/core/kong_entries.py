"""`[kong]` and `[[kong_consumers]]` as values: what an operator says of the Kong before their services."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.values import Secret

RateWindow = Literal["second", "minute", "hour", "day", "month", "year"]
RATE_WINDOWS: Final[tuple[RateWindow, ...]] = ("second", "minute", "hour", "day", "month", "year")

_Text = Annotated[str, Meta(description="a text in quotes", max_length=4096)]
_Flag = Annotated[bool, Meta(description="true or false")]
_Span = Annotated[
    str, Meta(description='a duration in quotes, such as "90s" or "5m"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
]
_Tag = Annotated[
    str,
    Meta(description="1 to 128 letters, digits, '.', '_' or '-' in quotes", pattern=r"^[A-Za-z0-9._-]{1,128}\Z"),
]
_Field = Annotated[
    str, Meta(description="the name of a header field in quotes", pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
]
_Names = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{1,64}\Z")], ...],
    Meta(description='a list of names in quotes, such as ["jwt"]', max_length=16),
]
_Groups = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[!-~]{1,128}\Z")], ...],
    Meta(description='a list of groups in quotes, such as ["llm"]', max_length=64),
]
_RateLimits = Annotated[
    dict[RateWindow, Annotated[int, Meta(ge=1, le=10**12)]] | None,
    Meta(
        description="a table of second, minute, hour, day, month or year = how many requests, such as { minute = 60 }"
    ),
]


class KongEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[kong]`: where Kong's Admin API is, and how Kong is to check and limit what comes with our tokens.

    Nothing is asked of Kong without an `admin_url`. Plugins stand on one `service` or one `route`, or else globally.
    """

    admin_url: _Text = ""
    plain_http: _Flag = False
    token_env: _Text = ""
    token_file: _Text = ""
    token: Annotated[Secret | None, Meta(description="a token in quotes")] = None
    token_header: _Field = "Kong-Admin-Token"
    ca_file: _Text = ""
    timeout: _Span = "5s"
    tag: _Tag = "jotgate"
    reconcile: Annotated[
        str, Meta(description='a duration in quotes, or "0s" for never', pattern=r"^(0s|[1-9][0-9]{0,8}[smhdw])\Z")
    ] = "5m"
    jwt_plugin: _Flag = True
    service: _Text = ""
    route: _Text = ""
    uri_param_names: _Names = ("jwt",)
    cookie_names: _Names = ("jwt",)
    header_names: _Names = ("authorization",)
    maximum_expiration: _Span = "365d"
    run_on_preflight: _Flag = True
    allow_groups: _Groups = ()
    groups: _Groups = ()
    rate_limits: _RateLimits = None
    rate_policy: Annotated[Literal["local", "cluster"], Meta(description='"local" or "cluster"')] = "local"


class KongConsumerEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[kong_consumers]]`: one consumer whose groups or limits are its own; it is made if Kong has none."""

    name: Annotated[
        str, Meta(description="a consumer's name, 1 to 128 characters without spaces", pattern=r"^[!-~]{1,128}\Z")
    ]
    groups: Annotated[_Groups | None, Meta(description='a list of groups in quotes, such as ["llm"]')] = None
    rate_limits: _RateLimits = None
