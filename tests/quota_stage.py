"""Orders about quotas over a store, as a control process without workers carries them out."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from jotgate.core.quota_orders import QuotaAnswer, QuotaFinding, QuotaOrder, QuotaQuestion
from jotgate.core.quota_rules import QuotaRule
from jotgate.core.quotas import Limit, Quota
from jotgate.core.spenders import Surroundings
from jotgate.services.quota_desk import QuotaDesk, describe_spender
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store
from jotgate.testing.ports import ManualClock
from tests.callers import NAME

EACH: Final = QuotaRule(quota=Quota("each", Limit("requests", 100, "day")))
"""The one rule of the configuration, which meets every principal."""


class QuotaStage:
    """The quotas of a store, and one rule."""

    def __init__(self, store: Store, clock: ManualClock, recorder: Recorder) -> None:
        self._store, self._clock, self._recorder = store, clock, recorder
        self._desk = QuotaDesk((EACH,), Surroundings(NAME))

    async def carry_out(self, order: QuotaOrder, actor: str, details: Mapping[str, str]) -> QuotaAnswer:
        answer, change = self._desk.carry_out(self._store, order, self._clock.now_s())
        if change is not None:
            self._recorder.record(change.event, actor=actor, details={**change.details, **details})
        return replace(answer, running=True)

    async def find(self, question: QuotaQuestion) -> QuotaFinding:
        return self._desk.explain(self._store, question, describe_spender(question, NAME))
