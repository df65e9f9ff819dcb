"""Control's part of the tokens that tell upstreams who calls: it verifies what a caller showed, and signs.

A worker that has been broken into has no key to sign with, and can have only those told of whose tokens it holds.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from jotgate.core.identity_tokens import IDENTITY_TYPE, Identity, IdentityRules, identity_claims, identity_times
from jotgate.core.principals import Principal
from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused, KeyRefused, TokenError, Unavailable
from jotgate.jose import jws, jwt
from jotgate.ports import Clock, Entropy
from jotgate.services.status_lists import SignUntil

_TOKEN_ID_BYTES: Final = 16


class IdentityDesk:
    """Makes such tokens. Immutable. `verify` takes whatever a caller of the gateway shows; `rules` None: none is made.

    `sign` is whoever signs access tokens too, so that the key set that is published verifies them.
    """

    def __init__(
        self,
        *,
        issuer: str,
        verify: Callable[[bytes], Awaitable[Principal]],
        sign: SignUntil,
        clock: Clock,
        entropy: Entropy,
        rules: Callable[[], IdentityRules | None],
    ) -> None:
        self._issuer = issuer
        self._verify = verify
        self._sign = sign
        self._clock = clock
        self._entropy = entropy
        self._rules = rules

    async def write(self, shown: Secret) -> Identity | None:
        """The token for whoever shows this one; None: it is not good, or nobody can sign now."""
        rules = self._rules()
        if rules is None:
            return None
        try:
            principal = await self._verify(shown.reveal().encode())
            now_s = self._clock.now_s()
            ends_s, used_until_s = identity_times(principal, rules, now_s)
            signer = await self._sign(ends_s)
            token_id = self._entropy.random_bytes(_TOKEN_ID_BYTES).hex()
            claims = identity_claims(principal, rules, self._issuer, token_id, now_s)
            signing_input = jwt.prepare(claims, IDENTITY_TYPE, signer.key)
            signature = await signer.sign(signing_input)
            token = jws.attach(signing_input, signature, signer.key, trusted=signer.local)
        except (TokenError, Unavailable, KeyRefused, DirectoryRefused):
            return None  # The worker says why, where it is the token; else that it cannot be known.
        return Identity(Secret(token.decode("ascii")), rules.audience, used_until_s)
