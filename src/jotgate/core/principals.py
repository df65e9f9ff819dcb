"""The principal: who a verified token speaks for, and what that token may do."""

from msgspec import Struct


class Principal(Struct, frozen=True):
    """One immutable value from one function, the verifier.

    `models` None means every model. `token_id` is the `jti`. Times are NumericDates (RFC 7519 s2).
    """

    issuer: str
    subject: str
    client_id: str
    token_id: str
    kid: str
    scopes: frozenset[str]
    models: frozenset[str] | None
    expires_at_s: float
    not_before_s: float
