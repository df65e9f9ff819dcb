"""Orders about policies over a store, as a control process without workers carries them out."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.circumstances import Circumstances
from jotgate.core.faults import Fault
from jotgate.core.policy_book import PolicyBook, clashes, put_together, views_of, warn_of
from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_orders import (
    PolicyAnswer,
    PolicyFinding,
    PolicyOrder,
    PolicyQuestion,
    PolicyTrial,
    PolicyTrialAnswer,
)
from jotgate.core.routes import Attempt, Route
from jotgate.services.policy_records import carry_out, details_of, proposed
from jotgate.services.policy_testing import CallTester, compare, describe_principal
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store
from jotgate.stores.zones import find_zone, read_zones
from jotgate.testing.ports import ManualClock
from tests.callers import NAME

CONFIGURED: Final = PolicyEntry(name="of-the-file", effect="allow", subjects=("root",))
"""The one policy of the configuration, where there is one."""
_ROUTES: Final = (Route("a", (Attempt("one", "a"),)),)


class PolicyStage:
    """The policies of a store, and those of the configuration if there are any; one route, `a`."""

    def __init__(self, store: Store, clock: ManualClock, recorder: Recorder) -> None:
        self._store, self._clock, self._recorder = store, clock, recorder
        self.configured: tuple[PolicyEntry, ...] = ()

    async def carry_out(self, order: PolicyOrder, actor: str, details: Mapping[str, str]) -> PolicyAnswer:
        done = carry_out(self._store, order, self._examine, self._clock.now_s())
        if done is not None:
            self._recorder.record("policies.applied", actor=actor, details={**details_of(done), **details})
        kept, book = self._store.policies(), self._book()
        views = views_of(self.configured, kept, book.unreadable)
        return PolicyAnswer(views, kept.version, running=True, warnings=warn_of(book.policies.policies))

    async def test(self, question: PolicyQuestion) -> PolicyFinding:
        now_s = self._clock.now_s() if question.at_s is None else question.at_s
        tester = CallTester(self._book().policies, _ROUTES)
        principal = describe_principal(question, NAME, now_s)
        return tester.test(principal, question.operation, question.model, Circumstances(question.address, now_s))

    async def attempt(self, trial: PolicyTrial) -> PolicyTrialAnswer:
        then = put_together(self.configured, {}, proposed(trial.tables, self._examine), find_zone).policies
        now_by, then_by = CallTester(self._book().policies, _ROUTES), CallTester(then, _ROUTES)
        calls = compare(now_by, then_by, trial.calls, NAME, self._clock.now_s())
        return PolicyTrialAnswer(calls, warn_of(then.policies))

    def _book(self) -> PolicyBook:
        return put_together(self.configured, {}, self._store.policies(), find_zone)

    def _examine(self, entries: Mapping[str, PolicyEntry]) -> list[Fault]:
        return read_zones(entries)[1] + clashes(entries, self.configured)
