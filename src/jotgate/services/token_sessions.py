"""What control's keeper knows of one session, and of one upstream: tokens, refusals, failures, rests."""

import asyncio
from collections import deque
from typing import Final

from msgspec.structs import replace

from jotgate.core.upstream_tokens import HeldToken, TokenLacking
from jotgate.services.token_exchanges import Chance

REST_MAX_S: Final = 30.0
"""For so long at most is an endpoint left alone that refused or did not answer, unless it says longer itself."""
FRESH_S: Final = 60.0
"""A token that is refused so soon after it came in the place of a refused one is a sign that the next will be too."""
SOON_MAX: Final = 2
"""The second such token in a row is that sign: one may have been withdrawn just then."""
_REFUSED_MAX: Final = 4
_DOUBLINGS_MAX: Final = 16


class Rest:
    """When nobody is asked, and what is said meanwhile. Mutable: that, and how often in a row it came to it."""

    __slots__ = ("_end_s", "_lacking", "times")

    def __init__(self) -> None:
        self.times = 0
        self._end_s = 0.0
        self._lacking: TokenLacking | None = None

    def begin(self, lacking: TokenLacking, chance: Chance, now_s: float) -> TokenLacking:
        """Rest from now on (monotonic), for longer each time; what is said has the time in it.

        Those who fail together, before it rests or while it does, are one time.
        """
        if now_s >= self._end_s:
            self.times += 1
        span_s = max(lacking.retry_after_s, chance.shorten(min(REST_MAX_S, 2.0 ** min(self.times, _DOUBLINGS_MAX))))
        self._end_s = now_s + span_s
        self._lacking = replace(lacking, retry_after_s=max(1, round(span_s)))
        return self._lacking

    def over(self) -> None:
        """It is well again."""
        self.times = 0
        self._end_s = 0.0

    def look(self, now_s: float) -> TokenLacking | None:
        """What is said now; None: nothing rests."""
        if self._lacking is None or now_s >= self._end_s:
            return None
        return replace(self._lacking, retry_after_s=max(1, round(self._end_s - now_s)))


class TokenSession:
    """One session at one upstream. Mutable: its token, those that were refused, the exchange under way, its rest.

    `void`: it was cleared, and what is under way for it is nobody's any more.
    """

    __slots__ = (
        "_after_refusal",
        "_obtained_s",
        "_refused",
        "_refused_soon",
        "_soon",
        "getting",
        "held",
        "rest",
        "void",
    )

    def __init__(self) -> None:
        self.held: HeldToken | None = None
        self.rest = Rest()
        self.getting: asyncio.Task[HeldToken | TokenLacking] | None = None
        self.void = False
        self._obtained_s = 0.0
        self._after_refusal = False
        self._refused: deque[bytes] = deque(maxlen=_REFUSED_MAX)
        self._refused_soon = Rest()
        self._soon = 0

    def take(self, held: HeldToken, now_s: float) -> None:
        """A token that was got now (monotonic)."""
        if self.held is not None:  # It comes in the place of one that was not refused.
            self._after_refusal = False
        self.held = held
        self._obtained_s = now_s
        self.rest.over()

    def was_refused(self, digest: bytes) -> bool:
        """Whether the upstream is known to take this token for nothing."""
        return digest in self._refused

    def refuse(self, digest: bytes, chance: Chance, now_s: float) -> bool:
        """The upstream takes this token for nothing. If it came in the place of such ones, just now: wait.

        Whether it was the one that is held, and is held no more.
        """
        if digest not in self._refused:
            self._refused.append(digest)
        if self.held is None or self.held.digest != digest:
            return False
        self.held = None
        self._soon = self._soon + 1 if self._after_refusal and now_s - self._obtained_s < FRESH_S else 0
        if self._soon >= SOON_MAX:
            lacking = TokenLacking("refused", "the upstream refuses tokens that were handed out just now")
            self._refused_soon.begin(lacking, chance, now_s)
        else:
            self._refused_soon.over()
        self._after_refusal = True
        return True

    def look(self, now_s: float) -> TokenLacking | None:
        """Why no exchange is made for it now; None: one may be."""
        return self._refused_soon.look(now_s) or self.rest.look(now_s)


class TokenAccount:
    """What is counted of one upstream. Mutable.

    `rest` is that of an endpoint that did not answer, or refused the client. `is_told`: the operator was told that it
    fails, and not yet that it does no more.
    """

    __slots__ = ("failed", "failing_since_s", "fault", "is_told", "obtained", "obtained_at_s", "rest")

    def __init__(self) -> None:
        self.obtained = 0
        self.failed = 0
        self.is_told = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Another client, or another endpoint: what befell the one before says nothing of it. It is counted on."""
        self.obtained_at_s = 0.0
        self.fault = ""
        self.failing_since_s = 0.0
        self.rest = Rest()
