"""Routes and upstreams: which upstreams answer for a model alias, in which order, and within which bounds."""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.breakers import BreakerRules
from jotgate.core.expectations import RouteExpectation
from jotgate.core.quotas import Price
from jotgate.core.tool_endpoints import ToolEndpoint
from jotgate.core.values import Secret

ATTEMPTS_MAX: Final = 3
"""How many upstreams a call is sent to at most, unless its route says otherwise."""


CredentialPlace = Literal["x-api-key", "api-key", "query", "cookie"]
"""Where a route may allow its calls to carry their token, beside the Authorization header."""

EndedTokens = Literal["cut", "finish"]
"""What becomes of calls that run when their token ends: they are cut, or may run to their end."""

QuotaSpent = Literal["cut", "finish", "soft"]
"""What becomes of a stream whose quota is spent while it runs: it is cut; it may run to its end, and what it used
beyond is debt; or that is noted alone."""

QuotaOutage = Literal["refuse", "open"]
"""What becomes of calls while nobody can say what is left of their quotas: they are refused, or let through."""

CeilingField = Literal["max_completion_tokens", "max_tokens"]
"""The member of a chat completion's body in which an upstream takes the ceiling of its output."""

HEALTH: Final = "health"
"""The operation of a health check, which is no caller's."""


class Proxy(Struct, frozen=True):
    """The HTTP proxy on the way to an upstream. `credential` is `user:password` (RFC 7617)."""

    host: str
    port: int
    credential: Secret | None = None


class Reach(Struct, frozen=True):
    """How an upstream is reached: the proxy on the way, and the roots to trust in place of the machine's, as PEM."""

    proxy: Proxy | None = None
    roots: str = ""


class Bounds(Struct, frozen=True):
    """How much of an upstream is used at once, by all workers together; 0 is no bound.

    A call beyond `concurrent` or `connections`, or beyond `of_one_tenant` of the calls of its tenant, waits in a queue
    of `queued` calls for at most `queue_s`. Up to `idle_connections` are kept for `idle_s`.
    """

    concurrent: int = 0
    of_one_tenant: int = 0
    connections: int = 0
    queued: int = 100
    queue_s: float = 10.0
    idle_connections: int = 512
    # Less than the keep-alive time of the servers in use (uvicorn 5 s): a request seldom meets a closing connection.
    idle_s: float = 4.0

    @property
    def calls(self) -> int:
        """Calls at once: in HTTP/1.1 each has a connection of its own."""
        return min(filter(None, (self.concurrent, self.connections)), default=0)


class HealthCheck(Struct, frozen=True):
    """GET `path` of the upstream's host each `interval_s`; any 2xx is well. An empty path: no check."""

    path: str = ""
    interval_s: float = 10.0


class Upstream(Struct, frozen=True):
    """One place that answers AI calls.

    `kind` "echo" is built in and needs nothing else; "openai" is any OpenAI-compatible HTTP API below `base_url`
    (scheme, host, port and path prefix such as `/v1`); "coze" is Coze's API there; "chain" asks others (`core.chains`);
    "mcp" is an MCP server at that URL or, without one, a child of control; with `endpoints` it is made of these, below
    that URL. `tells_callers`: it is told who calls.
    `ceiling_field` is where it takes the ceiling of a chat completion whose caller set none.

    It is told a static `credential`, or `other_credential` where that is refused with 401; or, if `exchanged`, a token
    that control gets for it. `token_mark` names how those are got, without a secret: tokens of before another mark are
    not used. `of_callers`: each caller has one of its own there.
    """

    name: str
    kind: Literal["openai", "echo", "chain", "coze", "mcp"]
    base_url: str = ""
    credential: Secret | None = None
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 900.0
    reach: Reach = Reach()
    bounds: Bounds = Bounds()
    breaker: BreakerRules = BreakerRules()
    health: HealthCheck = HealthCheck()
    ceiling_field: CeilingField = "max_completion_tokens"
    other_credential: Secret | None = None
    exchanged: bool = False
    token_mark: str = ""
    of_callers: bool = False
    endpoints: tuple[ToolEndpoint, ...] = ()
    answer_bytes: int = 33_554_432
    tells_callers: bool = False


class MeteringRules(Struct, frozen=True):
    """How calls of a route are counted that a quota meets; in tokens, but for `quota_spent`, `quota_outage`, `passes`.

    A unary call may make `output_ceiling` of output for each answer, unless its caller says how many; a stream takes
    `output_step` at a time. An image in a call counts for `image_tokens`, a piece of sound for `audio_tokens`. A chain
    is sent the conversation in `passes` asks, with `hidden_input` beside it, and its caller does not see
    `hidden_output` of what they say.
    """

    output_ceiling: int = 4_096
    output_step: int = 1_024
    image_tokens: int = 2_048
    audio_tokens: int = 8_192
    quota_spent: QuotaSpent = "cut"
    quota_outage: QuotaOutage = "refuse"
    passes: int = 1
    hidden_input: int = 0
    hidden_output: int = 0


class Attempt(Struct, frozen=True):
    """One try of a route: the upstream's name, and the name under which that upstream knows the model.

    Attempts with a `weight` stand first and share the calls by it; the others are tried when those cannot be. `price`
    is what the model costs there; None: nobody knows.
    """

    upstream: str
    model: str
    weight: int = 0
    price: Price | None = None


class Route(Struct, frozen=True):
    """A model alias and the attempts made for it, in order, at most `attempts_max` for one call.

    `retry_unsafe` lets a call that an upstream has seen, and may have done, be sent to another one. `credentials` are
    the places where its calls may carry their token, beside the Authorization header. `expects` is what it demands of
    that token; None: no more than the token's issuer does. `ended_tokens` is what becomes of its running calls when
    their token is revoked, disabled or expired. `metering` is for those of its calls that a quota meets.
    """

    alias: str
    attempts: tuple[Attempt, ...]
    attempts_max: int = ATTEMPTS_MAX
    retry_unsafe: bool = False
    credentials: tuple[CredentialPlace, ...] = ()
    expects: RouteExpectation | None = None
    ended_tokens: EndedTokens = "cut"
    metering: MeteringRules = MeteringRules()
