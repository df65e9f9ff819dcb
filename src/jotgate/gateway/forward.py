"""Sends an admitted call to the upstreams of its route, one after another, until one of them answers.

A POST that an upstream has seen is sent to another one only when the first answered 429 or 503, or when it never
reached it, unless the route says `retry_unsafe`: anything else might do, and bill, the same work twice. A call that no
upstream has room for waits its turn; one that none can take is refused.
"""

from functools import partial
from typing import Final

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.attempts import Condition, choose
from jotgate.errors import Unavailable, UpstreamBusy, UpstreamSuspended
from jotgate.gateway.admission import Call
from jotgate.gateway.metered import MeteredRelay
from jotgate.gateway.relay import Relay
from jotgate.gateway.standing import Waiting
from jotgate.gateway.world import Place
from jotgate.ports import Clock

_SOON: Final = "Try again in a moment"
_LATER: Final = "Try again after the time in Retry-After"


def send_call(relay: Relay, clock: Clock) -> None:
    """Send a call to the first upstream that can take it, let it wait for one, or refuse it."""
    call = relay.call
    attempts = call.route.attempts
    if not (relay.tried or attempts[0].weight):
        place = call.world.places[attempts[0].upstream]
        standing = place.standing
        if standing.clear and standing.running < standing.bound and standing.tenants is None:
            _send(relay, 0, place, clock)
            return
    _take_turn(relay, clock)


def find_attempt(relay: Relay, clock: Clock) -> int | None:
    """The attempt of its route that the call makes next; None when no further one can be made."""
    route, world = relay.call.route, relay.call.world
    if relay.tried.bit_count() >= route.attempts_max:
        return None
    conditions = _conditions(relay, clock.monotonic_s())
    turn = world.turns.take(route.alias) if route.attempts[0].weight else 0
    return choose(route.attempts, conditions, relay.tried, turn)


def send_attempt(relay: Relay, index: int, clock: Clock) -> None:
    """Make this attempt, in the place of the last one; where its upstream is full, wait for room at any that is."""
    call = relay.call
    place = call.world.places[call.route.attempts[index].upstream]
    if isinstance(relay, MeteredRelay) and not relay.may_send(place):
        return
    standing = place.standing
    exchange, left, tenant = relay.exchange, relay.standing, relay.tenant
    relay.exchange = relay.standing = relay.tenant = None
    if standing.has_room(_tenant(call)):
        _send(relay, index, place, clock)
    else:
        _wait(relay, clock)
    # Only now: the room that this makes may be taken at once.
    if exchange is not None:
        exchange.abort()
    if left is not None:
        left.leave(tenant)


def look_again(relay: Relay, clock: Clock) -> None:
    """Send a call that waits where room has come without a call's end: a rest is over, or an upstream is well again.

    Called a few times a second for each call that waits.
    """
    conditions = _conditions(relay, clock.monotonic_s())
    if any(found == "free" and not relay.tried >> index & 1 for index, found in enumerate(conditions)):
        _take_turn(relay, clock)


def _take_turn(relay: Relay, clock: Clock) -> None:
    """Send a call that has waited: for which upstream is found anew."""
    index = find_attempt(relay, clock)
    if index is None:
        relay.refuse(_why_none(relay, clock))
    else:
        send_attempt(relay, index, clock)


def _conditions(relay: Relay, now_s: float) -> list[Condition]:
    call = relay.call
    places = call.world.places
    tenant = _tenant(call)
    return [places[one.upstream].standing.condition(one.model, tenant, now_s) for one in call.route.attempts]


def _tenant(call: Call) -> str:
    """Whose call it is; a token that names no tenant is of the one that everybody is in (core.accounts)."""
    return call.principal.tenant or DEFAULT_TENANT


def _wait(relay: Relay, clock: Clock) -> None:
    """Wait at all upstreams that are full and may still be asked: whichever has room first takes the call."""
    call, now_s = relay.call, clock.monotonic_s()
    full = {
        one.upstream: call.world.places[one.upstream]
        for index, (one, found) in enumerate(zip(call.route.attempts, _conditions(relay, now_s), strict=True))
        if found == "full" and not relay.tried >> index & 1
    }
    waiting = Waiting(_tenant(call), partial(_take_turn, relay, clock))
    for place in full.values():
        place.standing.wait(waiting)
    relay.wait(waiting, now_s + max(place.upstream.bounds.queue_s for place in full.values()))


def _send(relay: Relay, index: int, place: Place, clock: Clock) -> None:
    call = relay.call
    outbound = relay.outbound(index)
    relay.attempt = index
    relay.tried |= 1 << index
    standing = place.standing
    if standing.clear and standing.tenants is None:
        standing.running += 1
    else:
        relay.tenant = standing.enter(_tenant(call), clock)
    relay.attempted(place, place.port.begin(outbound, relay))


def _why_none(relay: Relay, clock: Clock) -> Unavailable:
    now_s = clock.monotonic_s()
    places = relay.call.world.places
    found = [places[one.upstream].standing for one in relay.call.route.attempts]
    if "crowded" in _conditions(relay, now_s):
        return UpstreamBusy("every upstream of this model is at its bound, and so is the queue before it", hint=_SOON)
    refusal = UpstreamSuspended("every upstream of this model has failed several times in a row", hint=_LATER)
    refusal.retry_after_s = min(standing.patience_s(now_s) for standing in found)
    return refusal
