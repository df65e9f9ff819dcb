"""Somebody who spends, and what is around, for tests of quotas."""

from typing import Final

from jotgate.core.principals import Principal
from jotgate.core.spenders import Surroundings

OWN: Final = "https://gate.example"
DAEMON: Final = "exai-mcp-server"
AROUND: Final = Surroundings(OWN, {DAEMON: "daemon", "nameless": "nameless"}, frozenset({"large"}), {"daemon": 1_000})


def principal(**changes: object) -> Principal:
    """Alice, by a token of ours."""
    values: dict[str, object] = {
        "issuer": OWN,
        "subject": "alice",
        "client_id": "app",
        "token_id": "t1",
        "kid": "k",
        "scopes": frozenset({"ai"}),
        "models": None,
        "expires_at_s": 2e9,
        "not_before_s": 0.0,
        **changes,
    }
    return Principal(**values)  # type: ignore[arg-type]
