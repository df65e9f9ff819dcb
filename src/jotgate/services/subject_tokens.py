"""Says to a token endpoint for which caller a token is wanted (RFC 8693): by a token that is made for that alone.

What the caller has shown goes nowhere. The token is for that endpoint, ends in a minute, and is of no type that is
taken here: whoever has it can do nothing at this gateway.
"""

from typing import Final

from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from jotgate.jose import jws, jwt
from jotgate.ports import Clock, Entropy
from jotgate.services.status_lists import SignUntil

LIFE_S: Final = 60
_TYPE: Final = "JWT"
_TOKEN_ID_BYTES: Final = 16


class SubjectTokens:
    """Makes such tokens (services.token_exchanges.SubjectTokens). Immutable.

    `sign` is whoever signs access tokens too, so that the key set that is published verifies them.
    """

    def __init__(self, issuer: str, sign: SignUntil, clock: Clock, entropy: Entropy) -> None:
        self._issuer = issuer
        self._sign = sign
        self._clock = clock
        self._entropy = entropy

    async def make(self, grant: TokenGrant, holder: str) -> Secret:
        """The token for a caller. Raises KeyRefused, DirectoryRefused, Unavailable: nobody can sign now."""
        now_s = int(self._clock.now_s())
        signer = await self._sign(now_s + LIFE_S)
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": holder,
            "aud": grant.token_url,
            "iat": now_s,
            "exp": now_s + LIFE_S,
            "jti": self._entropy.random_bytes(_TOKEN_ID_BYTES).hex(),
        }
        signing_input = jwt.prepare(claims, _TYPE, signer.key)
        token = jws.attach(signing_input, await signer.sign(signing_input), signer.key, trusted=signer.local)
        return Secret(token.decode("ascii"))
