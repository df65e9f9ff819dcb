"""What a worker and control say to one another of quotas, on the worker's side."""

from collections.abc import Callable, Hashable
from typing import Final

from msgspec.structs import replace

from jotgate.assembly.system import SystemEntropy
from jotgate.core.ledger import LeaseAsk
from jotgate.core.quotas import Spender
from jotgate.gateway.pipeline import Gateway
from jotgate.gateway.waits import Soon
from jotgate.ports import Clock
from jotgate.processes.link import Link
from jotgate.processes.messages import (
    LeasesAnswered,
    LeasesAsked,
    LimitsChanged,
    PlanAnswered,
    PlanWanted,
    UnitsWanted,
)
from jotgate.services.meter import Metering

_AMOUNT_MAX: Final = 2**53
"""More than any limit lets through. The ledger takes no more at once, and a frame holds no number without end."""


class UnitLink:
    """Asks control which quotas meet calls and for units of them. Mutable: the mark of the limits it was told of."""

    def __init__(self, gateway: Gateway, link: Link, clock: Clock, soon: Soon) -> None:
        def build(told: Callable[[Hashable], object]) -> Metering:
            return Metering(
                clock, SystemEntropy(), ask_plan=self._ask_plan, ask_leases=self._ask_leases, told=told, soon=soon
            )

        self._link = link
        self._metering = gateway.metered.reserve_by(build)
        self.mark = ""
        self.ask_again = self._metering.ask_again
        self.lost = self._metering.lost_link
        self.close = self._metering.close

    def hear(self, message: PlanAnswered | LeasesAnswered | LimitsChanged | UnitsWanted) -> None:
        """Take what control says."""
        match message:
            case PlanAnswered(number, meters):
                self._metering.plan_answered(number, meters)
            case LeasesAnswered(number, answers):
                self._metering.leases_answered(number, answers)
            case LimitsChanged(mark):
                self.mark = mark
                self._metering.limits_changed()
            case UnitsWanted(accounts):
                self._metering.others_want(accounts)

    def _ask_plan(self, number: int, spender: Spender, model: str, operation: str) -> None:
        self._link.send(PlanWanted(number, spender, model, operation))  # If nobody is there, it is asked when one is.

    def _ask_leases(self, number: int, asks: list[LeaseAsk]) -> None:
        self._link.send(LeasesAsked(number, [_within(one) for one in asks]))


def _within(ask: LeaseAsk) -> LeaseAsk:
    """The ask with amounts that can be sent: upstreams may make up what calls have used."""
    if max(ask.want, ask.least, ask.spent) <= _AMOUNT_MAX:
        return ask
    return replace(
        ask,
        want=min(ask.want, _AMOUNT_MAX),
        least=min(ask.least, _AMOUNT_MAX),
        spent=min(ask.spent, _AMOUNT_MAX),
    )
