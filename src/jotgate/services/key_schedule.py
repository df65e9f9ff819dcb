"""When the keys of one issuer may be fetched, and when they must be: a state without a network and without a clock.

All times are of the monotonic clock, in seconds: the civil clock may jump.

Two ways lead to a fetch. In the background keys are fetched ahead of their time, and again soon, and ever later, when
that fails. And they are fetched when somebody brings a token whose key is not held; before such a fetch begins it
claims the cooldown, so that however many unknown keys are named, and however the fetch ends, no other is made for them
meanwhile. A fetch in the background claims none: the issuer may publish a key right behind it. What is known of
unknown keys is therefore one number for each issuer, which nobody can make grow.
"""

from collections import deque
from math import inf
from typing import Final

from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import KeysOutcome

_FRESH_MIN_S: Final = 60.0
_AHEAD: Final = 0.8
_AHEAD_SPREAD: Final = 0.1
_RETRY_FIRST_S: Final = 1.0
_RETRY_SPREAD: Final = 0.5
_DOUBLINGS_MAX: Final = 16
_MINUTE_S: Final = 60.0


class KeySchedule:
    """Mutable: when the next fetch is due, until when none is made for an unknown key, and how the last ones ended.

    `chance` is a number from 0 to 1, at random, so that many machines do not ask at once.
    """

    __slots__ = ("_cooled_s", "_starts", "due_s", "failures", "fetched_s", "source")

    def __init__(self, source: KeySource, now_s: float) -> None:
        self.source = source
        self.due_s = now_s
        self.failures = 0
        self.fetched_s: float | None = None
        self._cooled_s = -inf
        self._starts: deque[float] = deque(maxlen=source.per_minute)

    def obey(self, source: KeySource) -> None:
        """Go on under other numbers, as far as they matter to what is to come."""
        self.source = source
        self._starts = deque(self._starts, maxlen=source.per_minute)

    @property
    def reached(self) -> bool:
        """Whether the last fetch succeeded; True before the first has ended."""
        return self.failures == 0

    def is_due(self, now_s: float) -> bool:
        """Whether a fetch in the background is to begin."""
        return now_s >= self.due_s and now_s >= self._uncapped_s

    def claim_s(self, now_s: float) -> float:
        """How long it is until a fetch may be made for an unknown key; 0: now."""
        return max(0.0, self._cooled_s - now_s, self._uncapped_s - now_s)

    def outcome(self, now_s: float) -> KeysOutcome:
        """What is known of a key that is not held.

        Within the cooldown the issuer was asked for such a key. When the fetches of a minute alone are what holds the
        next one back, it was not: it cannot be known then whether the key is published.
        """
        if not self.reached:
            return KeysOutcome(reached=False, useless_s=min(self.claim_s(now_s), self.next_s(now_s)))
        if now_s < self._cooled_s:
            return KeysOutcome(reached=True, useless_s=self._cooled_s - now_s)
        capped_s = max(0.0, self._uncapped_s - now_s)
        return KeysOutcome(reached=capped_s <= 0, useless_s=capped_s)

    def next_s(self, now_s: float) -> float:
        """How long it is until the next fetch in the background."""
        return max(0.0, self.due_s - now_s, self._uncapped_s - now_s)

    def begin(self, now_s: float, *, wanted: bool) -> None:
        """A fetch begins; a `wanted` one claims the cooldown."""
        self._starts.append(now_s)
        if wanted:
            self._cooled_s = now_s + self.source.cooldown_s

    def succeeded(self, begun_s: float, max_age_s: float | None, chance: float) -> None:
        """The fetch that was begun then brought keys, or that they are as they were."""
        self.failures = 0
        self.fetched_s = begun_s
        fresh_s = self.source.refresh_s
        if max_age_s is not None:
            fresh_s = min(fresh_s, max(max_age_s, _FRESH_MIN_S))
        self.due_s = begun_s + fresh_s * (_AHEAD + _AHEAD_SPREAD * chance)

    def failed(self, now_s: float, chance: float) -> None:
        """The fetch brought nothing: the next one comes soon, and ever later while none does.

        It never takes longer than the cooldown, so that what an issuer published one cooldown ago is known, if it
        answers.
        """
        longest_s = max(_RETRY_FIRST_S, min(self.source.cooldown_s, self.source.refresh_s))
        retry_s = min(_RETRY_FIRST_S * 2 ** min(self.failures, _DOUBLINGS_MAX), longest_s)
        self.failures += 1
        self.due_s = now_s + retry_s * (1.0 - _RETRY_SPREAD * chance)

    def is_stale(self, now_s: float) -> bool:
        """Whether the keys that are held were last confirmed too long ago to be used."""
        return self.fetched_s is not None and now_s - self.fetched_s >= self.source.stale_max_s

    @property
    def _uncapped_s(self) -> float:
        """From when on the fetches of the last minute leave room for another."""
        if len(self._starts) < self.source.per_minute:
            return -inf
        return self._starts[0] + _MINUTE_S
