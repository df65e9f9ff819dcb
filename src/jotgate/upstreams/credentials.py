"""The tokens that a worker sends to upstreams: got from control, kept until they end, given to calls that need one.

A worker gets no token itself: the keys and secrets by which they are got are control's alone. However many calls need
the token of one session, control is asked once; while it gets a new one in time, the one of before goes on being used.
A token that its upstream has refused is never given again.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Final

from jotgate.core.routes import Upstream
from jotgate.core.upstream_tokens import NO_REFUSAL, HeldToken, TokenFound, TokenLacking
from jotgate.ports import Clock

SESSIONS_MAX: Final = 16_384
"""Of so many sessions a worker holds the token; that of the one which was used longest ago goes first."""
PATIENCE_S: Final = 20.0
"""For so long a call waits for control."""
_REFUSED_MAX: Final = 4

Ask = Callable[[str, str, bytes], object]
"""Asks control for the token of an upstream and a session; the digest is that of one which was refused, or empty."""
Then = Callable[[TokenFound | TokenLacking], None]
Cancel = Callable[[], None]
"""Wants the token no more: nothing is called back."""
Soon = Callable[[Callable[[], None]], object]
_Key = tuple[str, str]

_SILENT: Final = TokenLacking("unknown", "nobody said in time what the upstream's token is", 1)


class _Need:
    """One call that waits for a token. Mutable: whether it still does."""

    __slots__ = ("deadline_s", "live", "then")

    def __init__(self, then: Then, deadline_s: float) -> None:
        self.then = then
        self.deadline_s = deadline_s
        self.live = True

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self.live = False

    def tell(self, outcome: TokenFound | TokenLacking) -> None:
        """Call back, once."""
        if self.live:
            self.live = False
            self.then(outcome)


class _Session:
    """What is known of one session. Mutable: its token, those that were refused, who waits, what control is asked."""

    __slots__ = ("asked", "asked_without", "found", "needs", "refused", "renew_from_s")

    def __init__(self) -> None:
        self.found: TokenFound | None = None
        self.renew_from_s = 0.0
        self.refused: deque[bytes] = deque(maxlen=_REFUSED_MAX)
        self.needs: list[_Need] = []
        self.asked = False
        self.asked_without = NO_REFUSAL

    def refuse(self, digest: bytes) -> None:
        """The upstream takes this token for nothing."""
        if digest not in self.refused:
            self.refused.append(digest)
        if self.found is not None and self.found.digest == digest:
            self.found = None

    @property
    def last_refused(self) -> bytes:
        """The digest that control is to hear of."""
        return self.refused[-1] if self.refused else NO_REFUSAL


Tell = Callable[[str, str, bytes], object]
"""Tells control which token of an upstream and a session was refused, by its digest."""


def ask_nobody(upstream: str, session: str, refused: bytes) -> None:
    """Stands for control where there is no way to it yet."""


class UpstreamTokens:
    """What a worker holds of upstreams' tokens. Mutable: that, the calls that wait for one, and who is asked.

    It outlives worlds. `ask` puts a question to control, if there is one; `soon` does one thing in a coming turn of
    the loop.
    """

    def __init__(self, clock: Clock, ask: Ask, soon: Soon, sessions_max: int = SESSIONS_MAX) -> None:
        self._clock = clock
        self._ask_control = ask
        self._tell_control: Tell = ask_nobody
        self._soon = soon
        self._sessions_max = sessions_max
        self._sessions: OrderedDict[_Key, _Session] = OrderedDict()
        self._marks: dict[str, str] = {}
        self._told: deque[tuple[_Need, TokenFound | TokenLacking]] = deque()

    def __len__(self) -> int:
        return len(self._sessions)

    def ask_by(self, ask: Ask, tell: Tell) -> None:
        """Ask control, and tell it, in this way from now on."""
        self._ask_control = ask
        self._tell_control = tell

    @property
    def waiting(self) -> int:
        """How many calls wait for a token."""
        return sum(need.live for session in self._sessions.values() for need in session.needs)

    def need(self, upstream: str, session: str, then: Then, refused: bytes = NO_REFUSAL) -> Cancel | None:
        """Have `then` called with the token to send, or with why there is none.

        It is called before this returns if the token is here, and None is returned; else in a coming turn of the loop,
        unless what is returned is called first. `refused` is the digest of a token with which the upstream refused
        this call (401, or a body that means it); a call says so once, and takes the second refusal for the answer
        (`refuse` keeps that token from others).
        """
        known = self._session((upstream, session))
        if refused:
            known.refuse(refused)
        now_s = self._clock.now_s()
        found = known.found
        if found is not None and now_s < found.good_until_s:
            if now_s >= known.renew_from_s and not known.asked:
                self._ask((upstream, session), known)
            then(found)
            return None
        need = _Need(then, self._clock.monotonic_s() + PATIENCE_S)
        known.needs.append(need)
        if not known.asked:
            self._ask((upstream, session), known)
        return need.cancel

    def refuse(self, upstream: str, session: str, digest: bytes) -> None:
        """Never give this token again: the upstream refused it, and whoever sent it asks for no other."""
        self._session((upstream, session)).refuse(digest)
        self._tell_control(upstream, session, digest)  # Other workers may have it.

    def answered(
        self, upstream: str, session: str, held: HeldToken | None, lacking: TokenLacking | None = None
    ) -> None:
        """Control's answer."""
        known = self._sessions.get((upstream, session))
        if known is None:
            return
        known.asked = False
        if held is None:
            self._lack(known, lacking or _SILENT)
        elif held.digest in known.refused:
            if known.asked_without == held.digest:
                self._lack(known, TokenLacking("refused", "the upstream refuses the token that there is"))
            else:  # It was asked before the refusal was known.
                self._ask((upstream, session), known)
        else:
            known.found = TokenFound(held.token, held.digest, held.good_until_s)
            known.renew_from_s = held.renew_from_s
            self._tell(known, known.found)

    def cleared(self, upstream: str, session: str | None) -> None:
        """Control has forgotten the token of a session; None: those of all sessions of this upstream."""
        for key, known in self._sessions.items():
            if key[0] == upstream and session in (None, key[1]):
                known.found = None

    def follow(self, upstreams: Iterable[Upstream]) -> None:
        """A new world has these: where tokens are got in another way than before, those of before are not used."""
        marks = {one.name: one.token_mark for one in upstreams if one.exchanged}
        for name, mark in self._marks.items():
            if marks.get(name) != mark:
                self.cleared(name, None)
        self._marks = marks

    def ask_again(self) -> None:
        """Put all open questions to another control process."""
        for key, known in self._sessions.items():
            if known.asked:
                self._ask(key, known)

    def check_deadlines(self) -> None:
        """Tell those that have waited for long enough. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for known in self._sessions.values():
            if not known.needs:
                continue
            late = [need for need in known.needs if need.live and need.deadline_s <= now_s]
            known.needs = [need for need in known.needs if need.live and need.deadline_s > now_s]
            for need in late:
                need.tell(_SILENT)

    def _session(self, key: _Key) -> _Session:
        known = self._sessions.get(key)
        if known is not None:
            self._sessions.move_to_end(key)
            return known
        if len(self._sessions) >= self._sessions_max:
            self._drop_oldest()
        known = self._sessions[key] = _Session()
        return known

    def _drop_oldest(self) -> None:
        """Make room. Those for which calls wait stay."""
        oldest = next((key for key, known in self._sessions.items() if not known.needs), None)
        if oldest is not None:
            del self._sessions[oldest]

    def _ask(self, key: _Key, known: _Session) -> None:
        known.asked = True
        known.asked_without = known.last_refused
        self._ask_control(*key, known.asked_without)

    def _lack(self, known: _Session, lacking: TokenLacking) -> None:
        self._tell(known, lacking)

    def _tell(self, known: _Session, outcome: TokenFound | TokenLacking) -> None:
        needs, known.needs = known.needs, []
        for need in needs:
            self._told.append((need, outcome))
            self._soon(self._tell_next)

    def _tell_next(self) -> None:
        need, outcome = self._told.popleft()
        need.tell(outcome)
