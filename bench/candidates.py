"""The closed table of what can be measured, and who stands beside whom."""

from dataclasses import dataclass
from typing import Final, Literal

Part = Literal["closed", "rate", "paced", "blast", "large", "fresh", "steady"]

STRAIGHT: Final = "straight"
NGINX: Final = "nginx"
ENVOY: Final = "envoy"
ENVOY_NOCACHE: Final = "envoy-nocache"
JOTGATE: Final = "jotgate"
JOTGATE_TWO: Final = "jotgate-2"
NGINX_TLS: Final = "nginx-tls"
JOTGATE_TLS: Final = "jotgate-tls"

CANDIDATES: Final[dict[str, tuple[Part, ...]]] = {
    STRAIGHT: ("closed", "rate"),
    NGINX: ("closed", "rate", "paced", "blast", "large"),
    ENVOY: ("closed", "paced", "large"),
    ENVOY_NOCACHE: ("closed",),
    JOTGATE: ("closed", "rate", "paced", "blast", "large", "steady"),
    JOTGATE_TWO: ("steady",),
    NGINX_TLS: ("closed", "fresh"),
    JOTGATE_TLS: ("closed", "fresh"),
}
"""What each is asked to do in a round, in this order."""


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

    No metrics named: all that no other table names.
    """

    title: str
    columns: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    metrics: tuple[str, ...] = ()


OVER_NGINX: Final = Comparison(JOTGATE, NGINX)
OVER_ENVOY: Final = Comparison(JOTGATE, ENVOY)
OVER_NGINX_TLS: Final = Comparison(JOTGATE_TLS, NGINX_TLS)
TWO_WORKERS: Final = Comparison(JOTGATE_TWO, JOTGATE)

TABLES: Final = (
    Table("", (STRAIGHT, NGINX, ENVOY, ENVOY_NOCACHE, JOTGATE), (OVER_NGINX, OVER_ENVOY)),
    Table("With TLS", (NGINX_TLS, JOTGATE_TLS), (OVER_NGINX_TLS,)),
    Table("Two workers beside one", (JOTGATE, JOTGATE_TWO), (TWO_WORKERS,), ("steady_cpu_us",)),
)
