"""Quotas of holders while control runs: an order is in effect on this machine when its answer is given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace
from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.reload import Reloader
from jotgate.assembly.unit_room import UnitRoom
from jotgate.control.operator import order_route
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.principals import Principal
from jotgate.core.quota_orders import QuotaAnswer, QuotaFinding, QuotaOrder, QuotaQuestion
from jotgate.core.spenders import spender_of
from jotgate.ports import Clock
from jotgate.services.quota_desk import describe_spender, open_quota_desk

_NONE: Final[Mapping[str, str]] = {}

Verify = Callable[[bytes], Awaitable[Principal]]


class QuotaRoom:
    """Does what is ordered about quotas, and says which of them meet a call; `verify` judges tokens as a gateway."""

    def __init__(self, opened: OpenKeys, units: UnitRoom, reloader: Reloader, clock: Clock, verify: Verify) -> None:
        self._opened = opened
        self._units = units
        self._reloader = reloader
        self._clock = clock
        self._verify = verify

    async def carry_out(
        self, order: QuotaOrder, actor: str = CLI_CLIENT_ID, details: Mapping[str, str] = _NONE
    ) -> QuotaAnswer:
        """Do what `actor` orders; the audit log has the `details` too.

        Raises what `services.quota_desk.QuotaDesk.carry_out` does, and AuditUnavailable.
        """
        recorder = self._opened.authority.recorder
        if order.action != "show":
            recorder.check()  # What cannot be recorded is not done.
        desk, now_s = open_quota_desk(self._reloader.effect.snapshot), self._clock.now_s()
        answer, change = await self._opened.access.run(lambda store: desk.carry_out(store, order, now_s))
        if change is not None:
            recorder.record(change.event, actor=actor, details={**change.details, **details})
            await self._units.look()
        return replace(answer, running=True)

    async def find(self, question: QuotaQuestion) -> QuotaFinding:
        """Which quotas meet a call. Raises TokenError, CommandError, StoreUnavailable."""
        desk = open_quota_desk(self._reloader.effect.snapshot)
        if question.token:
            spender = spender_of(await self._verify(question.token.encode("utf-8", "replace")))
        else:
            spender = describe_spender(question, desk.around.own_issuer)
        return await self._opened.access.run(lambda store: desk.explain(store, question, spender))

    async def usage(self, principal: Principal, model: str) -> QuotaFinding:
        """The quotas that meet calls of a principal that name a model; empty: whichever. Raises StoreUnavailable."""
        desk = open_quota_desk(self._reloader.effect.snapshot)
        question = QuotaQuestion(model=model)
        spender = spender_of(principal)
        return await self._opened.access.run(lambda store: desk.explain(store, question, spender))

    def routes(self) -> Sequence[Route]:
        """Where the operator gives orders, and asks."""
        return (
            order_route("/quotas", QuotaOrder, self.carry_out),
            order_route("/quotas/explain", QuotaQuestion, self.find),
        )
