"""`jotgate.toml` as values: what may stand in it, with defaults and units.

The structs are the list of settings; docs/configuration.md is checked against them. A setting's type carries a
description, which is what a fault tells its owner to write. `core.config_reader` makes these of a document.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.chain_entries import ChainEntry
from jotgate.core.decision_entries import DecisionsEntry
from jotgate.core.edge import CertificateField
from jotgate.core.kong_entries import KongConsumerEntry, KongEntry
from jotgate.core.listen_texts import read_listen
from jotgate.core.mcp_entries import McpEntry
from jotgate.core.oauth_entries import OAuthEntry
from jotgate.core.plane_entries import PlanesEntry
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.preset_entries import (
    ApiGatewayEntry,
    CozeProxyEntry,
    KongAuthEntry,
    McpDaemonEntry,
    PromptChainEntry,
)
from jotgate.core.price_entries import PriceEntry
from jotgate.core.quota_entries import QuotaEntry
from jotgate.core.routes import (
    ATTEMPTS_MAX,
    CeilingField,
    CredentialPlace,
    EndedTokens,
    MeteringRules,
    QuotaOutage,
    QuotaSpent,
)
from jotgate.core.snapshot import Limits
from jotgate.core.values import Secret, parse_duration_s

ECHO: Final = "echo"
"""The name of the built-in upstream and of its only model; it needs no entry."""

_METERING: Final = MeteringRules()

Text = Annotated[str, Meta(description="a text in quotes", max_length=4096)]
Name = Annotated[str, Meta(description="1 to 64 letters, digits, '.', '_' or '-'", pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Alias = Annotated[
    str, Meta(description="a model's name, 1 to 256 characters without spaces", pattern=r"^[!-~]{1,256}\Z")
]
Span = Annotated[
    str, Meta(description='a duration in quotes, such as "90s" or "5m"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
]
Leeway = Annotated[
    str,
    Meta(description='a duration in quotes from "0s" to "60s"', pattern=r"^(0s|[1-9][0-9]{0,8}[smhdw])\Z"),
]


Audiences = Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["https://api.example"]')]
TokenTypes = Annotated[tuple[str, ...], Meta(description='a list of types, such as ["at+jwt"]')]
ClaimPath = Annotated[str | None, Meta(description='a claim in quotes, such as "tenant" or "realm_access.roles"')]
TokenCount = Annotated[int, Meta(description="a whole number of tokens from 1 to 10000000", ge=1, le=10_000_000)]
Literally = Annotated[Secret | None, Meta(description="a credential in quotes")]


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where the gateway listens, and the name it goes by."""

    host: Annotated[str, Meta(description="an address of this machine in quotes", min_length=1, max_length=253)] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(description="a whole number from 0 to 65535", ge=0, le=65535)] = 8080
    workers: Annotated[int, Meta(description="a whole number from 1 to 64", ge=1, le=64)] = 1
    public_url: Text = ""
    drain_timeout: Span = "30s"
    issuer_wait: Span = "10s"
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description='a list of addresses or networks in quotes, such as ["10.0.0.0/8"]')
    ] = ()
    forwarded_fields: Annotated[
        Literal["x-forwarded", "forwarded"], Meta(description='"x-forwarded" or "forwarded"')
    ] = "x-forwarded"
    client_certificate_field: Annotated[
        CertificateField, Meta(description='"", "client-cert" or "x-ssl-client-cert"')
    ] = ""
    behind_proxy: Annotated[bool, Meta(description="true or false")] = False
    credential_cookie: Annotated[
        str, Meta(description="a cookie's name, 1 to 64 letters, digits, '_' or '-'", pattern=r"^[A-Za-z0-9_-]{1,64}\Z")
    ] = "__Host-jotgate"


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """`[tls]`: the certificate and key that the gateway shows, and whom it asks for one. Paths of PEM files."""

    cert: Text = ""
    key: Text = ""
    client_ca: Text = ""
    min_version: Annotated[Literal["1.2", "1.3"], Meta(description='"1.2" or "1.3"')] = "1.2"
    client_certificates: Annotated[Literal["required", "optional"], Meta(description='"required" or "optional"')] = (
        "required"
    )


