"""Authorization as a pure decision: principal and call in, Allow or Deny out.

While no operator has written a policy, the one shipped here stands: allow what the token's scopes and its `models`
claim name, deny everything else.
"""

from typing import Final, Literal

from msgspec import Struct

from jotgate.core.operations import ALL_OPERATIONS_SCOPE, METRICS
from jotgate.core.principals import Principal


class Allow(Struct, frozen=True):
    """The call may go on."""


class Deny(Struct, frozen=True):
    """The call may not go on. `reason` says which condition failed, `wanted` what would have met it."""

    reason: Literal["scope", "model"]
    wanted: str


Decision = Allow | Deny
ALLOW: Final = Allow()


def authorize(principal: Principal, operation: str, model: str) -> Decision:
    """Decide whether the principal may run the operation on the model (empty: the operation names none)."""
    scopes = principal.scopes
    if operation not in scopes and (ALL_OPERATIONS_SCOPE not in scopes or operation == METRICS):
        return Deny("scope", operation)
    if model and principal.models is not None and model not in principal.models:
        return Deny("model", model)
    return ALLOW
