"""The routes of quotas: limits of holders, what is spent and left of them, and which meet a call."""

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol, get_args

from jotgate.control.admin.bodies import NewLimits
from jotgate.control.admin.reading import page
from jotgate.control.admin.shapes import Call, Done, Handler
from jotgate.core.quota_orders import HolderView, QuotaAnswer, QuotaFinding, QuotaOrder, QuotaQuestion
from jotgate.core.quotas import Level
from jotgate.errors import CommandError, RecordMissing, RequestMalformed

_LEVELS: Final[Mapping[str, Level]] = {level: level for level in get_args(Level) if level != "tool"}


class QuotaOffice(Protocol):
    """Carries out orders about quotas."""

    async def carry_out(self, order: QuotaOrder, actor: str, details: Mapping[str, str]) -> QuotaAnswer:
        """Do it, and put it into the audit log. Raises JotgateError."""

    async def find(self, question: QuotaQuestion) -> QuotaFinding:
        """Which quotas meet a call. Raises JotgateError."""


def quota_handlers(office: QuotaOffice) -> dict[str, Handler]:
    """The handlers, by the names of their routes."""
    return {
        "listQuotas": partial(_list, office),
        "getQuotas": partial(_show, office),
        "replaceLimits": partial(_replace, office),
        "resetQuotas": partial(_reset, office),
        "explainQuotas": partial(_explain, office),
    }


async def _list(office: QuotaOffice, call: Call) -> Done:
    level, _, name = call.window.after.partition(" ")
    order = QuotaOrder(action="show", after=(_LEVELS[level], name) if level in _LEVELS else ("", ""))
    answer = await office.carry_out(order, call.by.subject, call.by.details)
    return Done(page("listQuotas", call.window, [(f"{one.level} {one.name}", one) for one in answer.holders]))


async def _show(office: QuotaOffice, call: Call) -> Done:
    view = await _order(office, call, QuotaOrder(action="show", level=_level(call), name=call.names["name"]))
    return Done(view, view.version)


async def _replace(office: QuotaOffice, call: Call) -> Done:
    body: NewLimits = call.body
    order = QuotaOrder(
        action="set", level=_level(call), name=call.names["name"], limits=body.limits, version=call.version
    )
    view = await _order(office, call, order)
    return Done(view, view.version)


async def _reset(office: QuotaOffice, call: Call) -> Done:
    return Done(await _order(office, call, QuotaOrder(action="reset", level=_level(call), name=call.names["name"])))


async def _explain(office: QuotaOffice, call: Call) -> Done:
    try:
        return Done(await office.find(call.body))
    except CommandError as fault:
        raise _malformed(fault) from None


async def _order(office: QuotaOffice, call: Call, order: QuotaOrder) -> HolderView:
    try:
        (view,) = (await office.carry_out(order, call.by.subject, call.by.details)).holders
    except CommandError as fault:
        raise _malformed(fault) from None
    return view


def _malformed(fault: CommandError) -> RequestMalformed:
    return RequestMalformed(fault.message, hint=fault.hint)


def _level(call: Call) -> Level:
    level = _LEVELS.get(call.names["level"])
    if level is None:
        raise RecordMissing("there is no such level", hint=f"The levels are: {', '.join(_LEVELS)}")
    return level
