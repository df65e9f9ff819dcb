"""The quotas of the calls of one worker: which meet a call, what is held of them, and what is reserved.

Invariant: what this worker lets through is covered by leases that it holds. A unit is reserved from a lease that is
granted, open and within its time by the worker's clock, counted from when the lease was asked for; each unit of a lease
is told to the ledger once: as spent, as kept for calls that run, or as given back. What a call uses beyond what it
reserved is charged all the same, and is debt.
"""

from collections.abc import Callable, Hashable, Sequence

from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.principals import Principal
from jotgate.core.quotas import Meter, Spender
from jotgate.ports import Clock, Entropy
from jotgate.services.meter_reservations import Need, Reservation

AskPlan = Callable[[int, Spender, str, str], object]
"""Asks control which meters a call meets: number, spender, model, operation (`processes.messages.PlanWanted`)."""
AskLeases = Callable[[int, list[LeaseAsk]], object]
"""Sends asks to the ledger, by way of control (`processes.messages.LeasesAsked`)."""
Soon = Callable[[Callable[[], None]], object]
"""Has something done later in this turn of the event loop."""


class Metering:
    """The worker's side of quotas. Mutable: the plans and the leases that it holds, and who waits for them.

    `told` is called with the `key` of an UnitsUnresolved when it is of use to try again; it must not call back into
    this object before it returns. It outlives the worlds that use it. All times are monotonic.
    """

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        *,
        ask_plan: AskPlan,
        ask_leases: AskLeases,
        told: Callable[[Hashable], object],
        soon: Soon,
    ) -> None:
        raise NotImplementedError

    def enter(self, own_issuer: str, *, metered: bool, capacity: int) -> None:
        """Use a new world: the `iss` of this installation, `Snapshot.metered`, how many plans to hold at most."""
        raise NotImplementedError

    def reserve(self, principal: Principal, model: str, operation: str, need: Need, now_s: float) -> Reservation | None:
        """Reserve what a call needs, of all quotas that meet it or of none. None: nothing limits it.

        Raises:
            QuotaExceeded: a quota has not so much left in its window.
            QuotaUnavailable: nobody can say now how much is left.
            UnitsUnresolved: a moment later one can say; what it needs has been asked for.
        """
        raise NotImplementedError

    def tick(self) -> None:
        """Tell the ledger what was spent, give back what is idle, renew what is about to end. Four times a second."""
        raise NotImplementedError

    def plan_answered(self, number: int, meters: Sequence[Meter] | None) -> None:
        """Control says which meters a call meets; None: it cannot say now."""
        raise NotImplementedError

    def leases_answered(self, number: int, answers: Sequence[LeaseAnswer] | None) -> None:
        """What became of asks; None: the store does not answer, and they are asked again."""
        raise NotImplementedError

    def limits_changed(self) -> None:
        """Hold no plan any more: each is asked for anew when a call needs it."""
        raise NotImplementedError

    def lost_link(self) -> None:
        """Control is out of reach: nothing that was asked for may be answered any more."""
        raise NotImplementedError

    def ask_again(self) -> None:
        """Put all that is not answered to another control process, under the same numbers of leases."""
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back that no call has reserved, and tell what was spent: the worker stops."""
        raise NotImplementedError