class Cors(Struct, frozen=True, forbid_unknown_fields=True):
    """`[cors]`: the web pages that may call the gateway from a browser."""

    origins: Annotated[
        tuple[str, ...], Meta(description='a list of origins in quotes, such as ["https://app.example"]')
    ] = ()


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """`[metrics]`: where the figures are shown besides `/metrics` on the data port."""

    listen: Text = ""

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of `listen`; None when there is no such listener. Raises ValueError for anything else."""
        if not self.listen:
            return None
        return read_listen(self.listen)


class Logs(Struct, frozen=True, forbid_unknown_fields=True):
    """`[logs]`: what the processes say on stderr, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description='"debug", "info", "warning" or "error"')
    ] = "info"
    format: Annotated[Literal["auto", "json", "text"], Meta(description='"auto", "json" or "text"')] = "auto"


class IssuerRules(Struct, frozen=True, forbid_unknown_fields=True):
    """`[issuer]`: what is demanded of jotgate's own tokens."""

    default_scopes: Annotated[tuple[str, ...], Meta(description="a list of scopes in quotes")] = ()
    leeway: Leeway = "5s"


class StoreEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`: the database that keeps what must last; without a URL it is a SQLite file in DATA."""

    url: Text = ""
    password_env: Text = ""
    password_file: Text = ""
    password: Annotated[Secret | None, Meta(description="a password in quotes")] = None


class HintsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[hints]`: the Valkey by which machines tell one another that units are wanted; without a URL they do not."""

    url: Text = ""
    password_env: Text = ""
    password_file: Text = ""
    password: Annotated[Secret | None, Meta(description="a password in quotes")] = None


class KeysEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[keys]`: the algorithm of new signing keys, when they are replaced, and what seals them in the store."""

    algorithm: Annotated[
        Literal["ES256", "ES384", "ES512", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        Meta(description='"ES256", "ES384", "ES512", "Ed25519", "RS256" to "RS512" or "PS256" to "PS512"'),
    ] = "ES256"
    rotate_after: Annotated[
        str, Meta(description='a duration in quotes, or "0s" for never', pattern=r"^(0s|[1-9][0-9]{0,8}[smhdw])\Z")
    ] = "90d"
    publish_ahead: Span = "1h"
    master_key_env: Text = ""
    master_key_file: Text = ""


class TokensEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[tokens]`: how long refresh tokens live, and whether access tokens stand in status lists."""

    refresh_grace: Leeway = "10s"
    refresh_idle: Span = "30d"
    refresh_life: Span = "90d"
    status_lists: Annotated[bool, Meta(description="true or false")] = False
    status_list_ttl: Span = "60s"


class DpopEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[dpop]`: what is demanded of the proofs that come with bound tokens."""

    nonce: Annotated[Literal["off", "required"], Meta(description='"off" or "required"')] = "off"
    proof_age: Span = "60s"


class UpstreamEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[upstreams]]`: one place that answers AI calls. `models` maps each alias to the upstream's own name."""

    name: Name
    kind: Annotated[Literal["openai", "coze"], Meta(description='"openai" or "coze" (the echo upstream is built in)')]
    base_url: Text
    credential_env: Text = ""
    credential_file: Text = ""
    credential: Literally = None
    other_credential_env: Text = ""
    other_credential_file: Text = ""
    oauth: Annotated[OAuthEntry | None, Meta(description="a table headed [upstreams.oauth]")] = None
    models: Annotated[
        Annotated[tuple[Alias, ...], Meta(min_length=1)] | Annotated[dict[Alias, Alias], Meta(min_length=1)],
        Meta(description="a list of models, or a table of alias = the upstream's name for it, and not empty"),
    ] = ()
    connect_timeout: Span = "5s"
    first_byte_timeout: Span = "2m"
    idle_timeout: Span = "1m"
    total_timeout: Span = "15m"
    max_concurrent: Annotated[int, Meta(description="a whole number from 0 to 100000", ge=0, le=100_000)] = 0
    max_concurrent_per_tenant: Annotated[int, Meta(description="a whole number from 0 to 100000", ge=0, le=100_000)] = 0
    queue_length: Annotated[int, Meta(description="a whole number from 0 to 100000", ge=0, le=100_000)] = 100
    queue_timeout: Span = "10s"
    max_connections: Annotated[int, Meta(description="a whole number from 0 to 100000", ge=0, le=100_000)] = 0
    idle_connections: Annotated[int, Meta(description="a whole number from 0 to 100000", ge=0, le=100_000)] = 512
    idle_connection_timeout: Span = "4s"
    breaker_failures: Annotated[int, Meta(description="a whole number from 0 to 1000", ge=0, le=1000)] = 5
    breaker_timeout: Span = "10s"
    health_path: Annotated[
        str, Meta(description='a path in quotes, such as "/health"', pattern=r"^(/[!-~]*)?\Z", max_length=1024)
    ] = ""
    health_interval: Span = "10s"
    ceiling_field: Annotated[CeilingField, Meta(description='"max_completion_tokens" or "max_tokens"')] = (
        "max_completion_tokens"
    )
    ca_file: Text = ""
    proxy: Text = ""
    proxy_credential_env: Text = ""
    proxy_credential_file: Text = ""

    @property
    def routes(self) -> Mapping[str, str]:
        """Alias -> the name that the upstream has for the model."""
        return self.models if isinstance(self.models, dict) else {name: name for name in self.models}


class AttemptEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of a route's `attempts`; without a `model` the upstream knows it by the alias."""

    upstream: Name
    model: Alias | None = None
    weight: Annotated[int, Meta(description="a whole number from 0 to 1000", ge=0, le=1000)] = 0


class RouteEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[routes]]`: an alias whose upstreams share its calls, or which needs rules of its own."""

    alias: Alias
    attempts: Annotated[
        tuple[AttemptEntry, ...],
        Meta(description='1 to 16 tables such as { upstream = "NAME", weight = 1 }', min_length=1, max_length=16),
    ]
    max_attempts: Annotated[int, Meta(description="a whole number from 1 to 16", ge=1, le=16)] = ATTEMPTS_MAX
    retry_unsafe: Annotated[bool, Meta(description="true or false")] = False
    credentials: Annotated[
        tuple[CredentialPlace, ...],
        # No comma behind a name: what looks like a header field is taken out of what is shown.
        Meta(description='a list of places: "query" or "cookie" or "api-key" or "x-api-key"'),
    ] = ()
    audiences: Audiences = ()
    token_types: TokenTypes = ()
    token_age: Annotated[Span | None, Meta(description='a duration in quotes, such as "15m"')] = None
    ended_tokens: Annotated[EndedTokens, Meta(description='"cut" or "finish"')] = "cut"
    output_ceiling: TokenCount = _METERING.output_ceiling
    output_step: TokenCount = _METERING.output_step
    image_tokens: TokenCount = _METERING.image_tokens
    audio_tokens: TokenCount = _METERING.audio_tokens
    quota_spent: Annotated[QuotaSpent, Meta(description='"cut", "finish" or "soft"')] = "cut"
    quota_outage: Annotated[QuotaOutage, Meta(description='"refuse" or "open"')] = "refuse"


class ClaimsEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An issuer's `claims`: where its tokens say what jotgate wants to know. Empty: nowhere."""

    subject: Annotated[
        str | tuple[str, ...] | None,
        Meta(description='a claim in quotes, such as "sub", or a list of them, such as ["org", "name"]'),
    ] = None
    client: ClaimPath = None
    tenant: ClaimPath = None
    scopes: ClaimPath = None
    models: ClaimPath = None
    roles: ClaimPath = None


class IssuerEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[issuers]]`: somebody else whose tokens are taken. What is None is the profile's, or the default's."""

    name: Name
    profile: Annotated[
        Literal["", "casdoor", "prompt-chain", "api-gateway", "mcp-daemon"],
        Meta(description='"casdoor", "prompt-chain", "api-gateway" or "mcp-daemon"'),
    ] = ""
    issuer: Text = ""
    discovery: Annotated[bool | None, Meta(description="true or false")] = None
    jwks_url: Text = ""
    jwks_file: Text = ""
    secret_env: Text = ""
    secret_file: Text = ""
    previous_secret_env: Text = ""
    previous_secret_file: Text = ""
    previous_until: Text = ""
    algorithms: Annotated[
        tuple[str, ...] | None, Meta(description='a list of algorithms in quotes, such as ["RS256"], and not empty')
    ] = None
    audiences: Annotated[tuple[str, ...] | None, Meta(description="a list of texts in quotes")] = None
    types: Annotated[
        tuple[str, ...] | None, Meta(description='a list of types in quotes, such as ["JWT"], and not empty')
    ] = None
    leeway: Annotated[Leeway | None, Meta(description='a duration in quotes from "0s" to "60s"')] = None
    max_lifetime: Annotated[Span | None, Meta(description='a duration in quotes, such as "24h"')] = None
    required: Annotated[tuple[str, ...] | None, Meta(description="a list of claims in quotes")] = None
    default_scopes: Annotated[tuple[str, ...] | None, Meta(description="a list of scopes in quotes")] = None
    claims: Annotated[ClaimsEntry | None, Meta(description='a table such as { tenant = "org.id" }')] = None
    equal: Annotated[
        dict[str, str | bool | int] | None,
        Meta(description="a table of claim = the text, whole number, true or false that it must be"),
    ] = None
    logout_audiences: Annotated[tuple[str, ...], Meta(description="a list of texts in quotes")] = ()
    status_lists: Annotated[bool, Meta(description="true or false")] = False
    refresh: Span = "5m"
    cooldown: Span = "30s"
    fetches_per_minute: Annotated[int, Meta(description="a whole number from 1 to 600", ge=1, le=600)] = 10
    timeout: Span = "5s"
    max_stale: Span = "24h"
    public_only: Annotated[bool, Meta(description="true or false")] = False
    ca_file: Text = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    server: Server = Server()
    tls: Tls = Tls()
    cors: Cors = Cors()
    issuer: IssuerRules = IssuerRules()
    limits: Limits = Limits()
    store: StoreEntry = StoreEntry()
    hints: HintsEntry = HintsEntry()
    keys: KeysEntry = KeysEntry()
    tokens: TokensEntry = TokensEntry()
    dpop: DpopEntry = DpopEntry()
    metrics: Metrics = Metrics()
    decisions: DecisionsEntry = DecisionsEntry()
    planes: PlanesEntry = PlanesEntry()
    logs: Logs = Logs()
    mcp: McpEntry = McpEntry()
    prompt_chain: PromptChainEntry = PromptChainEntry()
    api_gateway: ApiGatewayEntry = ApiGatewayEntry()
    coze_proxy: CozeProxyEntry = CozeProxyEntry()
    kong_auth: KongAuthEntry = KongAuthEntry()
    mcp_daemon: McpDaemonEntry = McpDaemonEntry()
    kong: KongEntry = KongEntry()
    upstreams: tuple[UpstreamEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    chains: tuple[ChainEntry, ...] = ()
    issuers: tuple[IssuerEntry, ...] = ()
    policies: tuple[PolicyEntry, ...] = ()
    quotas: tuple[QuotaEntry, ...] = ()
    prices: tuple[PriceEntry, ...] = ()
    kong_consumers: tuple[KongConsumerEntry, ...] = ()


def seconds(span: str) -> int:
    """The seconds of a duration that stands in a Config."""
    return 0 if span == "0s" else parse_duration_s(span)
