"""What is said on one connection of the Realtime API: checked event by event, metered response by response.

A response that a client asks for is reserved before the upstream hears of it, with a ceiling that the upstream is told.
One that the upstream begins by itself (it has heard the end of what somebody said) is reserved when it begins, and
cancelled where nothing is left. What was used is what the upstream says when a response is done; where it says nothing,
what was asked and said is counted so that no token is missed.
"""

from collections.abc import Callable, Hashable
from typing import Final

from msgspec import structs

from jotgate.core.audit import Charge
from jotgate.core.prices import cost_nd
from jotgate.core.quotas import Price
from jotgate.core.realtime import (
    CREATE,
    REFRESH,
    ClientEvent,
    ServerEvent,
    for_upstream,
    output_wanted,
    read_client,
    read_server,
    token_of,
    write_cancel,
    write_error,
    write_expiring,
    write_refreshed,
)
from jotgate.core.socket_counts import SocketCount
from jotgate.core.sse import Usage
from jotgate.errors import (
    JotgateError,
    ModelNotPermitted,
    PriceUnknown,
    QuotaExceeded,
    QuotaUnavailable,
    RequestMalformed,
    UnitsUnresolved,
)
from jotgate.gateway.admission import Call, expect, permit
from jotgate.gateway.reserving import Quotas
from jotgate.gateway.socket_relay import SocketRelay
from jotgate.gateway.socket_renewal import renew
from jotgate.gateway.transcriptions import Transcriptions
from jotgate.gateway.world import World
from jotgate.ports import Clock
from jotgate.services.meter_reservations import Need, Reservation, Used

PATIENCE_S: Final = 2.5
"""So long a response waits for units of its quotas."""


