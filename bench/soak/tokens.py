"""The tokens of a soak: good ones of ours and of a real provider, wrong ones of every kind, and what each is owed."""

import json
import math
import random
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from jotgate.errors import Code
from jotgate.jose.encoding import b64url_decode
from jotgate.jose.keys import SigningKey
from jotgate.testing.issuer import wrong_tokens

Whose = Literal["ours", "the provider's"]
Verdict = Literal[
    "good, taken",
    "good, REFUSED",
    "too new to be owed, taken",
    "too new to be owed, refused",
    "wrong, refused",
    "wrong, not to be known now",
    "wrong, TAKEN",
    "wrong, answered otherwise",
]
FAULTS: Final[tuple[Verdict, ...]] = ("good, REFUSED", "wrong, TAKEN", "wrong, answered otherwise")
_REFUSALS: Final = (400, 401, 403)
_KEPT: Final = 60


@dataclass(frozen=True, slots=True)
class Token:
    """One token. A good one is owed 200 from `owed_from_s` on (monotonic clock); a wrong one never.

    `asks`: the key that it names is unknown, so that it may make the gateway ask the provider.
    """

    whose: Whose
    name: str
    text: bytes
    owed_from_s: float = math.inf
    wrong: bool = False
    asks: bool = False


def judge(token: Token, status: int, began_s: float) -> Verdict:
    """What an answer to a token means that was sent at `began_s`."""
    if token.wrong:
        if status in _REFUSALS:
            return "wrong, refused"
        if status == 503 and token.asks:
            return "wrong, not to be known now"
        return "wrong, TAKEN" if status == 200 else "wrong, answered otherwise"
    if began_s >= token.owed_from_s:
        return "good, taken" if status == 200 else "good, REFUSED"
    return "too new to be owed, taken" if status == 200 else "too new to be owed, refused"


def forge(whose: Whose, key: SigningKey, issuer: str, audience: str, now_s: float) -> list[Token]:
    """Every wrong token that there is a name for, around a key that the gateway takes.

    They are good for as long as their names say: one that is immature now is not for ever.
    """
    remote = whose == "the provider's"
    return [
        Token(whose, name, text, wrong=True, asks=remote and code == Code.KEY_UNKNOWN)
        for name, (text, code) in wrong_tokens(key, issuer, audience, now_s).items()
    ]


def kid_of(text: str) -> str:
    """The key that a token names."""
    return str(json.loads(b64url_decode(text.partition(".")[0].encode()))["kid"])


class Wallet:
    """What callers draw from, in any thread. Mutable.

    `quiet`: no token is drawn that could make the gateway ask the provider.
    """

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - which token comes next is no secret
        self._ours: deque[Token] = deque(maxlen=_KEPT)
        self._theirs: dict[str, deque[Token]] = {}
        self._wrong: dict[Whose, list[Token]] = {"ours": [], "the provider's": []}
        self._drawn = 0
        self.quiet = False

    def put_ours(self, text: str) -> None:
        """Ours is owed at once: we publish a key before it signs."""
        with self._lock:
            self._ours.append(Token("ours", kid_of(text), text.encode(), -math.inf))

    def put_theirs(self, text: str, owed_from_s: float) -> None:
        """One of the provider's."""
        kid = kid_of(text)
        with self._lock:
            tokens = self._theirs.setdefault(kid, deque(maxlen=_KEPT))
            tokens.append(Token("the provider's", kid, text.encode(), owed_from_s))

    def keep_theirs(self, kids: Iterable[str]) -> None:
        """Draw tokens of these keys alone: the provider publishes the others no more."""
        kept = set(kids)
        with self._lock:
            self._theirs = {kid: tokens for kid, tokens in self._theirs.items() if kid in kept}

    def replace_wrong(self, whose: Whose, tokens: list[Token]) -> None:
        """New wrong tokens in the place of the old."""
        with self._lock:
            self._wrong[whose] = tokens

    def draw(self) -> Token:
        """Three good ones of each in ten, and wrong ones of each in turn, until every kind has come; then anew."""
        with self._lock:
            self._drawn += 1
            place = self._drawn % 10
            if place < 3:
                return self._random.choice(self._ours)
            if place < 6:
                return self._random.choice([token for tokens in self._theirs.values() for token in tokens])
            wrong = self._wrong["ours" if place < 8 else "the provider's"]
            token = wrong[(self._drawn // 10 * 2 + place % 2) % len(wrong)]
            return self._random.choice(self._ours) if self.quiet and token.asks else token
