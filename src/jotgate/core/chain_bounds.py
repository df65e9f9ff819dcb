"""How much a chain may use at most: what is reserved for it where a quota meets the call, and what of that is a step's.

Each step is reserved for once. Beside that one more ask is reserved, as large as the largest: a repair, or a further
try where nobody heard what became of the first. What steps did not use of theirs serves for more of these. Where
neither is left, a step is not asked again, so that no call uses more than it has reserved.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from jotgate.core.calls import Allowance
from jotgate.core.chain_prompts import INSTRUCTIONS, REQUEST, SCHEMA, places_of
from jotgate.core.chain_schemas import as_json
from jotgate.core.chains import Chain, ChainStep

_OTHER_TOKENS: Final = 2
"""What one model says is at most so many times as many tokens to another, whose prompt it stands in."""
_REPAIR_BYTES: Final = 1_024
"""What a model is told of its output that has to be repaired is hardly ever longer."""

_encode: Final = msgspec.json.Encoder().encode


class Bound(Struct, frozen=True):
    """What asks use at most: `passes` times the caller's body, so many tokens of input beside it, and of output."""

    passes: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def bounds_of(chain: Chain) -> tuple[Bound, ...]:
    """The bounds of the steps of a chain, each asked once."""
    return tuple(_bound(step, chain.steps[:number]) for number, step in enumerate(chain.steps))


def _bound(step: ChainStep, before: Sequence[ChainStep]) -> Bound:
    places = places_of(step.prompt)
    schema = 0 if step.schema is None else len(_encode(as_json(step.schema)))
    schemas = places.count(SCHEMA) + (step.asks_for == "json_schema")
    said = sum(one.max_tokens * _times(one.name, places) for one in before)
    return Bound(
        passes=1 + places.count(REQUEST) + places.count(INSTRUCTIONS),
        input_tokens=len(step.prompt.encode()) + schema * schemas + said * _OTHER_TOKENS,
        output_tokens=step.max_tokens,
    )


def _times(name: str, places: Sequence[str]) -> int:
    """How often an output stands in a prompt at most: as a whole, and by members, of which no two share anything."""
    members = Counter(place.split(".")[1] for place in places if place.startswith(f"{name}."))
    return places.count(name) + max(members.values(), default=0)


def spare_of(chain: Chain, output_step: int) -> Bound:
    """The bound of one more ask of any step; of nothing where no step is asked twice.

    `output_step` is what a stream reserves at a time: of one that says nothing no more is charged.
    """
    if not chain.repairs and chain.retries.tries == 1:
        return Bound()
    bounds = bounds_of(chain)
    last = chain.steps[-1]
    answer = min(last.max_tokens, output_step) if last.streamed else last.max_tokens
    inputs = [
        one.input_tokens + (repair_input(step) if chain.repairs and step.schema is not None else 0)
        for step, one in zip(chain.steps, bounds, strict=True)
    ]
    return Bound(
        passes=max(one.passes for one in bounds),
        input_tokens=max(inputs),
        output_tokens=max([answer, *(one.output_tokens for one in bounds[:-1])]),
    )


def repair_input(step: ChainStep) -> int:
    """How many more tokens of input an ask has that repairs an output: that, and what is wrong with it."""
    return step.max_tokens * _OTHER_TOKENS + _REPAIR_BYTES


class StepBudget(Struct, frozen=True):
    """What one step may use of what its call has reserved, in tokens.

    One ask uses at most `ask_in`, to repair an output `repair_in` more, and `ask_out`; all asks of the step together
    `most_in` and `most_out`.
    """

    ask_in: int
    repair_in: int
    ask_out: int
    most_in: int
    most_out: int

    def affords(self, tokens_in: int, tokens_out: int, *, repair: bool) -> bool:
        """Whether the step may be asked once more when it has used so much."""
        return tokens_in + self.asked_in(repair=repair) <= self.most_in and tokens_out + self.ask_out <= self.most_out

    def asked_in(self, *, repair: bool) -> int:
        """How many tokens of input one ask has at most."""
        return self.ask_in + (self.repair_in if repair else 0)


def budget_of(chain: Chain, allowance: Allowance, number: int, used: tuple[int, int]) -> StepBudget:
    """The budget of a step by its number; `used` is what the steps before it have used, of input and of output."""
    bounds = bounds_of(chain)
    body = (allowance.input_tokens - allowance.hidden_input) // allowance.passes
    inputs = [one.passes * body + one.input_tokens for one in bounds]
    answer = max(1, allowance.output_tokens - allowance.hidden_output)
    outputs = [*(one.output_tokens for one in bounds[:-1]), answer]
    return StepBudget(
        ask_in=inputs[number],
        repair_in=repair_input(chain.steps[number]),
        ask_out=outputs[number],
        most_in=allowance.input_tokens - used[0] - sum(inputs[number + 1 :]),
        most_out=allowance.output_tokens - used[1] - sum(outputs[number + 1 :]),
    )
