"""Gets a token from an upstream's token endpoint: signs what is signed, asks, tries again, tries the other key."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from jotgate.core.token_assertions import JTI_BYTES, read_private_key, sign_assertion
from jotgate.core.token_exchange import (
    Answered,
    Declined,
    Handout,
    KeptRefreshToken,
    NotNow,
    read_answer,
    safe_cause,
    write_post,
)
from jotgate.core.token_grants import LOGIN, AssertionKey, TokenGrant
from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused, JotgateError, KeyRefused, StoreUnavailable
from jotgate.jose.keys import SigningKey
from jotgate.ports import Clock, Entropy, KeptRefreshTokens, TokenEndpoint

TRIES: Final = 3
"""So often is an endpoint asked that does not answer, before those who wait are told."""
_BACK_OFF_S: Final = 0.1
SETTLE_S: Final = 3.5
"""So long a stop waits for refresh tokens that were sent; control has 5 s to end."""
_RETRY_SOON_S: Final = 1
_KEYS_KNOWN_MAX: Final = 64

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


class Unasked(Struct, frozen=True):
    """Nobody could be asked: there is nothing to ask with. `cause` says what is to be done."""

    cause: str


Outcome = Handout | Declined | NotNow | Unasked


class Chance:
    """Spans of time that nobody shares: so that those who failed together do not come back together. Immutable."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def shorten(self, span_s: float) -> float:
        """Between half of it and all of it."""
        return span_s * (0.5 + int.from_bytes(self._entropy.random_bytes(2)) / 131_072)


