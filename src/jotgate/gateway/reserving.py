"""Reserves what a call may use of its quotas before it is sent, and knows what that costs at each upstream."""

from math import ceil, inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.audit import StepUse
from jotgate.core.calls import Allowance, Body
from jotgate.core.chain_answers import total_cost, total_usage
from jotgate.core.metered_bodies import Measure, measure, metered_body, usual_ceiling
from jotgate.core.prices import cost_nd, dearest, for_call
from jotgate.core.quotas import Price
from jotgate.core.routes import MeteringRules, Upstream
from jotgate.errors import JotgateError, PriceUnknown, QuotaExceeded, QuotaStanding, QuotaUnavailable
from jotgate.gateway.admission import Call
from jotgate.gateway.waits import Soon
from jotgate.services.meter import Metering
from jotgate.services.meter_reservations import Need, Reservation

OUT_OF_REACH: Final = "what is left of a quota of this call cannot be known now, and what it had reserved is used"

_UNBOUND: Final = 1 << 62
_OF_OUTPUT: Final = frozenset({"output_tokens", "total_tokens", "cost"})


class Quotas(Struct, frozen=True):
    """Where calls reserve. `soon` does a thing in a coming turn of the event loop."""

    metering: Metering
    soon: Soon


class Reserved(Struct, frozen=True):
    """What a call has reserved, where, and by what it is charged.

    `prices` are those of the route's attempts, `price` is not below any of them; None: nobody knows one.
    """

    quotas: Quotas
    reservation: Reservation
    measure: Measure
    prices: tuple[Price | None, ...]
    price: Price | None

    def body_for(self, call: Call, upstream: Upstream) -> Body:
        """The body as this upstream is sent it: within what is reserved, where one can say so beforehand."""
        measured = self.measure
        each = None
        if measured.streams:
            each = self._end_of_stream(call, upstream)
        elif measured.answers:
            hidden = call.route.metering.hidden_output
            each = max(1, (self.reservation.output_tokens - hidden) // measured.answers)
        body = metered_body(call.body, call.operation.name, each, upstream.ceiling_field)
        return body if upstream.kind != "chain" else replace(body, allowance=self._allowance(call.route.metering))

    def _allowance(self, rules: MeteringRules) -> Allowance:
        """What a chain may use: it asks no step again that would use more."""
        reserved = self.reservation
        return Allowance(
            reserved.input_tokens, reserved.output_tokens, rules.passes, rules.hidden_input, rules.hidden_output
        )

    def _end_of_stream(self, call: Call, upstream: Upstream) -> int | None:
        """A ceiling behind the point where a stream is cut at the latest, if it is below what binds it anyhow.

        Its caller never meets it: it keeps the upstream from going on when nobody reads. None: there is none.
        """
        measured, rules = self.measure, call.route.metering
        if rules.quota_spent != "cut" or rules.quota_outage == "open":
            return None
        end = self.reservation.yet(upstream.total_timeout_s) + rules.output_step
        bound = usual_ceiling(call.operation.name, rules) if measured.each is None else measured.each
        return end if end < bound else None

    def cost_at(self, attempt: int, input_tokens: int, output_tokens: int) -> int:
        """What so many tokens cost at the upstream of an attempt, in nanodollars; nothing where nobody knows."""
        return _cost(self.prices[attempt], input_tokens, output_tokens)

    def cost_of_step(self, output_tokens: int) -> int:
        """What so many more tokens of output may cost beside what is reserved by now, in nanodollars."""
        reserved = self.reservation
        grown = _cost(self.price, self.measure.input_tokens, reserved.output_tokens + output_tokens)
        return max(0, grown - reserved.cost)


def reserve_call(call: Call, quotas: Quotas, now_s: float) -> Reserved | None:
    """Reserve what a call may use at most, a stream its first step; None: nothing limits it.

    `now_s` is monotonic.

    Raises:
        QuotaExceeded, QuotaUnavailable, UnitsUnresolved: see `Metering.reserve`.
        PriceUnknown: a limit in money meets it, and nobody knows what it costs.
        RequestMalformed: what bounds it cannot be read.
    """
    rules = call.route.metering
    measured = measure(call.body, call.operation.name, rules)
    prices = tuple(
        one.price if one.price is None else for_call(one.price, call.body.compact) for one in call.route.attempts
    )
    price = dearest(prices)
    output = measured.output_tokens
    if measured.streams:
        output = min(rules.output_step, _UNBOUND if output is None else output)
    assert output is not None, "what is no stream has a ceiling"
    least = min(output, measured.answers) + rules.hidden_output
    output += rules.hidden_output
    need = Need(
        input_tokens=measured.input_tokens,
        output_tokens=output,
        cost=_cost(price, measured.input_tokens, output),
        output_least=least,
        cost_least=_cost(price, measured.input_tokens, least),
    )
    reservation = quotas.metering.reserve(call.principal, call.route.alias, call.operation.name, need, now_s)
    if reservation is None:
        return None
    if price is None and any(one.quota.limit.unit == "cost" for one in reservation.meters):
        reservation.void()
        raise PriceUnknown("a limit in money meets this call, and what its model costs is not known")
    return Reserved(quotas, reservation, measured, prices, price)


def used_by_steps(steps: tuple[StepUse, ...]) -> tuple[int, int, int]:
    """What the steps of a chain have used: tokens of input and of output, and nanodollars as far as they are known."""
    usage = total_usage(steps)
    return usage.prompt_tokens or 0, usage.completion_tokens or 0, total_cost(steps) or 0


def refusal_of_step(standings: tuple[QuotaStanding, ...]) -> JotgateError:
    """The refusal of a further step, by the quota of which least is left."""
    found = min(
        (one for one in standings if one.unit in _OF_OUTPUT), key=lambda one: one.limit - one.spent, default=None
    )
    if found is None:
        return QuotaUnavailable(OUT_OF_REACH)
    retry_after_s = 0 if found.resets_s == inf else max(1, ceil(found.resets_s))
    message = f"the quota '{found.name}' has nothing left for more of this answer"
    others = tuple(one for one in standings if one is not found)
    return QuotaExceeded(found, message, retry_after_s=retry_after_s, others=others)


def _cost(price: Price | None, input_tokens: int, output_tokens: int) -> int:
    return 0 if price is None else cost_nd(price, input_tokens, output_tokens)
