"""The routes of policies: what there is, a new set for the store, and what would be decided."""

from collections.abc import Mapping
from functools import partial
from typing import Protocol

import msgspec

from jotgate.control.admin.bodies import PolicySetView
from jotgate.control.admin.shapes import Call, Done, Handler
from jotgate.core.policy_orders import (
    PolicyAnswer,
    PolicyFinding,
    PolicyOrder,
    PolicyQuestion,
    PolicyTrial,
    PolicyTrialAnswer,
)


class PolicyOffice(Protocol):
    """Carries out orders about policies."""

    async def carry_out(self, order: PolicyOrder, actor: str, details: Mapping[str, str]) -> PolicyAnswer:
        """Do it, and put it into the audit log. Raises JotgateError."""

    async def test(self, question: PolicyQuestion) -> PolicyFinding:
        """What would be decided. Raises ConfigurationError."""

    async def attempt(self, trial: PolicyTrial) -> PolicyTrialAnswer:
        """What a set would change that is not applied. Raises ConfigurationError."""


def policy_handlers(office: PolicyOffice) -> dict[str, Handler]:
    """The handlers, by the names of their routes."""
    return {
        "getPolicies": partial(_show, office),
        "replacePolicies": partial(_replace, office),
        "testPolicies": partial(_test, office),
        "tryPolicies": partial(_attempt, office),
    }


async def _show(office: PolicyOffice, call: Call) -> Done:
    return await _order(office, call, PolicyOrder(action="list"))


async def _replace(office: PolicyOffice, call: Call) -> Done:
    tables = msgspec.json.encode(call.body.policies).decode()
    return await _order(office, call, PolicyOrder(action="apply", tables=tables, version=call.version))


async def _order(office: PolicyOffice, call: Call, order: PolicyOrder) -> Done:
    answer = await office.carry_out(order, call.by.subject, call.by.details)
    view = PolicySetView(policies=answer.policies, settled=answer.settled, warnings=answer.warnings)
    return Done(view, answer.version)


async def _test(office: PolicyOffice, call: Call) -> Done:
    return Done(await office.test(call.body))


async def _attempt(office: PolicyOffice, call: Call) -> Done:
    tables = msgspec.json.encode(call.body.policies).decode()
    return Done(await office.attempt(PolicyTrial(tables=tables, calls=call.body.calls)))
