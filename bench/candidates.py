"""The closed table of what can be measured, and who stands beside whom."""

from dataclasses import dataclass
from typing import Final, Literal

Part = Literal["closed", "tokens", "rate", "paced", "blast", "large", "fresh", "steady"]

STRAIGHT: Final = "straight"
NGINX: Final = "nginx"
ENVOY: Final = "envoy"
ENVOY_NOCACHE: Final = "envoy-nocache"
JOTGATE: Final = "jotgate"
JOTGATE_TWO: Final = "jotgate-2"
NGINX_TLS: Final = "nginx-tls"
JOTGATE_TLS: Final = "jotgate-tls"
OIDC_PROVIDER: Final = "oidc-provider"
JOTGATE_ISSUING: Final = "jotgate-issuing"
JOTGATE_ISSUING_MEMORY: Final = "jotgate-issuing-memory"

JOTGATE_DECIDING: Final = "jotgate-deciding"
JOTGATE_GRPC: Final = "jotgate-grpc"
GRPC_EMPTY: Final = "grpc-empty"
NGINX_ASKING: Final = "nginx-asking"
ENVOY_ASKING: Final = "envoy-asking"

CANDIDATES: Final[dict[str, tuple[Part, ...]]] = {
    STRAIGHT: ("closed", "rate"),
    NGINX: ("closed", "rate", "paced", "blast", "large"),
    ENVOY: ("closed", "paced", "large"),
    ENVOY_NOCACHE: ("closed",),
    JOTGATE: ("closed", "rate", "paced", "blast", "large", "steady"),
    JOTGATE_TWO: ("steady",),
    NGINX_TLS: ("closed", "fresh"),
    JOTGATE_TLS: ("closed", "fresh"),
    OIDC_PROVIDER: ("tokens",),
    JOTGATE_ISSUING: ("tokens",),
    JOTGATE_ISSUING_MEMORY: ("tokens",),
    JOTGATE_DECIDING: ("closed",),
    JOTGATE_GRPC: ("closed",),
    GRPC_EMPTY: ("closed",),
    NGINX_ASKING: ("closed",),
    ENVOY_ASKING: ("closed",),
}
"""What each is asked to do in a round, in this order."""

LAPS: Final = frozenset({"closed", "tokens"})
"""What is taken lap by lap, all candidates in turn."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of one candidate over those of another."""

    candidate: str
    yardstick: str

    @property
    def title(self) -> str:
        return f"{self.candidate} / {self.yardstick}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the report: its columns and the comparisons beside them.

    No metrics named: all that no other table names. `note` says what the figures are.
    """

    title: str
    columns: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    metrics: tuple[str, ...] = ()
    note: str = ""


OVER_NGINX: Final = Comparison(JOTGATE, NGINX)
OVER_ENVOY: Final = Comparison(JOTGATE, ENVOY)
OVER_NGINX_TLS: Final = Comparison(JOTGATE_TLS, NGINX_TLS)
TWO_WORKERS: Final = Comparison(JOTGATE_TWO, JOTGATE)
OVER_PROVIDER: Final = Comparison(JOTGATE_ISSUING_MEMORY, OIDC_PROVIDER)
DURABLE_OVER_PROVIDER: Final = Comparison(JOTGATE_ISSUING, OIDC_PROVIDER)
GRPC_OVER_HTTP: Final = Comparison(JOTGATE_GRPC, JOTGATE_DECIDING)
GRPC_OVER_EMPTY: Final = Comparison(JOTGATE_GRPC, GRPC_EMPTY)
ASKING_OVER_NGINX: Final = Comparison(NGINX_ASKING, NGINX)
ASKING_OVER_ENVOY: Final = Comparison(ENVOY_ASKING, ENVOY)

TABLES: Final = (
    Table("", (STRAIGHT, NGINX, ENVOY, ENVOY_NOCACHE, JOTGATE), (OVER_NGINX, OVER_ENVOY)),
    Table("With TLS", (NGINX_TLS, JOTGATE_TLS), (OVER_NGINX_TLS,)),
    Table("Two workers beside one", (JOTGATE, JOTGATE_TWO), (TWO_WORKERS,), ("steady_cpu_us",)),
    Table(
        "Issuing a token",
        (OIDC_PROVIDER, JOTGATE_ISSUING_MEMORY, JOTGATE_ISSUING),
        (OVER_PROVIDER, DURABLE_OVER_PROVIDER),
        ("token_cpu_us", "tokens_per_cpu_s", "tokens_per_s"),
        "client_credentials with client_secret_basic for a JWT signed with ES256, over 8 kept connections; CPU of all "
        "processes. `jotgate-issuing` commits each token durably before it hands it out; the other two keep what they "
        "know in memory, as oidc-provider does by itself.",
    ),
    Table(
        "A decision, in jotgate alone",
        (JOTGATE_DECIDING, JOTGATE_GRPC, GRPC_EMPTY),
        (GRPC_OVER_HTTP, GRPC_OVER_EMPTY),
        note="The CPU of jotgate's processes, or of the handler that decides nothing, for one warm decision. Over gRPC "
        "an Envoy on the load's core asks.",
    ),
    Table(
        "Whole paths that ask",
        (NGINX, NGINX_ASKING, ENVOY, ENVOY_ASKING),
        (ASKING_OVER_NGINX, ASKING_OVER_ENVOY),
        note="The proxy carries the bytes and asks jotgate about each request, as `jotgate plane` configures it; the "
        "CPU is that of both. `nginx` looks at nothing, and `envoy` verifies the token itself, with a cache.",
    ),
)
