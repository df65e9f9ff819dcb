"""What the face of the MCP daemon (preset `mcp-daemon`) needs to decide and answer, as plain data.

Its tools are `chat`, which asks a model of the gateway, and those of the gateway's MCP servers. A role says which of
them its bearer may call; a token without one is a `user`'s.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final

from msgspec import Struct, field

from jotgate.core.principals import Principal
from jotgate.core.values import Secret

MCP_DAEMON: Final = "mcp-daemon"
"""The name of the preset, of its face, of its issuer among those of the settings, and of its profile."""
CHAT: Final = "chat"
"""The tool that asks a model."""
USER: Final = "user"
"""The role of a token that names none."""
ROLES: Final[Mapping[str, tuple[str, ...]]] = {USER: (CHAT,), "admin": ("*",)}
LEGACY: Final = "legacy"
"""The subject of whoever comes with the older token alone, while that is let in."""
FRAME_BYTES_MAX: Final = 33_554_432
_ANY: Final = "*"


class McpDaemonRules(Struct, frozen=True, tag="mcp-daemon"):
    """What variables and settings say of how it answers.

    `model` is what `chat` asks where a caller names none; empty: the first there is. `roles` are the tools of each
    role; one that ends in `*` stands for all that begin so. `legacy` is the older token, which a `hello` must carry
    where there is one; until `grace_until_s` (NumericDate) it lets one in that has no JWT. A connection that has not
    said who it is within `hello_s` seconds is closed. Of connections a worker has so many, an address, and a subject.
    """

    model: str = ""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(ROLES))
    legacy: Secret | None = None
    grace_until_s: int = 0
    hello_s: float = 15.0
    frame_bytes: int = FRAME_BYTES_MAX
    connections: int = 1_000
    connections_per_address: int = 10
    connections_per_subject: int = 10
    calls_per_connection: int = 8


def may_call(rules: McpDaemonRules, roles: Iterable[str], tool: str) -> bool:
    """Whether one of these roles has a tool; no role at all is that of a user."""
    wanted = tuple(roles) or (USER,)
    return any(_covers(pattern, tool) for role in wanted for pattern in rules.roles.get(role, ()))


def role_of(principal: Principal) -> str:
    """The role that a principal is told to have."""
    return ",".join(sorted(principal.roles)) or USER


def in_grace(rules: McpDaemonRules, now_s: float) -> bool:
    """Whether the older token lets somebody in who has no JWT."""
    return rules.legacy is not None and now_s < rules.grace_until_s


def legacy_principal(rules: McpDaemonRules) -> Principal:
    """Whoever comes with the older token alone: a user, until the grace is over."""
    return Principal(
        issuer=MCP_DAEMON,
        subject=LEGACY,
        client_id="",
        token_id="",
        kid="",
        scopes=frozenset({"ai"}),
        models=None,
        expires_at_s=float(rules.grace_until_s) or inf,
        not_before_s=0.0,
    )


def _covers(pattern: str, tool: str) -> bool:
    return tool.startswith(pattern[:-1]) if pattern.endswith(_ANY) else pattern == tool
