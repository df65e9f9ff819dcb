"""Verifies a token whose key may have to be fetched first, and says what is said when it could not be."""

import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.principals import Principal
from jotgate.errors import IssuerUnavailable, JotgateError, KeyUnpublished
from jotgate.ports import Clock
from jotgate.services.verifier import Verifier

Found = TypeVar("Found")

ASKS_MAX: Final = 2
"""Whoever comes behind the begin of a fetch may have to wait for one more."""


def may_ask_again(outcome: KeysOutcome, asks: int) -> bool:
    """Whether a key that is still not held, after so many questions, may come by another."""
    return outcome.reached and outcome.useless_s <= 0 and asks < ASKS_MAX


def refusal_for(refusal: KeyUnpublished, outcome: KeysOutcome) -> JotgateError:
    """What is said of a key that is not held: that it is not published, if that is known; else that it is not known."""
    if outcome.reached:
        return refusal
    text = f"the token names a key that is not held, and the keys of its issuer '{refusal.issuer}' cannot be had now"
    error = IssuerUnavailable(text)
    error.evidence = refusal.evidence
    error.retry_after_s = max(1, math.ceil(outcome.useless_s))
    return error


async def seek(judge: Callable[[], Found], wanted: Callable[[str], Awaitable[KeysOutcome]]) -> Found:
    """What `judge` comes to, which is asked again when keys that it did not hold have been fetched.

    `wanted` has the keys of an issuer fetched, and has ended when `judge` has them. Raises what `judge` raises:

    Raises:
        KeyUnpublished: the issuer has no such key.
        IssuerUnavailable: its keys are out of reach, so that the answer cannot be known.
    """
    outcome: KeysOutcome | None = None
    asks = 0
    while True:
        try:
            return judge()
        except KeyUnpublished as refusal:
            if outcome is not None and not may_ask_again(outcome, asks):
                raise refusal_for(refusal, outcome) from None
            issuer = refusal.issuer
        outcome = await wanted(issuer)
        asks += 1


class SeekingVerifier:
    """A verifier that has time: for commands. Immutable; `verifier` is the newest whenever it is called.

    `wanted` is as for `seek`.
    """

    def __init__(
        self, verifier: Callable[[], Verifier], wanted: Callable[[str], Awaitable[KeysOutcome]], clock: Clock
    ) -> None:
        self._verifier = verifier
        self._wanted = wanted
        self._clock = clock

    async def verify(self, token: bytes) -> Principal:
        """The principal that the token speaks for.

        Raises:
            TokenError: one subclass for each reason.
            IssuerUnavailable: its issuer's keys are out of reach, so that the answer cannot be known.
        """
        return await seek(lambda: self._verifier().verify(token, self._clock.now_s()), self._wanted)
