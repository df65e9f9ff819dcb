"""One step of a chain under way: asks the upstreams of its model, again where that may help, until one has answered.

Each try goes through the standing of its upstream as any call does: its breaker, its bounds and its queue hold for it.
What was used is counted over all tries, also of those that nobody heard the end of.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final

from msgspec import Raw

from jotgate.core.attempts import Condition, choose, rest_s
from jotgate.core.audit import StepUse
from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.chain_answers import ANSWER_BYTES_MAX, EventReader, read_answer, read_error
from jotgate.core.chain_asks import Ask, StepBody, write_step
from jotgate.core.chain_blame import blamed
from jotgate.core.chain_bounds import StepBudget
from jotgate.core.chain_retries import CHANCE_BYTES, REPEATABLE, delay_s
from jotgate.core.chains import ChainStep
from jotgate.core.stream_counts import said_by
from jotgate.errors import (
    ChainCallRefused,
    ChainStepFailed,
    ChainStepHeld,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTorn,
)
from jotgate.gateway.headers import content_type, has_coding
from jotgate.gateway.relay import EVENT_STREAM
from jotgate.gateway.standing import Standing, Waiting
from jotgate.gateway.world import Place
from jotgate.ports import UpstreamExchange
from jotgate.upstreams.chain_means import Means, StepOwner
from jotgate.upstreams.chain_tally import StepTally

_TROUBLE: Final = 429
_LEAVE_ALONE: Final = frozenset({429, 503, 529})
_OWN_CREDENTIAL: Final = frozenset({401, 403, 407})
_MAY_BE_THE_CALLERS: Final = frozenset({400, 422})
_REFUSAL_BYTES_MAX: Final = 65_536
_POST: Final = b"POST"
_TARGET: Final = b"/v1/chat/completions"


class StepRun:
    """Mutable: the try that is under way, what was tried, what was used, and until when the step may take.

    `answers` is the caller's ask if this is the last step, `budget` what it may use (None: as much as it likes).
    """

    def __init__(
        self, step: ChainStep, means: Means, owner: StepOwner, answers: Ask | None, budget: StepBudget | None
    ) -> None:
        self.step: Final = step
        self.repaired = False
        self._means = means
        self._owner: StepOwner | None = owner
        self._answers = answers
        self._messages: Sequence[Raw] = ()
        self._begun_s = means.clock.monotonic_s()
        self._until_s = self._begun_s + step.timeout_s
        self._exchange: UpstreamExchange | None = None
        self._place: Place | None = None  # where the try is; None: it waits
        self._standing: Standing | None = None
        self._tenant: str | None = None
        self._index = 0
        self._tried = 0
        self._tries = 0
        self._again_s = 0.0
        self._turn_by_s = 0.0
        self._paused_s = 0.0
        self._body = StepBody(b"", 0, streams=False)
        self._reader: EventReader | None = None
        self._refusal: ResponseHead | None = None  # the answer that comes is one
        self._pieces: list[bytes] = []
        self._size = 0
        self._passed = False
        self._tally = StepTally(budget)

    # What its chain asks of it

    def ask(self, messages: Sequence[Raw]) -> None:
        """Ask for an answer to these messages."""
        self._messages = messages
        self._go()

    def repair(self, messages: Sequence[Raw]) -> None:
        """Ask again, as the answer was not such as it must be."""
        self.repaired = self._tally.repairs = True
        self._tried = 0
        self.ask(messages)

    @property
    def may_repair(self) -> bool:
        """Whether it may be asked again: once, within what is reserved."""
        return not self.repaired and self._tally.affords(repair=True)

    @property
    def written(self) -> bool:
        """Whether an upstream may have seen any of it."""
        return self._tally.seen or (self._exchange is not None and self._exchange.written)

    def use(self) -> StepUse | None:
        """What it has used; None: no upstream has seen it."""
        tally, attempt = self._tally, self.step.attempts[self._index]
        if not tally.seen:
            return None
        return StepUse(
            step=self.step.name,
            upstream=attempt.upstream,
            model=attempt.model,
            tokens_in=tally.tokens_in,
            tokens_out=tally.tokens_out,
            cost=tally.cost,
            duration_us=int((self._means.clock.monotonic_s() - self._begun_s) * 1e6),
            tries=self._tries,
            estimated=tally.estimated,
            repaired=self.repaired,
        )

    def end(self) -> None:
        """Give it up; nothing more is heard of it."""
        self._owner = None
        self._drop(lost=True)

    def pause(self) -> None:
        """The caller has not read what it was told: let the upstream wait, and the step's time stand still."""
        if self._passed and not self._paused_s:
            self._paused_s = self._means.clock.monotonic_s()
            if self._exchange is not None:
                self._exchange.pause()

    def resume(self) -> None:
        """Go on."""
        if self._paused_s:
            self._until_s += self._means.clock.monotonic_s() - self._paused_s
            self._paused_s = 0.0
            if self._exchange is not None:
                self._exchange.resume()

    def check(self, now_s: float) -> None:
        """See what time it is. Called a few times a second."""
        if self._owner is None or self._paused_s:
            return
        if now_s > self._until_s:
            self._time_out()
        elif self._again_s and now_s >= self._again_s:
            self._again_s = 0.0
            self._go()
        elif self._place is None and self._exchange is not None:
            if now_s > self._turn_by_s:
                self._drop(lost=False)
                self._fail(ChainStepHeld(self._words("no upstream of its model had room in time"), retry_after_s=1))
            elif "free" in self._conditions(now_s):
                self._drop(lost=False)
                self._go()

    # What the upstream says (ports.UpstreamEvents)

    def received(self, head: ResponseHead | None, piece: bytes, complete: bool) -> None:
        """Take what came."""
        if self._owner is None or (head is not None and not self._meet(head, piece, complete=complete)):
            return
        if self._refusal is not None:
            self._hear_refusal(self._refusal, piece, complete=complete)
            return
        if self._reader is not None:
            self._read_events(self._reader, piece, complete)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > ANSWER_BYTES_MAX:
            self._break_off("its upstream answered with more than a step may")
        elif complete:
            self._read_whole()

    def failed(self, error: UpstreamError, written: bool) -> None:
        """The upstream could not be reached, or broke off."""
        if self._owner is None:
            return
        if self._refusal is not None:
            self._take_refusal(self._refusal, b"", complete=True)
            return
        self._note_failure(counts=error.counts)
        self._exchange = None
        self._drop(lost=written)
        self._try_again(error)

    def _meet(self, head: ResponseHead, piece: bytes, *, complete: bool) -> bool:
        """See what kind of answer begins; False where it is none."""
        standing = self._standing
        if standing is not None and (head.status >= _TROUBLE or not standing.clear):
            standing.answered(head, self.step.attempts[self._index].model, self._means.clock)
        if head.status in _MAY_BE_THE_CALLERS:
            self._refusal = head
            return True
        if not 200 <= head.status < 300:
            self._take_refusal(head, piece if complete else b"", complete=complete)
            return False
        if has_coding(head.headers):
            self._break_off("its upstream answered with a coding that nobody asked for")
            return False
        if self._body.streams and content_type(head.headers) == EVENT_STREAM:
            self._reader = EventReader()
        return True

    def _hear_refusal(self, head: ResponseHead, piece: bytes, *, complete: bool) -> None:
        """Wait for all that an upstream says of why it refuses, as it may be the caller's fault."""
        self._pieces.append(piece)
        self._size += len(piece)
        if complete or self._size > _REFUSAL_BYTES_MAX:
            self._take_refusal(head, b"".join(self._pieces), complete=complete)

    def _take_refusal(self, head: ResponseHead, body: bytes, *, complete: bool) -> None:
        """End a try that was refused."""
        why = read_error(body)  # For the log.
        name = self._blamed(body) if self._refusal is not None else ""
        if complete:
            self._exchange = None
        self._drop(lost=False)
        if name:
            self._fail(ChainCallRefused(f"the upstream of step '{self.step.name}' does not take '{name}'", param=name))
            return
        if head.status in _OWN_CREDENTIAL:
            self._fail(
                UpstreamRefused(
                    self._words("its upstream refused jotgate's own credential"),
                    hint="Its operator must mend the upstream's credential",
                )
            )
            return
        now_s = self._means.clock.now_s()
        asked_s = max((rest_s(value, now_s) for name, value in head.headers if name == b"retry-after"), default=0.0)
        words = self._words(f"its upstream answered {head.status}")
        if head.status in _LEAVE_ALONE:
            self._try_again(ChainStepHeld(words, retry_after_s=max(1, ceil(asked_s)), debug=why), asked_s)
        elif head.status in REPEATABLE:
            self._try_again(ChainStepFailed(words, debug=why))
        else:
            self._fail(ChainStepFailed(words, debug=why))

    def _blamed(self, body: bytes) -> str:
        """Which member that the caller sent is at fault; empty: none that is known of."""
        passed_on = () if self._answers is None else self._answers.passed_on
        ours = 3 if self.repaired else 1  # its prompt; what is to be repaired, and why
        return blamed(body, passed_on, len(self._messages) - ours)

    def _read_whole(self) -> None:
        place, owner = self._place, self._owner
        answer = b"".join(self._pieces)
        said = read_answer(answer)
        if said is None or place is None or owner is None:
            self._break_off("its upstream answered with what is no chat completion")
            return
        self._tally.count(self.step.attempts[self._index], self._body, said.usage, said_by(answer) or self._size)
        self._exchange = None
        self._drop(lost=False)
        owner.said(said, place)

    def _read_events(self, reader: EventReader, piece: bytes, complete: bool) -> None:
        told = reader.take(piece)
        self._size += told.size
        owner = self._owner
        if told.choices and owner is not None:
            self._passed = True
            owner.told(told.choices)
        if self._owner is None:
            return  # Whoever was told has ended it.
        if told.fault or (complete and not self._passed):
            self._break_off("its upstream's stream is none of chat completions")
        elif complete and not reader.whole:
            self._break_off("its upstream's stream ended in the midst")
        elif complete and owner is not None:
            self._tally.count(self.step.attempts[self._index], self._body, reader.usage, self._size)
            self._exchange = None
            self._drop(lost=False)
            owner.streamed()

    # Its tries

    def _go(self) -> None:
        """Ask the upstream whose turn it is; wait where it has no room."""
        attempts, now_s = self.step.attempts, self._means.clock.monotonic_s()
        turn = self._means.turns.take(self.step.alias) if attempts[0].weight else 0
        index = choose(attempts, self._conditions(now_s), self._tried, turn)
        if index is None:
            self._tries += 1
            why = "every upstream of its model has failed several times in a row, or has no room"
            self._try_again(ChainStepHeld(self._words(why), retry_after_s=self._patience_s(now_s)))
            return
        place = self._means.places[attempts[index].upstream]
        if place.standing.has_room(self._means.tenant):
            self._send(index, place)
        else:
            self._wait(now_s)

    def _send(self, index: int, place: Place) -> None:
        means, step = self._means, self.step
        model = step.attempts[index].model
        self._index = index
        self._tries += 1
        self._body = write_step(step, self._messages, model, place.upstream.ceiling_field, answers=self._answers)
        self._reader, self._refusal, self._pieces, self._size = None, None, [], 0
        outbound = Outbound("chat.completions", _POST, _TARGET, means.lines, self._body.text, self._body.streams)
        self._place, self._standing = place, place.standing
        self._tenant = place.standing.enter(means.tenant, means.clock)
        self._exchange = place.port.begin(outbound, self)

    def _wait(self, now_s: float) -> None:
        """Wait at all upstreams that are full: whichever has room first is asked."""
        waiting = Waiting(self._means.tenant, self._take_turn)
        patience_s = 0.0
        found = zip(self.step.attempts, self._conditions(now_s), strict=True)
        names = {one.upstream for one, condition in found if condition == "full"}
        for place in map(self._means.places.__getitem__, names):
            place.standing.wait(waiting)
            patience_s = max(patience_s, place.upstream.bounds.queue_s)
        self._exchange = waiting
        self._turn_by_s = self._turn_by_s or now_s + patience_s

    def _take_turn(self) -> None:
        self._exchange = None
        if self._owner is not None:
            self._go()

    def _try_again(self, error: UpstreamError, asked_s: float = 0.0) -> None:
        """Try once more, at another upstream at once, else in a while; fail where no try is left, or no time.

        `asked_s` is for how long the upstream has asked to be left alone.
        """
        means = self._means
        now_s = means.clock.monotonic_s()
        if self._tries >= means.retries.tries or self._passed or not self._tally.affords(repair=self.repaired):
            self._fail(error)
            return
        self._tried |= 1 << self._index
        conditions = self._conditions(now_s)
        if any(one == "free" and not self._tried >> index & 1 for index, one in enumerate(conditions)):
            self._go()
            return
        self._tried = 0
        chance = means.entropy.random_bytes(CHANCE_BYTES)
        self._again_s = now_s + delay_s(means.retries, self._tries, chance, asked_s)
        if self._again_s > self._until_s:
            self._fail(error)

    def _break_off(self, why: str) -> None:
        """What the upstream answers is of no use."""
        self._note_failure()
        self._drop(lost=True)
        self._try_again(UpstreamTorn(self._words(why)))

    def _time_out(self) -> None:
        if self._refusal is not None:
            self._take_refusal(self._refusal, b"".join(self._pieces), complete=False)
            return
        self._note_failure()
        self._drop(lost=True)
        self._fail(UpstreamTimeout(self._words(f"it took longer than its {self.step.timeout_s:g} s")))

    def _fail(self, error: UpstreamError) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.failed(error)

    def _drop(self, *, lost: bool) -> None:
        """Leave the upstream. `lost`: what it did, if it saw the step, nobody will hear."""
        exchange, self._exchange = self._exchange, None
        standing, self._standing = self._standing, None
        tenant, self._tenant = self._tenant, None
        refused, self._refusal = self._refusal, None
        if lost and refused is None and standing is not None and (exchange is None or exchange.written):
            self._tally.count_lost(self.step.attempts[self._index], self._body, self._reader, self._size)
        self._place = None
        self._again_s = 0.0
        if exchange is not None:
            exchange.abort()
        if standing is not None:
            standing.leave(tenant)

    # How its upstreams stand

    def _note_failure(self, *, counts: bool = True) -> None:
        if counts and self._standing is not None:
            self._standing.failed(self._means.clock.monotonic_s())

    def _conditions(self, now_s: float) -> list[Condition]:
        places, tenant = self._means.places, self._means.tenant
        return [places[one.upstream].standing.condition(one.model, tenant, now_s) for one in self.step.attempts]

    def _patience_s(self, now_s: float) -> int:
        places = self._means.places
        return min(places[one.upstream].standing.patience_s(now_s) for one in self.step.attempts)

    def _words(self, what: str) -> str:
        return f"step '{self.step.name}': {what}"
