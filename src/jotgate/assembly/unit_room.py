"""Quotas while control runs: what workers ask of them, and how a change of limits gets to all workers."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.limit_feed import LimitFeed
from jotgate.assembly.reload import Reloader
from jotgate.assembly.system import SystemEntropy
from jotgate.core.ledger import LeaseAnswer, LeaseAsk
from jotgate.core.plans import needs_plans
from jotgate.core.quotas import Meter
from jotgate.core.snapshot import Snapshot
from jotgate.core.spenders import surroundings_of
from jotgate.errors import JotgateError, StoreUnavailable
from jotgate.ports import Clock, HintLine
from jotgate.processes.bus import BusServer
from jotgate.processes.console import log_error, say
from jotgate.processes.messages import PlanWanted
from jotgate.services.lease_desk import LeaseDesk, QuotaSources
from jotgate.services.unit_hints import UnitHints
from jotgate.stores.valkey import ValkeyLine

_WORKERS_PATIENCE_S: Final = 5.0
_CHANNEL_CHARS: Final = 16


class UnitRoom:
    """Answers workers (processes.answers.UnitDesk). Mutable: what plans are made of, and the fault that was told last.

    `mark` names all limits, those of the settings and those of the store.
    """

    def __init__(self, keys: OpenKeys, reloader: Reloader, bus: BusServer, clock: Clock) -> None:
        self._feed: LimitFeed = keys.limits
        self._reloader = reloader
        self._bus = bus
        self._sources = _sources_of(reloader.effect.snapshot)
        self._fault = ""
        self._hints = UnitHints(clock, SystemEntropy(), bus.tell_wanted)
        self._line: HintLine | None = None
        if keys.hints is not None:
            channel = f"jotgate.{sha256(keys.authority.issuer_url.encode()).hexdigest()[:_CHANNEL_CHARS]}.units"
            self._line = ValkeyLine(keys.hints, channel, clock, heard=self._hints.hear, told=_tell_of_line)
            self._hints.publish_by(self._line.publish)
        self._desk = LeaseDesk(
            keys.access,
            clock,
            sources=lambda: self._sources,
            kept=lambda: self._feed.kept.any,
            failed=self._complain,
        )
        self.mark = self._name()
        self.settle = self._desk.settle

    async def plan(self, wanted: PlanWanted) -> tuple[Meter, ...] | None:
        """The accounts that meet a call, as new as all that was told; None: they cannot be known now."""
        return await self._desk.plan(wanted.spender, wanted.model, wanted.operation)

    async def lease(self, asks: Sequence[LeaseAsk]) -> list[LeaseAnswer] | None:
        """What becomes of these, in their order; durable. None: the store does not answer."""
        answers = await self._desk.lease(asks)
        if answers is not None:
            self._hints.answered(asks, answers)
        return answers

    async def look(self) -> None:
        """Put the limits that the store has now into effect on this machine. Raises StoreUnavailable."""
        await self._feed.look()

    async def keep(self) -> None:
        """Follow the limits of the store, and what other machines say, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed.keep())
            if self._line is not None:
                group.create_task(self._line.keep())

    def swap(self, snapshot: Snapshot) -> None:
        """Workers are given this snapshot: tell them that its rules are others, if they are."""
        self._sources = _sources_of(snapshot)
        self._tell()

    async def changed(self) -> bool:
        """The limits of the store are others than before; whether that is in effect on this machine."""
        self._desk.forget()
        self._tell()
        snapshot = self._reloader.effect.snapshot
        if snapshot.metered == needs_plans(snapshot, kept=self._feed.kept.any):
            return True
        version = await self._reloader.renew()
        if version is None:
            return False
        await self._bus.acknowledged(version, _WORKERS_PATIENCE_S)  # One that takes longer is told it all the same.
        return True

    def _tell(self) -> None:
        mark = self._name()
        if mark != self.mark:
            self.mark = mark
            self._bus.tell_limits(mark)

    def _name(self) -> str:
        digest = sha256(msgspec.msgpack.encode(self._sources, order="deterministic")).hexdigest()
        return f"{self._feed.kept.version}.{digest}"

    def _complain(self, error: JotgateError) -> None:
        if isinstance(error, StoreUnavailable) or error.message == self._fault:
            return  # That the store does not answer is told by who follows it.
        self._fault = error.message
        say("quotas cannot be counted now", event="quotas_lost", level="error")
        log_error(error)


def open_unit_room(keys: OpenKeys, reloader: Reloader, bus: BusServer, clock: Clock) -> UnitRoom:
    """The room, which workers may ask over the bus, and to which they are told that limits have changed."""
    room = UnitRoom(keys, reloader, bus, clock)
    keys.limits.begin(room.changed)
    bus.answers.serve_units(room)
    return room


def _tell_of_line(reason: str) -> None:
    if reason:
        text = f"machines cannot tell one another that units are wanted; calls may wait longer for some: {reason}"
        say(text, event="hints_lost")
    else:
        say("machines tell one another that units are wanted", event="hints", level="info")


def _sources_of(snapshot: Snapshot) -> QuotaSources:
    return QuotaSources(snapshot.quotas, surroundings_of(snapshot.all_issuers, snapshot.all_aliases))
