"""Policies while control runs: an order is in effect when its answer is given, and calls are tested by what is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from starlette.routing import Route

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.policies import PolicyReader
from jotgate.assembly.reload import Reloader
from jotgate.control.operator import order_route
from jotgate.core.circumstances import Circumstances
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.policy_book import warn_of
from jotgate.core.policy_orders import (
    PolicyAnswer,
    PolicyFinding,
    PolicyOrder,
    PolicyQuestion,
    PolicyTrial,
    PolicyTrialAnswer,
    TokenQuestion,
)
from jotgate.core.principals import Principal
from jotgate.ports import Clock
from jotgate.processes.bus import BusServer
from jotgate.services.policy_records import PolicyChange, carry_out, details_of, proposed
from jotgate.services.policy_testing import CallTester, compare, describe_principal

_WORKERS_PATIENCE_S: Final = 5.0
_NONE: Final[Mapping[str, str]] = {}


class PolicyRoom:
    """Does what the operator orders about policies, and answers what would be decided."""

    def __init__(
        self, opened: OpenKeys, reader: PolicyReader, reloader: Reloader, bus: BusServer, clock: Clock
    ) -> None:
        self._opened = opened
        self._reader = reader
        self._reloader = reloader
        self._bus = bus
        self._clock = clock

    async def carry_out(
        self, order: PolicyOrder, actor: str = CLI_CLIENT_ID, details: Mapping[str, str] = _NONE
    ) -> PolicyAnswer:
        """Do what `actor` orders; the audit log has the `details` too.

        Raises what `services.policy_records.carry_out` does, and AuditUnavailable.
        """
        now_s = self._clock.now_s()
        opened, settled = self._opened, True
        if order.action == "apply":
            opened.authority.recorder.check()  # What cannot be recorded is not done.
        done: PolicyChange | None = await opened.access.run(
            lambda store: carry_out(store, order, self._reader.examine, now_s)
        )
        if done is not None:
            more = {**details_of(done), **details}
            opened.authority.recorder.record("policies.applied", actor=actor, details=more)
        if done is not None or order.action != "apply":
            await opened.feed.look(self._renew)
        if done is not None:
            settled = await self._bus.acknowledged(self._reloader.effect.snapshot.version, _WORKERS_PATIENCE_S)
        return PolicyAnswer(
            self._reader.views(),
            opened.feed.picture.policies.version,
            running=True,
            settled=settled,
            warnings=self._reader.warnings,
        )

    async def test(self, question: PolicyQuestion) -> PolicyFinding:
        """What would be decided of a call that is described. Raises ConfigurationError."""
        now_s = self._clock.now_s() if question.at_s is None else question.at_s
        own = self._reloader.effect.snapshot.issuers[0].issuer
        principal = describe_principal(question, own, now_s)
        return self._tester().test(
            principal, question.operation, question.model, Circumstances(question.address, now_s)
        )

    async def attempt(self, trial: PolicyTrial) -> PolicyTrialAnswer:
        """What a set would change that is not applied. Raises ConfigurationError, CommandError: it cannot be kept."""
        found = self._reader.read_beside(proposed(trial.tables, self._reader.examine))
        snapshot = self._reloader.effect.snapshot
        then = CallTester(found, snapshot.routes, snapshot.tools)
        own = snapshot.issuers[0].issuer
        calls = compare(self._tester(), then, trial.calls, own, self._clock.now_s())
        return PolicyTrialAnswer(calls, warn_of(found.policies))

    async def can(self, question: TokenQuestion, verify: Callable[[bytes], Awaitable[Principal]]) -> PolicyFinding:
        """What would be decided of a call with a token now. Raises ConfigurationError, and TokenError as `verify`."""
        principal = await verify(question.token.encode("utf-8", "replace"))
        now = Circumstances(question.address, self._clock.now_s())
        return self._tester().test(principal, question.operation, question.model, now)

    def routes(self, verify: Callable[[bytes], Awaitable[Principal]]) -> Sequence[Route]:
        """Where the operator gives orders, and asks; `verify` judges tokens as the gateway would."""

        async def can(question: TokenQuestion) -> PolicyFinding:
            return await self.can(question, verify)

        return (
            order_route("/policies", PolicyOrder, self.carry_out),
            order_route("/policies/test", PolicyQuestion, self.test),
            order_route("/tokens/can", TokenQuestion, can),
        )

    def _tester(self) -> CallTester:
        snapshot = self._reloader.effect.snapshot
        return CallTester(snapshot.policies, snapshot.routes, snapshot.tools)

    async def _renew(self) -> int | None:
        return await self._reloader.renew()
