"""What a call that has ended is charged: what its upstream said, or what cannot be less."""

from msgspec import Struct

from jotgate.core.audit import Charge, StepUse
from jotgate.core.routes import MeteringRules
from jotgate.core.sse import Usage
from jotgate.core.stream_counts import TOKEN_BYTES, PlainCount, StreamCount
from jotgate.gateway.reserving import Reserved, used_by_steps
from jotgate.services.meter_reservations import Used


class Heard(Struct, frozen=True, kw_only=True, gc=False):
    """What was heard of a call's upstreams, as far as its charge depends on it.

    The answer of `attempt` is no refusal if `made`, and `whole` if it came to its end. `lost`: so many upstreams may
    have done all of it, and nobody heard of it. `count` is of a stream; any other answer has said `said` bytes, None:
    nobody can read how many. Of a stream that is not whole `margin` tokens more are charged as far as they are
    reserved, and `after` whether they are or not: they may have been under way.
    """

    attempt: int
    made: bool
    whole: bool
    lost: int
    usage: Usage
    steps: tuple[StepUse, ...]
    count: StreamCount | PlainCount | None
    said: int | None
    margin: int
    after: int


def charge(reserved: Reserved, heard: Heard, rules: MeteringRules) -> Charge:
    """Settle with what was used."""
    reservation = reserved.reservation
    tokens_in, tokens_out, cost = used_by_steps(heard.steps) if heard.steps else _use(reserved, heard)
    forgiven = 0
    if rules.quota_spent == "soft":
        most_in, most_out = reservation.input_tokens, reservation.output_tokens
        forgiven = max(0, tokens_in - most_in) + max(0, tokens_out - most_out)
        tokens_in, tokens_out, cost = min(tokens_in, most_in), min(tokens_out, most_out), min(cost, reservation.cost)
    overrun = reservation.settle(Used(input_tokens=tokens_in, output_tokens=tokens_out, cost=cost))
    return Charge(tokens_in, tokens_out, cost, forgiven or overrun, forgiven=forgiven > 0)


def _use(reserved: Reserved, heard: Heard) -> tuple[int, int, int]:
    """The tokens and nanodollars of the answer, and of what may have been made unheard."""
    tokens_in = tokens_out = cost = 0
    if heard.made:
        tokens_in, tokens_out = _answer(reserved, heard)
        cost = reserved.cost_at(heard.attempt, tokens_in, tokens_out)
    if heard.lost:
        most_in, most_out = reserved.measure.input_tokens, reserved.reservation.output_tokens
        tokens_in += heard.lost * most_in
        tokens_out += heard.lost * most_out
        cost += heard.lost * reserved.cost_at(heard.attempt, most_in, most_out)
    return tokens_in, tokens_out, cost


def _answer(reserved: Reserved, heard: Heard) -> tuple[int, int]:
    """The tokens of input and output that the answer has cost."""
    measured, count, told = reserved.measure, heard.count, heard.usage.completion_tokens
    ceiling = measured.output_tokens
    tokens_in = heard.usage.prompt_tokens
    if tokens_in is None:
        tokens_in = measured.input_tokens
    if not measured.answers:
        return tokens_in, told or 0
    most = reserved.reservation.output_tokens
    if count is None:
        if told is None:
            told = most if heard.said is None or not heard.whole else _counted(heard.said, most)
    elif not (heard.whole or count.final):
        # No usage that was told before the end is that of the whole answer.
        under_way = heard.after if ceiling is None else min(heard.after, max(0, ceiling - count.seen))
        told = max(count.seen + under_way, min(count.most + heard.margin, most))
    elif told is None:
        told = _counted(count.most if heard.said is None else heard.said, ceiling)
        told = max(told, count.seen) if isinstance(count, StreamCount) else told
    return tokens_in, told


def _counted(size: int, ceiling: int | None) -> int:
    """What so many bytes are charged: a token for each up to the ceiling, and beyond as many as they mostly are."""
    return size if ceiling is None else max(min(size, ceiling), size // TOKEN_BYTES)
