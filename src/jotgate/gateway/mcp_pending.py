"""A request that is answered once a server, or several, have been asked something first."""

import asyncio
from collections.abc import Callable, Coroutine

from jotgate.errors import InternalError, JotgateError, NotReady
from jotgate.gateway.plain_answers import Opened
from jotgate.ports import Caller, Running

Work = Coroutine[object, object, Running | None]
"""What asks, answers the caller or begins what does, and returns that. Raises JotgateError before it said anything."""


class Pending:
    """One such request (ports.Running). Mutable: what answers it, once there is something, and the caller's pace.

    `refuse` tells the caller no, and `left` is told of a caller who did not wait.
    """

    def __init__(
        self,
        opened: Opened,
        caller: Caller,
        refuse: Callable[[Opened, JotgateError, Caller], None],
        left: Callable[[Opened], None],
    ) -> None:
        self._opened = opened
        self._caller = caller
        self._refuse = refuse
        self._left = left
        self._running: Running | None = None
        self._task: asyncio.Task[Running | None] | None = None
        self._paused = False
        self._over = False

    def begin(self, work: Work, ended: Callable[["Pending"], None]) -> None:
        """Do the work; `ended` is told when nothing is waited for any more."""
        task = self._task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda done: self._done(done, ended))

    def cancel(self) -> None:
        """Give up because jotgate stops: the caller is told."""
        if not self._over and self._task is not None:
            self._over = True
            self._task.cancel()
            self._refuse(self._opened, NotReady("jotgate is stopping", hint="Try again in a moment"), self._caller)

    def caller_gone(self) -> None:
        """Nobody reads the answer (ports.Running)."""
        if self._running is not None:
            self._running.caller_gone()
        elif not self._over and self._task is not None:
            self._over = True
            self._task.cancel()
            self._left(self._opened)

    def caller_paused(self) -> None:
        """The caller reads slowly (ports.Running)."""
        self._paused = True
        if self._running is not None:
            self._running.caller_paused()

    def caller_resumed(self) -> None:
        """The caller has caught up (ports.Running)."""
        self._paused = False
        if self._running is not None:
            self._running.caller_resumed()

    def _done(self, task: "asyncio.Task[Running | None]", ended: Callable[["Pending"], None]) -> None:
        ended(self)
        self._task = None
        if self._over or task.cancelled():
            return
        self._over = True
        fault = task.exception()
        if isinstance(fault, JotgateError):
            self._refuse(self._opened, fault.with_traceback(None), self._caller)
        elif fault is not None:
            self._refuse(self._opened, InternalError("jotgate failed to answer this request"), self._caller)
            context = {"message": "a request met an unexpected fault", "exception": fault}
            asyncio.get_running_loop().call_exception_handler(context)
        else:
            self._running = task.result()
            if self._running is not None and self._paused:
                self._running.caller_paused()
