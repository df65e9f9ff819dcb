"""Some workers that spend the same quotas, on one ledger, over a bus that loses, doubles and delays what is said.

Workers die and stand still, the store is out of reach, windows end. Whoever is given a reservation sends its call at
once or later, and what it may use then counts as used from that moment on, until it is known to be less.
"""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Final

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.meters import meter_of
from jotgate.core.principals import Principal
from jotgate.core.quotas import Limit, Meter, Quota, Spender
from jotgate.errors import QuotaExceeded, QuotaUnavailable, UnitsUnresolved
from jotgate.services.meter import Metering
from jotgate.services.meter_chains import Chain
from jotgate.services.meter_reservations import Need, Reservation, Used
from jotgate.stores.memory import MemoryStore

TICK_S: Final = 0.25
PATIENCE_S: Final = 2.5
CALM_S: Final = 4.0
"""Who is heard of at least so often loses no lease."""
MODEL: Final = "m"
REQUESTS: Final = meter_of(Quota("requests", Limit("requests", 8, "minute")), ("ann",))
TOKENS: Final = meter_of(Quota("tokens", Limit("total_tokens", 40, "minute"), ("token",)), ("t",))
BUDGET: Final = meter_of(Quota("budget", Limit("total_tokens", 120), ("model",)), (MODEL,))
SLOTS: Final = meter_of(Quota("slots", Limit("concurrent", 4, "now"), ("tenant",)), ("default",))
METERS: Final = (REQUESTS, TOKENS, BUDGET, SLOTS)
SLOTLESS: Final = "slotless"
"""The model of calls that meet all of them but the slots: they are reserved and charged the short way."""
ANN: Final = Principal(
    issuer="https://gate.example",
    subject="ann",
    client_id="",
    token_id="t",
    kid="k",
    scopes=frozenset({"ai"}),
    models=None,
    expires_at_s=float("inf"),
    not_before_s=0.0,
)

_names: Final = count()


class Time:
    """The time of the whole world, which stands still until it is moved. Mutable."""

    def __init__(self) -> None:
        self.s = 1_800_000_000.0

    def now_s(self) -> float:
        """Seconds since the epoch, by the store's clock."""
        return self.s


class Apart:
    """The clock of one machine (ports.Clock), which runs as the store's and shows another time."""

    def __init__(self, time: Time, ahead_s: float) -> None:
        self._time = time
        self._ahead_s = ahead_s

    def now_s(self) -> float:
        return self._time.s + self._ahead_s

    def monotonic_s(self) -> float:
        return self._time.s - 1_700_000_000.0 + self._ahead_s


