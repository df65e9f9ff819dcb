"""Gets a token from an upstream's token endpoint: signs what is signed, asks, tries again, tries the other key."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from shlex import quote
from typing import Final

from msgspec import Struct

from jotgate.core.mcp_tools import server_of
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
from jotgate.core.token_grants import LOGIN, OF_CALLERS, AssertionKey, TokenGrant
from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused, JotgateError, KeyRefused, StoreUnavailable
from jotgate.jose.keys import SigningKey
from jotgate.ports import Clock, Entropy, KeptRefreshTokens, TokenEndpoint

TRIES: Final = 3
"""So often is an endpoint asked that does not answer, before those who wait are told."""
_BACK_OFF_S: Final = 0.1
_KEPT_S: Final = 3_600.0
"""So long a secret that is kept is used before it is read again."""
SETTLE_S: Final = 3.5
"""So long a stop waits for refresh tokens that were sent; control has 5 s to end."""
_RETRY_SOON_S: Final = 1
_KEYS_KNOWN_MAX: Final = 64

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""
SubjectTokens = Callable[[TokenGrant, str], Awaitable[Secret]]
"""Makes what says to a token endpoint that a token for this caller is wanted. Raises JotgateError."""


async def _speak_for_nobody(grant: TokenGrant, holder: str) -> Secret:
    """Stands where there is nobody who signs."""
    raise KeyRefused(f"nobody here can say to '{grant.upstream}' who '{holder}' is")


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
        self._subjects: SubjectTokens = _speak_for_nobody
        self._keys: dict[tuple[AssertionKey, str], SigningKey] = {}
        self._taken: dict[str, str] = {}
        self._unkept: dict[tuple[str, str], KeptRefreshToken] = {}
        self._swaps: set[asyncio.Task[Outcome]] = set()

    def speak_by(self, subjects: SubjectTokens) -> None:
        """Have this say to token endpoints whom a token is wanted for."""
        self._subjects = subjects

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
        if grant.kind in OF_CALLERS and not session:
            return Unasked("it is not known whose it would be")
        if grant.keeps:
            return await self._look_up(grant, session if grant.isolates else "")
        if grant.refreshes:
            return await self._refresh(grant, session)
        subject: Secret | None = None
        if grant.kind == "token-exchange":
            try:
                subject = await self._subjects(grant, session)
            except JotgateError as refusal:
                return NotNow(f"nobody can say now for whom a token is wanted: {refusal.message}")
        if grant.keys:
            return await self._assert(grant, session, subject)
        return await self._ask(grant, subject_token=subject)

    async def _look_up(self, grant: TokenGrant, holder: str) -> Outcome:
        """What is kept, and sent as it is."""
        try:
            kept = await self._kept.read(grant.upstream, holder)
        except JotgateError as refusal:
            return NotNow(f"the secret that is kept cannot be read: {refusal.message}")
        if kept is None:
            return Unasked(f"none is kept for it; run: {command_for(grant, holder)}")
        return Handout(kept.token, self._clock.now_s() + _KEPT_S)

    async def _assert(self, grant: TokenGrant, session: str, subject: Secret | None) -> Outcome:
        """Try the key that was taken last, and where it is not taken any more, or is none, the other one."""
        first = self.key_in_use(grant)
        order = [*grant.keys[first:], *grant.keys[:first]]
        refusals: list[Declined] = []
        for key in order:
            outcome = await self._try_key(grant, key, session, subject)
            if isinstance(outcome, Handout):
                self._taken[grant.upstream] = key.key_id
            if not isinstance(outcome, Declined):
                return outcome
            refusals.append(outcome)
            if not outcome.for_key:
                break
        return _declined_all(order, refusals)

    async def _try_key(self, grant: TokenGrant, key: AssertionKey, session: str, subject: Secret | None) -> Outcome:
        try:
            assertion = self._sign(grant, key, session)
        except KeyRefused as refusal:
            return Declined(f"the private key cannot be used: {refusal.message}", for_key=True)
        return await self._ask(grant, assertion=assertion, subject_token=subject)

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

    async def _refresh(self, grant: TokenGrant, session: str) -> Outcome:
        holder = session if grant.isolates else ""
        try:
            before = await self._refresh_token(grant, holder)
        except JotgateError as refusal:
            return NotNow(f"the refresh token that is kept cannot be read: {refusal.message}")
        if not isinstance(before, Secret):
            return before
        swap = asyncio.get_running_loop().create_task(self._swap(grant, holder, before))
        self._swaps.add(swap)
        swap.add_done_callback(self._swaps.discard)
        return await asyncio.shield(swap)

    async def _swap(self, grant: TokenGrant, holder: str, before: Secret) -> Outcome:
        """Send a refresh token, which dies of it, and keep its successor, whether anybody still waits or not."""
        outcome = await self._ask(grant, refresh_token=before)
        if isinstance(outcome, Handout) and outcome.refresh_token is not None:
            # The same may come again; by then nothing is under way any more, which is kept too.
            if outcome.refresh_token != before or grant.isolates:
                await self._keep(grant, holder, outcome.refresh_token)
        elif isinstance(outcome, Handout) and grant.isolates:
            await self._keep(grant, holder, before)
        elif isinstance(outcome, Declined) and grant.isolates and not outcome.for_key:
            with suppress(StoreUnavailable):  # The next one that is sent will be refused in the same way.
                await self._kept.fail(grant.upstream, holder, outcome.cause)
        return outcome

    async def settle(self) -> None:
        """Wait, but not for long, until what comes of the refresh tokens that were sent is kept."""
        if self._swaps:
            await asyncio.wait(self._swaps, timeout=SETTLE_S)

    async def _refresh_token(self, grant: TokenGrant, holder: str) -> Secret | Unasked:
        """The newest that descends from what is configured; that itself, where none does."""
        kept = self._unkept.get((grant.upstream, holder)) or await self._kept.read(grant.upstream, holder)
        if kept is not None and kept.fault:
            return Unasked(f"somebody has to connect again: {command_for(grant, holder)} ({kept.fault})")
        if kept is not None and kept.origin == grant.origin:
            return kept.token
        return grant.refresh_token or Unasked(f"nobody has logged in for it; run: {command_for(grant, holder)}")

    async def _keep(self, grant: TokenGrant, holder: str, token: Secret) -> None:
        """Keep the refresh token that came; the one before is dead. What cannot be kept is tried again next time."""
        kept, key = KeptRefreshToken(token, grant.origin, self._clock.now_s()), (grant.upstream, holder)
        self._unkept[key] = kept
        try:
            await self._kept.keep(grant.upstream, kept, holder)
        except (DirectoryRefused, StoreUnavailable):
            return
        del self._unkept[key]

    def forget_login(self, upstream: str, holder: str | None = None) -> None:
        """Somebody logged in anew, or out: what was not kept yet is of before. None: that of all callers."""
        for key in [one for one in self._unkept if one[0] == upstream and holder in (None, one[1])]:
            del self._unkept[key]

    async def _ask(
        self,
        grant: TokenGrant,
        *,
        assertion: Secret | None = None,
        refresh_token: Secret | None = None,
        subject_token: Secret | None = None,
    ) -> Outcome:
        asked_s = self._clock.now_s()
        post = write_post(grant, assertion=assertion, refresh_token=refresh_token, subject_token=subject_token)
        answered = await self._endpoint.post(post)
        if not isinstance(answered, Answered):
            return NotNow(f"the token endpoint does not answer: {answered.reason}")
        outcome = read_answer(answered, grant, asked_s)
        if isinstance(outcome, Handout):
            return outcome
        secrets = (assertion, refresh_token, subject_token, grant.client_secret)
        sent = tuple(one for one in secrets if one is not None)
        cause = safe_cause(outcome.cause, sent)
        if isinstance(outcome, NotNow):
            return NotNow(cause, outcome.retry_after_s)
        if grant.kind == "refresh-token" and grant.origin == LOGIN:
            cause += f"; log in again: {command_for(grant)}"
        return Declined(cause, outcome.for_key, outcome.for_session)


def command_for(grant: TokenGrant, holder: str = "") -> str:
    """The command by which somebody gives what is missing."""
    server = server_of(grant.upstream)
    if not server:
        return f"jotgate upstream login {grant.upstream}"
    return f"jotgate mcp credential set {server}{f' --subject {quote(holder)}' if holder else ''}"


def _declined_all(order: list[AssertionKey], refusals: list[Declined]) -> Declined:
    """Why no key is taken: where two were tried, what was said of each, by its name."""
    if len(refusals) == 1:
        return refusals[0]
    named = [f"key '{key.key_id}': {one.cause}" for key, one in zip(order, refusals, strict=True)]
    return Declined(
        "; ".join(named), for_key=all(one.for_key for one in refusals), for_session=refusals[-1].for_session
    )
