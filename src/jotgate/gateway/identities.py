"""The tokens that tell upstreams who calls, as a worker has them: asked of control once for each verified token.

A request whose caller has none yet waits for it, and is decided anew. No request passes without one where it is to
have one: nobody is told of by a field that anybody could have written.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from jotgate.core.calls import Request
from jotgate.core.decisions import IDENTITY_FIELDS
from jotgate.core.identity_tokens import Identity, IdentityRules
from jotgate.core.principals import Principal
from jotgate.core.values import Secret
from jotgate.errors import IdentityUnwritten, JotgateError
from jotgate.gateway.credentials import find_token
from jotgate.gateway.waits import Desk, Soon, Waits
from jotgate.gateway.world import World
from jotgate.ports import Answer, Clock

PATIENCE_S: Final = 5.0
"""How long a request waits at most: for a control that is started again too."""
HELD_MAX: Final = 8_192
"""So many tokens a worker holds, in two generations."""

_ASKS_MAX: Final = 2
_FIELD: Final = IDENTITY_FIELDS[-1].encode("ascii")
NO_IDENTITY: Final = _FIELD + b": \r\n"
"""The line where nobody is told of."""


class _Held(Struct, frozen=True):
    """What is told of a principal, by a line, to whom and until when."""

    principal: Principal
    line: bytes
    audience: str
    used_until_s: float


class Identities:
    """Those of one worker. Mutable: the lines that it holds, who waits for which, what control is asked.

    `ask` asks control, under the digest of a token, for that which is made of it; `desk` and `soon` are as for `Waits`.
    """

    def __init__(self, clock: Clock, desk: Desk, *, ask: Callable[[bytes, Secret], object], soon: Soon) -> None:
        self._waits: Waits[bytes, bool] = Waits(
            clock, desk, ask=self._put, judge=_judge, soon=soon, patience_s=PATIENCE_S
        )
        self._ask = ask
        self._asked: dict[bytes, tuple[Principal, Secret]] = {}
        self._young: dict[str, _Held] = {}
        self._old: dict[str, _Held] = {}
        self._key_set: bytes | None = None
        self.ask_again = self._waits.ask_again
        self.cancel_all = self._waits.cancel_all

    def __len__(self) -> int:
        return len(self._waits)

    def enter(self, world: World) -> None:
        """Let go of all when other keys are published than before: what a key signed that is gone verifies no more."""
        key_set = world.snapshot.issuers[0].jwks
        if key_set != self._key_set:
            self._key_set = key_set
            self._young, self._old = {}, {}

    def require(self, request: Request, principal: Principal, world: World, now_s: float) -> None:
        """See to it that `line` has one for this principal, where its request is to have one.

        Raises:
            IdentityUnwritten: control has to be asked for it.
        """
        rules = _rules_of(world)
        if rules is None or self._find(principal, rules, now_s) is not None:
            return
        token = find_token(request, world.credentials)
        digest = sha256(token).digest()
        self._asked[digest] = principal, Secret(token.decode("ascii"))
        raise IdentityUnwritten(digest, "who calls cannot be told to the upstream now, as it has to be")

    def line(self, principal: Principal, world: World, now_s: float) -> bytes:
        """The header line that tells of a principal. Raises IdentityUnwritten: it should, and there is none."""
        rules = _rules_of(world)
        if rules is None:
            return NO_IDENTITY
        held = self._find(principal, rules, now_s)
        if held is None:
            raise IdentityUnwritten(b"", "who calls cannot be told to the upstream now, as it has to be")
        return held.line

    def join(self, request: Request, refusal: IdentityUnwritten) -> Answer:
        """Let a request wait; what is returned answers it, once its body is read.

        Raises:
            IdentityUnwritten: it cannot be had now, or too many wait.
        """
        try:
            if self._waits.is_reopened(request):
                raise refusal  # What it is that control is asked for again, if it is, stays known.
            return self._waits.join(request, refusal, refusal.digest)
        finally:
            del refusal  # Its traceback names this frame: what names one another, only the collector can take away.

    def answered(self, digest: bytes, identity: Identity | None) -> None:
        """Control's answer; None: there is none."""
        asked = self._asked.pop(digest, None)
        if asked is not None and identity is not None:
            principal, line = asked[0], b"%b: %b\r\n" % (_FIELD, identity.token.reveal().encode("ascii"))
            if len(self._young) >= HELD_MAX // 2:
                self._old, self._young = self._young, {}
            self._young[principal.token_id] = _Held(principal, line, identity.audience, identity.used_until_s)
        self._waits.answered(digest, identity is not None)

    def check_deadlines(self, now_s: float) -> None:
        """Refuse those that have waited for long enough. Called a few times a second."""
        self._waits.check_deadlines(now_s)
        for digest in [one for one in self._asked if not self._waits.is_asked(one)]:
            del self._asked[digest]

    def _put(self, digest: bytes) -> None:
        asked = self._asked.get(digest)
        if asked is not None:
            self._ask(digest, asked[1])

    def _find(self, principal: Principal, rules: IdentityRules, now_s: float) -> _Held | None:
        found = self._young.get(principal.token_id) or self._old.get(principal.token_id)
        if found is None or now_s >= found.used_until_s or found.audience != rules.audience:
            return None
        return found if found.principal is principal or found.principal == principal else None


def _rules_of(world: World) -> IdentityRules | None:
    decisions = world.snapshot.decisions
    return None if decisions is None else decisions.identity


def _judge(refusal: JotgateError, outcome: bool | None, asks: int) -> JotgateError | None:
    """What is said where there is still none: it may have ended while the answer was on its way."""
    if isinstance(refusal, IdentityUnwritten) and outcome and asks < _ASKS_MAX:
        return None
    return refusal
