"""Does at Kong what a plan says: several requests at a time, each change once, and goes on when one of them fails.

What was done and what was not is found again by the next plan, so nothing of it is kept: whoever is cut short begins
anew with what is left.
"""

import asyncio
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Final

from msgspec import Struct

from jotgate.core.kong_admin import check
from jotgate.core.kong_plan import KongChange
from jotgate.errors import JotgateError, KongRefused, KongUnavailable
from jotgate.ports import KongAdmin

AT_ONCE: Final = 8
"""So many requests are under way at a time."""
FAILURES_MAX: Final = 10
"""After so many failures in a row the rest is not tried: Kong is away, or refuses everything."""


class FailedChange(Struct, frozen=True):
    """A change that was not made, and why."""

    change: KongChange
    fault: JotgateError


class Applied(Struct, frozen=True):
    """What came of it. `left` were not tried, as Kong is out of reach, or what they belong to could not be made."""

    done: tuple[KongChange, ...]
    failed: tuple[FailedChange, ...]
    left: int


class Applying:
    """One application of changes, in their order. Mutable: how far it has come."""

    def __init__(self, admin: KongAdmin, changes: Sequence[KongChange]) -> None:
        self._admin = admin
        self._changes = changes
        self._done: list[KongChange] = []
        self._failed: list[FailedChange] = []
        self._blocked: set[str] = set()
        self._in_a_row = 0

    @property
    def total(self) -> int:
        """How many changes there are."""
        return len(self._changes)

    @property
    def tried(self) -> int:
        """How many have been made, or have failed."""
        return len(self._done) + len(self._failed)

    @property
    def applied(self) -> Applied:
        """What has come of it by now."""
        return Applied(tuple(self._done), tuple(self._failed), self.total - self.tried)

    async def run(self) -> Applied:
        """Make the changes: those of one phase when all of the one before have been tried."""
        for _, phase in groupby(self._changes, key=lambda change: change.phase):
            waiting = iter(list(phase))
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(self._work(waiting))
        return self.applied

    async def _work(self, waiting: Iterator[KongChange]) -> None:
        for change in waiting:
            if self._in_a_row >= FAILURES_MAX:
                return
            if change.consumer_id in self._blocked:
                continue
            try:
                await self._make(change)
            except (KongUnavailable, KongRefused) as fault:
                self._in_a_row += 1
                self._failed.append(FailedChange(change, fault))
                if change.what == "consumer" and change.verb == "create":
                    self._blocked.add(change.consumer_id)
            else:
                self._in_a_row = 0
                self._done.append(change)

    async def _make(self, change: KongChange) -> None:
        answer = await self._admin.ask(change.ask)
        fine: tuple[int, ...] = ()
        if change.verb == "delete":
            fine = (HTTPStatus.NOT_FOUND,)
        elif change.what == "group":  # It was made by a request whose answer got lost, or by somebody else.
            fine = (HTTPStatus.CONFLICT,)
        check(answer, fine=fine)
