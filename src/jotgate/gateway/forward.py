"""Sends an admitted call to the attempts of its route, in order.

A POST that an upstream has seen is sent to another one only when the first answered 429 or 503, or when it never
reached it: anything else might do, and bill, the same work twice.
"""

from jotgate.core.calls import Outbound, write_body
from jotgate.gateway.headers import lines_to_upstream
from jotgate.gateway.relay import Relay
from jotgate.gateway.world import World


def send_attempt(relay: Relay, world: World) -> None:
    """Send the call to the upstream of its current attempt."""
    call = relay.call
    attempt = call.route.attempts[relay.attempt]
    place = world.places[attempt.upstream]
    request = call.request
    outbound = Outbound(
        operation=call.operation.name,
        method=request.method,
        target=request.path,
        lines=lines_to_upstream(request.headers, request.request_id),
        body=write_body(call.body, attempt.model),
        stream=call.body.stream,
    )
    relay.attempted(place, place.port.begin(outbound, relay))


def send_next_attempt(relay: Relay, world: World) -> None:
    """Go on to the next attempt of the route; the relay has made sure that there is one."""
    relay.attempt += 1
    send_attempt(relay, world)
