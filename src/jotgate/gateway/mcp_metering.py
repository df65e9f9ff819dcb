"""Counts what callers have MCP servers do: each call of a tool is one of every quota that meets it, and one request.

Reading a resource, getting a prompt and completing an argument are requests too. Lists, and what a session is made of,
count for nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from jotgate.core.mcp_operations import TOOLS_CALL
from jotgate.errors import JotgateError, QuotaUnavailable, UnitsUnresolved
from jotgate.gateway.metered_calls import NO_METERING, MeteredCalls
from jotgate.gateway.metered_plain import PlainHub
from jotgate.gateway.plain_answers import Opened
from jotgate.gateway.unit_waits import Trial
from jotgate.ports import Answer, Caller, Clock, Running, Trail
from jotgate.services.meter_reservations import Need, Reservation, Used

COUNTED: Final = frozenset({TOOLS_CALL, "mcp.resources_read", "mcp.prompts_get", "mcp.complete"})
_TOOL: Final = Need(tool_calls=1)
_REQUEST: Final = Need()

Run = Callable[[Reservation | None, Caller], Running]
"""Sends a message for which this is reserved; None: nothing limits it."""


class McpMetering:
    """That of one worker. What waits for units waits beside the calls that do."""

    def __init__(self, clock: Clock, hub: PlainHub, trail: Trail, calls: MeteredCalls) -> None:
        self._clock = clock
        self._hub = hub
        self._trail = trail
        self._calls = calls

    def start(self, run: Run, opened: Opened, server: str, caller: Caller) -> Running | None:
        """Reserve for a message to a server and have it sent by `run`, or let it wait.

        Raises:
            QuotaExceeded, QuotaUnavailable: nothing is left of a quota, or nobody can say how much.
        """
        limited = opened.world.metered or bool(opened.principal.limits)
        if not limited or opened.request.operation not in COUNTED:
            return run(None, caller)
        try:
            answer = self._reserve(run, opened, server)
        except UnitsUnresolved as refusal:
            trial = Trial(
                partial(self._try_again, run, opened, server),
                partial(self._end, opened),
                partial(self._hub.left_opened, opened),
            )
            try:
                return self._calls.waits.join(opened.request, trial, refusal, caller)
            except JotgateError as verdict:
                return self._end(opened, verdict.with_traceback(None), caller)
        return answer(caller)

    def _try_again(self, run: Run, opened: Opened, server: str) -> Answer:
        now_s = self._clock.monotonic_s()
        if now_s <= opened.fresh_s and not self._trail.full:
            return self._reserve(run, opened, server)
        # Its token may have ended meanwhile, or nothing may be let through any more.
        opened.request.stale = False
        return self._hub.judge(opened.request, now_s)

    def _reserve(self, run: Run, opened: Opened, server: str) -> Answer:
        """Reserve; what sends the message then. Raises JotgateError."""
        quotas = self._calls.quotas
        if quotas is None:
            raise QuotaUnavailable(NO_METERING)
        request = opened.request
        is_call = request.operation == TOOLS_CALL
        reservation = quotas.metering.reserve(
            opened.principal,
            request.tool if is_call else server,
            request.operation,
            _TOOL if is_call else _REQUEST,
            self._clock.monotonic_s(),
        )
        return partial(run, reservation)

    def _end(self, opened: Opened, refusal: JotgateError, caller: Caller) -> Running | None:
        self._hub.refuse_opened(opened, refusal, caller)
        return None


def settle(reservation: Reservation, operation: str, *, reached: bool) -> None:
    """Charge what a message has used; what no server has seen costs nothing."""
    if not reached:
        reservation.void()
        return
    reservation.settle(Used(tool_calls=1 if operation == TOOLS_CALL else 0))