class TokenExchanges:
    """Makes exchanges. Mutable: the keys that were read, which of a pair was taken last, refresh tokens not yet kept.

    The exchanges of refresh tokens go on when nobody waits for them any more.

    `kept` is where refresh tokens are from one control process to the next.
    """

    def __init__(
        self, clock: Clock, entropy: Entropy, endpoint: TokenEndpoint, kept: KeptRefreshTokens, pause: Pause
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._chance = Chance(entropy)
        self._endpoint = endpoint
        self._kept = kept
        self._pause = pause
        self._keys: dict[tuple[AssertionKey, str], SigningKey] = {}
        self._taken: dict[str, str] = {}
        self._unkept: dict[str, KeptRefreshToken] = {}
        self._swaps: set[asyncio.Task[Outcome]] = set()

    def key_in_use(self, grant: TokenGrant) -> int:
        """Which of the grant's keys was taken last, from 0; the first if none was."""
        ids = [key.key_id for key in grant.keys]
        taken = self._taken.get(grant.upstream, "")
        return ids.index(taken) if taken in ids else 0

    async def run(self, grant: TokenGrant, session: str) -> Outcome:
        """Get a token for a session. An endpoint that does not answer is asked again, a little later each time."""
        outcome = await self._once(grant, session)
        for tried in range(1, TRIES):
            if not isinstance(outcome, NotNow) or outcome.retry_after_s > _RETRY_SOON_S:
                break
            await self._pause(self._chance.shorten(_BACK_OFF_S * 4**tried))
            outcome = await self._once(grant, session)
        return outcome

    async def _once(self, grant: TokenGrant, session: str) -> Outcome:
        if grant.kind == "refresh-token":
            return await self._refresh(grant)
        if grant.keys:
            return await self._assert(grant, session)
        return await self._ask(grant)

    async def _assert(self, grant: TokenGrant, session: str) -> Outcome:
        """Try the key that was taken last, and where it is not taken any more, or is none, the other one."""
        first = self.key_in_use(grant)
        order = [*grant.keys[first:], *grant.keys[:first]]
        refusals: list[Declined] = []
        for key in order:
            outcome = await self._try_key(grant, key, session)
            if isinstance(outcome, Handout):
                self._taken[grant.upstream] = key.key_id
            if not isinstance(outcome, Declined):
                return outcome
            refusals.append(outcome)
            if not outcome.for_key:
                break
        return _declined_all(order, refusals)

    async def _try_key(self, grant: TokenGrant, key: AssertionKey, session: str) -> Outcome:
        try:
            assertion = self._sign(grant, key, session)
        except KeyRefused as refusal:
            return Declined(f"the private key cannot be used: {refusal.message}", for_key=True)
        return await self._ask(grant, assertion=assertion)

    def _sign(self, grant: TokenGrant, key: AssertionKey, session: str) -> Secret:
        known = self._keys.get((key, grant.algorithm))
        if known is None:
            if len(self._keys) >= _KEYS_KNOWN_MAX:
                self._keys.clear()
            known = read_private_key(key.private_key, grant.algorithm, key.key_id)
            self._keys[key, grant.algorithm] = known
        random = self._entropy.random_bytes(JTI_BYTES)
        now_s = self._clock.now_s()
        return sign_assertion(grant, known, session, now_s=now_s, random=random, with_kid=bool(key.key_id))

    async def _refresh(self, grant: TokenGrant) -> Outcome:
        try:
            before = await self._refresh_token(grant)
        except JotgateError as refusal:
            return NotNow(f"the refresh token that is kept cannot be read: {refusal.message}")
        if before is None:
            return Unasked(f"nobody has logged in for it; run: jotgate upstream login {grant.upstream}")
        swap = asyncio.get_running_loop().create_task(self._swap(grant, before))
        self._swaps.add(swap)
        swap.add_done_callback(self._swaps.discard)
        return await asyncio.shield(swap)

    async def _swap(self, grant: TokenGrant, before: Secret) -> Outcome:
        """Send a refresh token, which dies of it, and keep its successor, whether anybody still waits or not."""
        outcome = await self._ask(grant, refresh_token=before)
        if isinstance(outcome, Handout) and outcome.refresh_token not in (None, before):
            await self._keep(grant, outcome.refresh_token)
        return outcome

    async def settle(self) -> None:
        """Wait, but not for long, until what comes of the refresh tokens that were sent is kept."""
        if self._swaps:
            await asyncio.wait(self._swaps, timeout=SETTLE_S)

    async def _refresh_token(self, grant: TokenGrant) -> Secret | None:
        """The newest that descends from what is configured; that itself, where none does."""
        kept = self._unkept.get(grant.upstream) or await self._kept.read(grant.upstream)
        if kept is not None and kept.origin == grant.origin:
            return kept.token
        return grant.refresh_token

    async def _keep(self, grant: TokenGrant, token: Secret | None) -> None:
        """Keep the refresh token that came; the one before is dead. What cannot be kept is tried again next time."""
        assert token is not None, "a handout without one keeps nothing"
        kept = KeptRefreshToken(token, grant.origin, self._clock.now_s())
        self._unkept[grant.upstream] = kept
        try:
            await self._kept.keep(grant.upstream, kept)
        except (DirectoryRefused, StoreUnavailable):
            return
        del self._unkept[grant.upstream]

    def forget_login(self, upstream: str) -> None:
        """Somebody logged in anew, or out: what was not kept yet is of before."""
        self._unkept.pop(upstream, None)

    async def _ask(
        self, grant: TokenGrant, *, assertion: Secret | None = None, refresh_token: Secret | None = None
    ) -> Outcome:
        asked_s = self._clock.now_s()
        answered = await self._endpoint.post(write_post(grant, assertion=assertion, refresh_token=refresh_token))
        if not isinstance(answered, Answered):
            return NotNow(f"the token endpoint does not answer: {answered.reason}")
        outcome = read_answer(answered, grant, asked_s)
        if isinstance(outcome, Handout):
            return outcome
        sent = tuple(one for one in (assertion, refresh_token, grant.client_secret) if one is not None)
        cause = safe_cause(outcome.cause, sent)
        if isinstance(outcome, NotNow):
            return NotNow(cause, outcome.retry_after_s)
        if grant.kind == "refresh-token" and grant.origin == LOGIN:
            cause += f"; log in again: jotgate upstream login {grant.upstream}"
        return Declined(cause, outcome.for_key, outcome.for_session)


def _declined_all(order: list[AssertionKey], refusals: list[Declined]) -> Declined:
    """Why no key is taken: where two were tried, what was said of each, by its name."""
    if len(refusals) == 1:
        return refusals[0]
    named = [f"key '{key.key_id}': {one.cause}" for key, one in zip(order, refusals, strict=True)]
    return Declined(
        "; ".join(named), for_key=all(one.for_key for one in refusals), for_session=refusals[-1].for_session
    )