class RealtimeTalk:
    """One connection's (socket_relay.Talk). Mutable: responses that are reserved, what waits for units, the sums.

    Several may be under way, as the API has it; each is settled when one is done, whichever that is.
    `listen` is as for `MeteredCalls`, `world` is the newest one. `renewed` is told when the connection goes on with
    another token. `quotas` is where a call reserves that quotas may meet by now, and raises where nobody can say.
    """

    def __init__(
        self,
        relay: SocketRelay,
        clock: Clock,
        quotas: Callable[[Call], Quotas | None],
        *,
        listen: Callable[[Hashable, Callable[[], None]], None],
        world: Callable[[], World],
        renewed: Callable[[SocketRelay], object],
    ) -> None:
        self._relay = relay
        self._clock = clock
        self._quotas = quotas
        self._listen = listen
        self._world = world
        self._renewed = renewed
        self._reservations: list[Reservation] = []
        self._running = 0  # responses that have begun
        self._lacks = 0  # those of them that wait for units
        self._unpaid: list[tuple[int, int]] = []  # those of them that are done
        self._count = SocketCount(relay.call.route.metering)
        self._transcriptions = Transcriptions(relay.call.route.metering, self._reserve_beside, self._settle)
        self._wanted: ClientEvent | None = None
        self._verdict: JotgateError | None = None
        self._waits_s = 0.0
        self._held: list[tuple[bytes, bool]] = []
        self._input = 0
        self._sum = Charge()

    # socket_relay.Talk

    def client_said(self, message: bytes, *, text: bool) -> None:
        """Pass an event on, unless it may not be, or has to wait."""
        if self._wanted is not None:
            self._held.append((message, text))
            return
        event_id = ""
        try:
            if not text:
                raise RequestMalformed("a message is binary, and events of this API are text")
            event = self._read(message)
            event_id = event.event_id
            self._take(event)
        except JotgateError as refusal:
            if isinstance(refusal, QuotaUnavailable) or (isinstance(refusal, QuotaExceeded) and not _passes(refusal)):
                self._relay.end(refusal.with_traceback(None))
            else:
                self._relay.say(self._error(refusal, event_id))

    def upstream_said(self, message: bytes, *, text: bool) -> None:
        """Pass an event on, and see what it says of responses."""
        event = read_server(message) if text else None
        if event is not None:
            self._hear(event)
        self._relay.say(message, text=text)

    def refused(self, error: JotgateError) -> bytes:
        """An event of this API."""
        return self._error(error, "")

    def expiring(self, expires_at_s: float, left_s: float) -> bytes:
        """An event of ours."""
        return write_expiring(expires_at_s, left_s)

    def look(self, now_s: float) -> None:
        """Wait for units no longer than that is of use."""
        if self._verdict is not None and now_s > self._waits_s + PATIENCE_S:
            self._give_up(self._verdict)

    def _wait(self, unknown: UnitsUnresolved) -> None:
        """Units, or an answer, are asked for."""
        if self._verdict is None:
            self._waits_s = self._clock.monotonic_s()
        self._verdict = unknown.verdict
        self._listen(unknown.key, self._try_again)

    def _try_again(self) -> None:
        if self._verdict is None:
            return  # It has been given up, or is over.
        try:
            while self._lacks:
                self._reserve(None)
                self._lacks -= 1
            self._transcriptions.catch_up()
            if self._wanted is not None:
                self._reserve(self._wanted)
        except UnitsUnresolved as unknown:
            self._wait(unknown)
        except JotgateError as refusal:
            self._give_up(refusal.with_traceback(None))
        else:
            self._go_on()

    def ended(self) -> None:
        """Charge what was reserved for responses whose end nobody heard of."""
        self._wanted = None
        self._lacks = len(self._unpaid)
        self._transcriptions.end()
        if not self._lacks and not self._transcriptions.unpaid:
            self._verdict = None
        while self._reservations:
            one = self._reservations.pop(0)
            self._settle(one, one.input_tokens, one.output_tokens)

    # What a client says

    def _take(self, event: ClientEvent) -> None:
        if event.type == REFRESH:
            self._refresh(event)
        elif event.type == CREATE:
            self._create(event)
        else:
            self._relay.say_upstream(self._write(event, None))
            self._count.ask(event)

    def _create(self, event: ClientEvent) -> None:
        self._write(event, None)  # What may not be asked for reserves nothing.
        try:
            self._reserve(event)
        except UnitsUnresolved as unknown:
            self._wanted = event
            self._wait(unknown)
            self._relay.hold(held=True)
        else:
            self._send(event)

    def _send(self, event: ClientEvent) -> None:
        ceiling = self._reservations[-1].output_tokens if self._reservations else None
        self._relay.say_upstream(self._write(event, ceiling))
        self._count.ask(event)

    def _name_of(self, model: str) -> str:
        """The upstream's own name of a model that the caller may use there."""
        relay = self._relay
        call = relay.call
        attempt = call.route.attempts[relay.attempt]
        if model in (call.route.alias, attempt.model):
            return attempt.model
        route = call.world.routes.get(model)
        here = None if route is None else next((o for o in route.attempts if o.upstream == attempt.upstream), None)
        if here is None:
            raise ModelNotPermitted("the connection is for one model, and this one is not had from the same upstream")
        permit(call.request, call.principal, call.operation, call.world, self._clock.now_s(), model=model)
        return here.model

    def _refresh(self, event: ClientEvent) -> None:
        """Go on with another token of the same subject."""
        relay, now_s = self._relay, self._clock.now_s()
        call = relay.call
        world = self._world().of_request(call.request)
        request, principal = renew(call, world, token_of(event), now_s)
        if call.route.expects is not None:
            expect(request, principal, call.route.expects, world, now_s)
        permit(request, principal, call.operation, world, now_s, model=call.route.alias)
        relay.go_on_with(request, structs.replace(call, principal=principal))
        self._renewed(relay)
        relay.say(write_refreshed(principal.expires_at_s))

    # Responses

    def _reserve(self, event: ClientEvent | None) -> None:
        """Reserve a response; `event` None: one that the upstream has begun. Raises as `Metering.reserve`."""
        ceiling = self._relay.call.route.metering.output_ceiling
        wanted = None if event is None else self._wanted_by(event)
        reservation = self._reserve_tokens(self._input, min(ceiling, wanted or ceiling), placed=True)
        if reservation is not None:
            self._reservations.append(reservation)

    def _reserve_beside(self, tokens_in: int, tokens_out: int) -> Reservation | None:
        """Reserve what is no response; that has a place among the calls that run at once, and this needs no other."""
        return self._reserve_tokens(tokens_in, tokens_out, placed=False)

    def _reserve_tokens(self, tokens_in: int, tokens_out: int, *, placed: bool) -> Reservation | None:
        call = self._relay.call
        quotas = self._quotas(call)
        if quotas is None:
            return None
        need = Need(
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cost=self._cost(tokens_in, tokens_out),
            output_least=min(1, tokens_out),
            cost_least=self._cost(tokens_in, min(1, tokens_out)),
            placed=placed,
        )
        now_s = self._clock.monotonic_s()
        reservation = quotas.metering.reserve(call.principal, call.route.alias, call.operation.name, need, now_s)
        if reservation is not None and self._price is None and _has_cost(reservation):
            reservation.void()
            raise PriceUnknown("a limit in money meets this call, and what its model costs is not known")
        return reservation

    def _hear(self, event: ServerEvent) -> None:
        """See what an event of the upstream says of responses."""
        if event.type == "response.created":
            self._begun()
        elif event.type == "response.done":
            self._done(event)
        elif event.type == "error":
            self._declined()
        else:
            self._count.say(event)
            self._hear_transcription(event)

    def _hear_transcription(self, event: ServerEvent) -> None:
        """See what it says of what somebody has said, where the upstream writes that down."""
        try:
            told = self._transcriptions.hear(event)
        except UnitsUnresolved as unknown:
            self._wait(unknown)
        except JotgateError as refusal:
            self._give_up(refusal.with_traceback(None))
        else:
            self._tell_usage(told)

    def _begun(self) -> None:
        """A response has begun upstream."""
        self._running += 1
        if self._running <= self._known:
            return
        try:
            self._reserve(None)
        except UnitsUnresolved as unknown:
            self._lacks += 1
            self._wait(unknown)
        except JotgateError as refusal:
            self._give_up(refusal.with_traceback(None))

    @property
    def _known(self) -> int:
        """How many responses that are not done are reserved, or wait to be."""
        return len(self._reservations) + self._lacks - len(self._unpaid)

    def _declined(self) -> None:
        """The upstream refuses something: a response that has not begun will not. If it does, it is reserved anew."""
        if self._reservations and self._known > self._running:
            self._settle(self._reservations.pop(), 0, 0)

    def _done(self, event: ServerEvent) -> None:
        """A response is done upstream."""
        self._running = max(0, self._running - 1)
        reservation = self._reservations.pop(0) if self._reservations else None
        most = self._relay.call.route.metering.output_ceiling if reservation is None else reservation.output_tokens
        counted = self._count.end(event, most)
        used = event.used
        tokens_in, tokens_out = used or (self._input + counted[0], counted[1])
        self._input = tokens_in + tokens_out  # What was said is input of the next one.
        self._tell_usage(used)
        if reservation is not None:
            self._settle(reservation, tokens_in, tokens_out)
        elif self._lacks > len(self._unpaid):
            self._unpaid.append((tokens_in, tokens_out))  # It was done before there was anything to reserve it of.

    def _tell_usage(self, used: tuple[int, int] | None) -> None:
        """Add to what the upstream has told of the connection."""
        if used is not None:
            told = self._relay.usage
            self._relay.usage = Usage((told.prompt_tokens or 0) + used[0], (told.completion_tokens or 0) + used[1])

    def _settle(self, reservation: Reservation, tokens_in: int, tokens_out: int) -> None:
        cost = self._cost(tokens_in, tokens_out)
        overrun = reservation.settle(Used(input_tokens=tokens_in, output_tokens=tokens_out, cost=cost))
        before = self._sum
        self._sum = Charge(
            before.tokens_in + tokens_in, before.tokens_out + tokens_out, before.cost + cost, before.overrun + overrun
        )
        self._relay.charged = self._sum

    @property
    def _price(self) -> Price | None:
        return self._relay.call.route.attempts[self._relay.attempt].price

    def _cost(self, tokens_in: int, tokens_out: int) -> int:
        price = self._price
        return 0 if price is None else cost_nd(price, tokens_in, tokens_out)

    def _go_on(self) -> None:
        """What waited is reserved."""
        event, self._wanted, self._verdict = self._wanted, None, None
        while self._unpaid and self._reservations:
            self._settle(self._reservations.pop(0), *self._unpaid.pop(0))
        if event is None:
            return
        self._send(event)
        self._hear_on()

    def _hear_on(self) -> None:
        """Take what the client has said while something waited, and hear more of it."""
        self._relay.hold(held=False)
        held, self._held = self._held, []
        for message, text in held:
            self.client_said(message, text=text)

    def _give_up(self, refusal: JotgateError) -> None:
        """Nothing is left for a response, or nobody can say. What others have for a while alone ends nothing."""
        wanted, self._wanted, self._verdict = self._wanted, None, None
        if wanted is not None and not self._lacks and _passes(refusal):
            self._relay.say(self._error(refusal, wanted.event_id))
            self._hear_on()
            return
        self._lacks = 0
        self._transcriptions.give_up()
        self._cancel()
        self._relay.end(refusal)

    # How events of this API are written

    def _read(self, message: bytes) -> ClientEvent:
        return read_client(message)

    def _write(self, event: ClientEvent, ceiling: int | None) -> bytes:
        return for_upstream(event, self._name_of, ceiling)

    def _wanted_by(self, event: ClientEvent) -> int | None:
        return output_wanted(event)

    def _error(self, error: JotgateError, event_id: str) -> bytes:
        return write_error(error, event_id)

    def _cancel(self) -> None:
        """Have the response that is under way ended."""
        self._relay.say_upstream(write_cancel())


def _has_cost(reservation: Reservation) -> bool:
    return any(one.quota.limit.unit == "cost" for one in reservation.meters)


def _passes(refusal: JotgateError) -> bool:
    """Whether it is for want of a place among the calls that run at once, which one that ends makes free."""
    return isinstance(refusal, QuotaExceeded) and refusal.standing.unit == "concurrent"
