"""What one step of a chain has used, over all its tries, also those of whose end nobody heard."""

from typing import Final

from jotgate.core.chain_answers import EventReader
from jotgate.core.chain_asks import StepBody
from jotgate.core.chain_bounds import StepBudget
from jotgate.core.prices import cost_nd, for_call
from jotgate.core.routes import Attempt
from jotgate.core.sse import UNKNOWN, Usage

_UNDER_WAY_SHARE: Final = 8


class StepTally:
    """Mutable: the sums. `seen`: an upstream has seen the step. `cost` None: the price of a try is not known.

    `budget` is what the step may use; None: as much as it likes. `repairs`: it is asked to repair its output now.
    """

    __slots__ = ("_budget", "cost", "estimated", "repairs", "seen", "tokens_in", "tokens_out")

    def __init__(self, budget: StepBudget | None) -> None:
        self._budget = budget
        self.tokens_in = self.tokens_out = 0
        self.cost: int | None = 0
        self.seen = self.estimated = self.repairs = False

    def affords(self, *, repair: bool) -> bool:
        """Whether the step may be asked once more."""
        budget = self._budget
        return budget is None or budget.affords(self.tokens_in, self.tokens_out, repair=repair)

    def count(self, attempt: Attempt, body: StepBody, told: Usage, most_out: int) -> None:
        """Count one try; `most_out` is taken where the upstream did not say how much it made.

        Where it did not say how much it was sent, that is the bytes, but no more than was reserved for them.
        """
        tokens_in, tokens_out = told.prompt_tokens, told.completion_tokens
        self.estimated |= tokens_in is None or tokens_out is None
        if tokens_in is None:
            sent = len(body.text)
            tokens_in = sent if self._budget is None else min(sent, self._budget.asked_in(repair=self.repairs))
        if tokens_out is None:
            tokens_out = min(most_out, body.ceiling)
        price = attempt.price
        if price is None or self.cost is None:
            self.cost = None
        else:
            self.cost += cost_nd(for_call(price, body.text), tokens_in, tokens_out)
        self.seen = True
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def count_lost(self, attempt: Attempt, body: StepBody, reader: EventReader | None, size: int) -> None:
        """Count a try that its upstream may have done; of a stream `size` bytes came, which `reader` has read.

        Of one that has said nothing no more is taken than was reserved for its beginning.
        """
        most = body.ceiling if reader is None else size + body.ceiling // _UNDER_WAY_SHARE
        if self._budget is not None and (reader is None or not size):
            most = min(most, self._budget.ask_out)
        self.count(attempt, body, UNKNOWN if reader is None else reader.usage, most)
