"""Tokens that jotgate gets from an upstream's authorization server, as values: what is held, and why there is none.

They are jotgate's own credentials: a caller never sees one, but where a face hands them out on purpose.
"""

from hashlib import sha256
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.token_grants import GrantKind
from jotgate.core.values import Secret
from jotgate.errors import UpstreamTokenError, UpstreamTokenRefused, UpstreamTokenUnavailable, UpstreamTokenUnconfigured

NO_REFUSAL: Final = b""
"""Stands where no token was refused."""

LATEST_S: Final = 5.0
"""In its last seconds a token is not sent: it might end on its way."""
_BANDS: Final = ((600.0, 30.0), (60.0, 10.0), (float("-inf"), LATEST_S))

NOT_LOGGED_IN: Final = "nobody has logged in"
"""How the cause begins where tokens come of a login, and there is none."""
Lack = Literal["unconfigured", "refused", "unreachable", "unknown"]
"""Why there is no token: nothing says how to get one; what is configured was refused, or cannot be used; the token
endpoint cannot be reached, or says that it cannot answer now; nobody can say, since control does not answer."""


class HeldToken(Struct, frozen=True):
    """A token, and its times in seconds since the epoch.

    From `renew_from_s` on a new one is to be asked for, while this one is good still; at `good_until_s` it is used no
    more, 5 s or more before it ends at `ends_s`.
    """

    token: Secret
    renew_from_s: float
    good_until_s: float
    ends_s: float

    @property
    def digest(self) -> bytes:
        """What the token is known by where it may not stand itself."""
        return digest_of(self.token)


class TokenStatus(Struct, frozen=True):
    """How the token of one session stands; no secret. `expires_in_s` is None where there is no token."""

    has_token: bool
    is_valid: bool
    expires_in_s: int | None


class TokenStanding(Struct, frozen=True):
    """How the tokens of one upstream are doing; no secret.

    `key_id` is the key that is taken; `second`: it is the one for the time of a rotation. `obtained_at_s` is when the
    last exchange succeeded; 0: none has. `fault` is why the last one failed, since `failing_since_s`; empty: it did
    not. Times are in seconds since the epoch.
    """

    upstream: str
    kind: GrantKind
    sessions: int
    obtained: int
    failed: int
    key_id: str = ""
    second: bool = False
    fault: str = ""
    failing_since_s: float = 0.0
    obtained_at_s: float = 0.0


class TokenFound(Struct, frozen=True):
    """A token that may be sent now. `digest` names it if it is refused."""

    token: Secret
    digest: bytes
    good_until_s: float


class TokenLacking(Struct, frozen=True):
    """There is none. `cause` says why in words that everybody may see; `retry_after_s` is when one may be there."""

    lack: Lack
    cause: str
    retry_after_s: int = 1


def hold(token: Secret, ends_s: float, now_s: float) -> HeldToken:
    """A token that was got now: the longer it lives, the earlier is another one asked for, by no less than 5 s."""
    life_s = ends_s - now_s
    early_s = next(early_s for life_min_s, early_s in _BANDS if life_s >= life_min_s)
    return HeldToken(token, ends_s - early_s, ends_s - LATEST_S, ends_s)


def digest_of(token: Secret) -> bytes:
    """The SHA-256 of a token."""
    return sha256(token.reveal().encode()).digest()


def lacking_error(upstream: str, lacking: TokenLacking) -> UpstreamTokenError:
    """What a call is told that needs a token of this upstream, and there is none."""
    message = f"there is no token for the upstream '{upstream}': {lacking.cause}"
    error: UpstreamTokenError
    if lacking.lack == "unconfigured":
        error = UpstreamTokenUnconfigured(message)
    elif lacking.lack == "refused":
        error = UpstreamTokenRefused(message)
    else:
        error = UpstreamTokenUnavailable(message, retry_after_s=lacking.retry_after_s)
    error.cause = lacking.cause
    return error