class Chance:
    """Names that nobody else has (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return next(_names).to_bytes(count, "big")


class Call:
    """A call that was let through. Mutable: whether it was sent, and how much it may have used in which minutes."""

    def __init__(self, worker: "Worker", reservation: Reservation) -> None:
        self.worker = worker
        self.reservation = reservation
        self.sent = False
        self.ended = False
        self.slotless = False
        self.parts: list[tuple[int, int]] = []
        reservation.on_slot_lost(self._lose_slot)

    @property
    def tokens(self) -> int:
        """How many it may have used."""
        return sum(tokens for _, tokens in self.parts)

    def _lose_slot(self) -> None:
        self.slotless = True


class Worker:
    """One worker and its way to control. Mutable: what is on the way, who waits, what runs."""

    def __init__(self, time: Time, ahead_s: float) -> None:
        self.clock = Apart(time, ahead_s)
        self.turns: deque[Callable[[], None]] = deque()
        self.sent: deque[tuple[int, Sequence[LeaseAsk]]] = deque()
        self.told: deque[tuple[int, Sequence[LeaseAnswer] | None]] = deque()
        self.waiting: list[tuple[Need, float, str]] = []
        self.calls: list[Call] = []
        self.refused: list[QuotaExceeded] = []
        self.over = 0
        self.linked = True
        self.paused = False
        self.unheard_s = 0.0
        self.late = False  # it has not looked at its clock since it went on
        self.meters: Sequence[Meter] = METERS
        self.metering = Metering(
            self.clock, Chance(), ask_plan=self._plan, ask_leases=self._lease, told=self._hear, soon=self.turns.append
        )
        self.metering.enter(metered=True, capacity=8)

    def begin(self, need: Need, until_s: float | None = None, model: str = MODEL) -> Call | None:
        """Let a call reserve; without units it waits and tries again when it is told."""
        now_s = self.clock.monotonic_s()
        until_s = now_s + PATIENCE_S if until_s is None else until_s
        try:
            reservation = self.metering.reserve(ANN, model, "chat.completions", need, now_s)
        except UnitsUnresolved:
            if now_s < until_s:
                self.waiting.append((need, until_s, model))
            return None
        except QuotaExceeded as refusal:
            self.refused.append(refusal)
            return None
        except QuotaUnavailable:
            return None
        assert reservation is not None
        call = Call(self, reservation)
        self.calls.append(call)
        return call

    def run(self) -> None:
        """Do what the loop has to do."""
        while self.turns:
            self.turns.popleft()()

    def tick(self) -> None:
        """Let the worker look at its clock."""
        self.metering.tick()
        self.late = False
        now_s = self.clock.monotonic_s()
        self.waiting = [one for one in self.waiting if one[1] > now_s]
        self.run()

    def cut(self) -> None:
        """The connection to control ends, and what is on it is lost."""
        self.sent.clear()
        self.told.clear()
        self.linked = False
        self.metering.lost_link()

    def join(self) -> None:
        """There is control again."""
        self.linked = True
        self.metering.ask_again()
        self.run()

    def _plan(self, number: int, spender: Spender, model: str, operation: str) -> None:
        assert spender.subject == "ann"
        slotted = model != SLOTLESS
        meters = tuple(one for one in self.meters if slotted or one.quota.limit.unit != "concurrent")
        self.turns.append(lambda: self.metering.plan_answered(number, meters))

    def _lease(self, number: int, asks: list[LeaseAsk]) -> None:
        if self.linked:
            self.sent.append((number, asks))

    def _hear(self, key: Hashable) -> None:
        self.turns.append(self._try_again)

    def _try_again(self) -> None:
        waiting, self.waiting = self.waiting, []
        for need, until_s, model in waiting:
            self.begin(need, until_s, model)


def parts_of(reservation: Reservation, chain: Chain) -> int:
    """How much of a reservation is of a chain, newest or older."""
    newest = reservation.part_of(chain) if any(one is chain for one in reservation.chains) else 0
    return newest + sum(amount for _, old, amount in reservation._older if old is chain)


class World:
    """All of it. Mutable: what was used of each account, as the upstream saw it.

    `requests` and `tokens` are by minute. `calm`: no lease was lost. `whole`: nobody reserves but by `Worker.begin`.
    """

    def __init__(self, workers: int) -> None:
        self.time = Time()
        self.store = MemoryStore(self.time.now_s)
        self.workers = [Worker(self.time, 1_000.0 * number) for number in range(workers)]
        self.running: list[Call] = []
        self.requests: Counter[int] = Counter()
        self.tokens: Counter[int] = Counter()
        self.down = False
        self.calm = True
        self.whole = False

    def let_time_pass(self, ticks: int, *, deliver: bool = True) -> None:
        """Let so many ticks pass on all machines; the bus carries what is said, if it does."""
        for _ in range(ticks):
            self.time.s += TICK_S
            for worker in self.workers:
                if not worker.paused:
                    worker.tick()
                if deliver:
                    self.carry(worker)
                heard = deliver and worker.linked and not worker.paused and not self.down
                worker.unheard_s = 0.0 if heard else worker.unheard_s + TICK_S
                self.calm = self.calm and worker.unheard_s <= CALM_S
            self.end_slotless()
            self.check()

    def carry(self, worker: Worker) -> None:
        """Carry all that is on the way of a worker, and what comes of it."""
        while worker.linked and not worker.paused and (worker.sent or worker.told):
            if worker.sent:
                self.ask(worker)
            if worker.told:
                self.answer(worker)

    def ask(self, worker: Worker, *, times: int = 1, lost: bool = False) -> None:
        """Have control carry out the next message of a worker, or fail to."""
        number, asks = worker.sent.popleft()
        if self.down:
            worker.told.append((number, None))
            return
        *_, answers = [self.store.turn(asks) for _ in range(times)]
        worker.told.append((number, None if lost else answers))

    def answer(self, worker: Worker, *, times: int = 1) -> None:
        """Have the next answer reach its worker."""
        number, answers = worker.told.popleft()
        for _ in range(times):
            worker.metering.leases_answered(number, answers)
        worker.run()

    def send(self, call: Call) -> None:
        """Send a call, if it may be sent; from now on its upstream may use all that it has reserved."""
        if call.ended or call.sent:
            return
        if not call.reservation.live(call.worker.clock.monotonic_s()):
            self.void(call)
            return
        self._check_in_time(call.reservation)
        call.sent = True
        self.requests[self.minute] += 1
        self.running.append(call)
        self._use(call, call.reservation.input_tokens + call.reservation.output_tokens)

    def extend(self, call: Call, step: int) -> str:
        """Let a call that was sent reserve a step more."""
        became = call.reservation.extend(step, 0)
        call.worker.run()
        if became == "granted":
            self._use(call, step)
        return became

    def _use(self, call: Call, tokens: int) -> None:
        call.parts.append((self.minute, tokens))
        self.tokens[self.minute] += tokens

    @property
    def minute(self) -> int:
        """The one of now, by the store's clock."""
        return int(self.time.s // 60)

    def void(self, call: Call) -> None:
        """A call is not sent at all."""
        call.ended = True
        call.reservation.void()
        call.reservation.void()
        call.worker.run()

    def settle(self, call: Call, tokens: int) -> None:
        """A call has used so many tokens."""
        if not call.sent:
            self.void(call)
        if call.ended:
            return
        call.ended = True
        self.running.remove(call)
        used = Used(input_tokens=1, output_tokens=tokens - 1)
        over = call.reservation.settle(used)
        assert call.reservation.settle(used) == 0, "nothing is charged twice"
        call.reservation.void()
        assert over == max(0, tokens - call.tokens)
        call.worker.over += over
        for minute, reserved in call.parts:
            self.tokens[minute] -= reserved - min(tokens, reserved)
            tokens -= min(tokens, reserved)
        call.worker.run()

    def end_slotless(self) -> None:
        """End the calls that were told to end."""
        for call in [one for one in self.running if one.slotless]:
            self.settle(call, call.tokens)

    def kill(self, number: int) -> None:
        """A worker dies with all that it has, and another one takes its place. Its upstreams may use all they may."""
        self.calm = False
        dead = self.workers[number]
        for call in dead.calls:
            if call in self.running:
                call.ended = True
                self.running.remove(call)
        self.workers[number] = Worker(self.time, self.time.s % 7)

    @property
    def over(self) -> int:
        """What calls used beyond what they had reserved, as far as anybody lives who knows of it."""
        return sum(one.over for one in self.workers)

    def check(self) -> None:
        """Nothing is overspent: what upstreams may have used is within the limits, but for what was never reserved."""
        for meter, used in ((REQUESTS, self.requests), (TOKENS, self.tokens)):
            assert max(used.values(), default=0) <= meter.quota.limit.amount, f"{meter.quota.name}: {used}"
        assert self.tokens.total() <= BUDGET.quota.limit.amount, f"{self.tokens.total()} tokens"
        placed = [
            one
            for one in self.running
            if one.reservation.plan.slotted and not (one.worker.paused or one.worker.late or one.slotless)
        ]
        assert len(placed) <= SLOTS.quota.limit.amount, f"{len(placed)} calls at once"
        for balance, meter in zip(self.store.balances(METERS), METERS, strict=True):
            assert balance.posted - balance.debt + balance.leased <= meter.quota.limit.amount, balance
        self._check_ledger()
        for worker in self.workers if self.whole else ():
            self._check_held(worker)

    def _check_in_time(self, reservation: Reservation) -> None:
        """No lease is spent after its time, by the clock of the store."""
        for chain in reservation.chains:
            lease = self.store._rows.leases.get(chain.lease_id)
            if lease is not None:
                assert self.time.s * 1_000 <= lease.spend_until_ms, f"{lease.lease_id} is spent after its time"

    def _check_ledger(self) -> None:
        """What an account has leased are its open leases, each once."""
        opened: Counter[tuple[str, int]] = Counter()
        for lease in self.store._rows.leases.values():
            opened[lease.place] += lease.units if lease.state == "open" else 0
        for place, account in self.store._rows.ledger.items():
            assert account.leased == opened[place], f"{account.leased} leased, {opened[place]} in open leases"

    def _check_held(self, worker: Worker) -> None:
        """What chains of leases hold for calls that run is what these have reserved; what is leased, the ledger has."""
        reserved: Counter[int] = Counter()
        for call in worker.calls:
            found = call.reservation
            if not call.ended:
                for chain in {id(one): one for one in (*found.chains, *(old for _, old, _ in found._older))}.values():
                    reserved[id(chain)] += parts_of(found, chain)
        for holding in worker.metering._active:
            for chain in (holding.chain, *holding.older):
                assert chain.running == reserved[id(chain)], f"{holding.meter.quota.name}: {chain.running} run"
                lease = None if chain.asked or chain.lost else self.store._rows.leases.get(chain.lease_id)
                if lease is not None and lease.state == "open":
                    assert lease.units == chain.units, f"{lease.units} are leased, {chain.units} held"

    def come_to_rest(self) -> None:
        """Have all that is wrong be right again, all calls end, and time pass: everything idle is back."""
        self.down = False
        for worker in self.workers:
            worker.late = worker.paused or worker.late
            worker.paused = False
            if not worker.linked:
                worker.join()
        self.let_time_pass(8)
        for worker in self.workers:
            for call in worker.calls:
                self.settle(call, call.tokens)
        self.let_time_pass(12)
        self.let_time_pass(1)
        for worker in self.workers:
            for call in worker.calls:
                self.settle(call, call.tokens)
        self.let_time_pass(80)
        self.store.expire_leases(1_000)
        balances = self.store.balances(METERS)
        assert [one.leased for one in balances] == [0] * len(METERS), balances
        budget, used = balances[METERS.index(BUDGET)], self.tokens.total() + self.over
        assert budget.posted >= used, f"{used} of {budget}"
        if self.calm:
            assert (budget.posted, budget.lost) == (used, 0), budget
