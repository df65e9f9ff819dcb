"""What one step of a chain has used, over all its tries, also those of whose end nobody heard."""

from typing import Final

from jotgate.core.chain_answers import EventReader
from jotgate.core.chain_asks import StepBody
from jotgate.core.prices import cost_nd, for_call
from jotgate.core.routes import Attempt
from jotgate.core.sse import UNKNOWN, Usage

_UNDER_WAY_SHARE: Final = 8


class StepTally:
    """Mutable: the sums. `seen`: an upstream has seen the step. `cost` None: the price of a try is not known."""

    __slots__ = ("cost", "estimated", "seen", "tokens_in", "tokens_out")

    def __init__(self) -> None:
        self.tokens_in = self.tokens_out = 0
        self.cost: int | None = 0
        self.seen = self.estimated = False

    def count(self, attempt: Attempt, body: StepBody, told: Usage, most_out: int) -> None:
        """Count one try; `most_out` is taken where the upstream did not say how much it made."""
        tokens_in = len(body.text) if told.prompt_tokens is None else told.prompt_tokens
        tokens_out = min(most_out, body.ceiling) if told.completion_tokens is None else told.completion_tokens
        self.estimated |= told.prompt_tokens is None or told.completion_tokens is None
        price = attempt.price
        if price is None or self.cost is None:
            self.cost = None
        else:
            self.cost += cost_nd(for_call(price, body.text), tokens_in, tokens_out)
        self.seen = True
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def count_lost(self, attempt: Attempt, body: StepBody, reader: EventReader | None, size: int) -> None:
        """Count a try that its upstream may have done; of a stream `size` bytes came, which `reader` has read."""
        if reader is None:
            self.count(attempt, body, UNKNOWN, body.ceiling)
        else:
            self.count(attempt, body, reader.usage, min(body.ceiling, size + body.ceiling // _UNDER_WAY_SHARE))
