"""Tokens of the MCP daemon for programs that hold its secret: `TokenManager`, as the daemon's document has it.

Whoever holds the secret can make a token for anybody. A client of somebody else's daemon is better given a token.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from jotgate.core.issuer_profiles import PROFILES
from jotgate.core.values import Secret
from jotgate.errors import CommandError
from jotgate.jose import jwt
from jotgate.jose.keys import SigningKey, hmac_key

LIFETIME_S: Final = 86_400
MARGIN_S: Final = 3_600
QUOTA: Final = 1_000
_MARGIN_SHARE: Final = 5
"""The margin is never more than this part of a token's life."""
_ALGORITHM: Final = "HS256"
_PROFILE: Final = PROFILES["mcp-daemon"]


class TokenManager:
    """Has a token that is good for a while yet. It may be shared by threads.

    Mutable: the token, and when it is renewed. `refresh_callback` is told each new token, once, and may ask for it.
    """

    def __init__(
        self,
        jwt_secret: str,
        user_id: str,
        refresh_callback: Callable[[str], object] | None = None,
        *,
        lifetime_s: int = LIFETIME_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises KeyRefused for a secret that is no key of HS256, CommandError for a life that no token has.

        TypeError: the secret is no text, such as None where its variable is not set.
        """
        if not isinstance(jwt_secret, str):
            raise TypeError("jwt_secret is no text: is the variable with the daemon's secret set?")
        if not 1 <= lifetime_s <= _PROFILE.lifetime_max_s:
            raise CommandError(f"a token lives from 1 to {_PROFILE.lifetime_max_s} seconds")
        self._key: SigningKey = hmac_key(Secret(jwt_secret).reveal().encode(), _ALGORITHM, "secret")
        self.user_id = user_id
        self.refresh_callback = refresh_callback
        self.token: str | None = None
        self._lifetime_s = lifetime_s
        self._now = now
        self._renew_s = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"TokenManager(user_id={self.user_id!r})"

    def get_valid_token(self) -> str:
        """The token; a new one an hour before it ends, or when a fifth of its life is left if that is later."""
        with self._lock:
            if self.token is not None and self._now() < self._renew_s:
                return self.token
            token = self.token = self._make()
        if self.refresh_callback is not None:
            self.refresh_callback(token)
        return token

    def _make(self) -> str:
        now_s = int(self._now())
        claims: dict[str, object] = {
            "sub": self.user_id,
            "name": f"Agent {self.user_id}",
            "iat": now_s,
            "exp": now_s + self._lifetime_s,
            "iss": _PROFILE.issuer,
            "aud": "exai-mcp-client",
            "quota": QUOTA,
            "role": "user",
        }
        self._renew_s = now_s + self._lifetime_s - min(MARGIN_S, self._lifetime_s / _MARGIN_SHARE)
        return jwt.sign(claims, "JWT", self._key, with_kid=False).decode("ascii")
