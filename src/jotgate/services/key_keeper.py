"""Keeps the keys of other issuers: fetched ahead of their time, one fetch at a time for each, and used on in an outage.

Nothing that an issuer answers, and nothing that its tokens name, takes good keys out of use before `stale_max_s`. What
was fetched is kept for the next process, so that an end of this one during an outage costs no issuer its keys.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.issuers import KeySource
from jotgate.core.key_fetches import Failed, FetchEnd, KeptSet, KeysOutcome, KeyStanding
from jotgate.errors import JotgateError
from jotgate.ports import Clock, Entropy, KeptSets, KeyFetch, KeyNews
from jotgate.services.key_fetching import Found, KeptKeys, KeyFetching, Known, read_kids
from jotgate.services.key_schedule import KeySchedule

_NOBODY: Final = KeysOutcome(reached=True, useless_s=1.0)
_CHANCE_BYTES: Final = 4


class KeyPorts(Struct, frozen=True):
    """What a keeper reaches for: the web, files, time, chance, and the operator."""

    web: KeyFetch
    files: KeyFetch
    clock: Clock
    entropy: Entropy
    news: KeyNews
    kept: KeptSets

    def chance(self) -> float:
        """A number from 0 to 1."""
        return int.from_bytes(self.entropy.random_bytes(_CHANCE_BYTES)) / 256**_CHANCE_BYTES


class _Kept:
    """One source: what is known of it, and the fetch that is under way."""

    def __init__(self, source: KeySource, now_s: float) -> None:
        self.source = source
        self.schedule = KeySchedule(source, now_s)
        self.known = Known()
        self.fault = ""
        self.fetches: dict[FetchEnd, int] = {"changed": 0, "unchanged": 0, "failed": 0}
        self.task: asyncio.Task[None] | None = None

    @property
    def jwks(self) -> bytes | None:
        return None if self.known.keys is None else self.known.keys.jwks

    def obey(self, source: KeySource) -> None:
        """Go on under other settings; a set without a key for the algorithms that are wanted now is none."""
        if self.known.keys is not None and source.algorithms != self.source.algorithms:
            keys = self.known.keys
            kids = read_kids(keys.jwks, source.algorithms)
            self.known = Known() if isinstance(kids, Failed) else replace(self.known, keys=replace(keys, kids=kids))
        self.source = source
        self.schedule.obey(source)

    def recall(self, found: KeptSet | None, clock: Clock) -> None:
        """Begin with what an earlier process fetched, if it is this source's, good, and not too old."""
        if found is None or found.source != _mark(self.source):
            return
        age_s = clock.now_s() - found.confirmed_at_s
        kids = read_kids(found.jwks, self.source.algorithms)
        if isinstance(kids, Failed) or not 0 <= age_s < self.source.stale_max_s:
            return
        self.known = Known(KeptKeys(found.jwks, kids, found.location, found.etag, found.modified))
        self.schedule.fetched_s = clock.monotonic_s() - age_s

    def to_keep(self, clock: Clock) -> KeptSet | None:
        """What the next process should begin with."""
        keys, fetched_s = self.known.keys, self.schedule.fetched_s
        if keys is None or fetched_s is None:
            return None
        at_s = clock.now_s() - (clock.monotonic_s() - fetched_s)
        return KeptSet(_mark(self.source), keys.jwks, keys.location, keys.etag, keys.modified, at_s)

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class KeyKeeper:
    """Belongs to one event loop, except for `sets_for`. Mutable: the sources, and what is known of each.

    `changed` is called when `sets` are others; what it returns is awaited before anybody who waits for a fetch hears
    of its end. `sweep` is to be called a few times a second.
    """

    def __init__(self, ports: KeyPorts, changed: "Callable[[], asyncio.Future[int | None]]") -> None:
        self._ports = ports
        self._changed = changed
        self._kept: dict[str, _Kept] = {}
        self._published: Mapping[str, tuple[KeySource, bytes]] = {}
        self._recalled: Mapping[str, KeptSet] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._unsaved = False
        self._unkept = ""

    def sets_for(self, sources: Iterable[KeySource]) -> dict[str, bytes]:
        """The sets that were fetched for these sources; may be called on any thread.

        What was fetched from elsewhere for an issuer of the same name is none of its keys.
        """
        published = self._published
        return {
            source.name: published[source.name][1]
            for source in sources
            if source.name in published and _place(published[source.name][0]) == _place(source)
        }

    @property
    def sets(self) -> Mapping[str, bytes]:
        """The JWK Sets that are held, by the issuer's name."""
        return {name: jwks for name, (_, jwks) in self._published.items()}

    def sources(self, sources: Iterable[KeySource]) -> None:
        """Fetch from these from now on. What is known of one that stands where it stood goes on."""
        now_s = self._ports.clock.monotonic_s()
        before, self._kept = self._kept, {}
        for source in sources:
            kept = before.pop(source.name, None)
            if kept is None or _place(kept.source) != _place(source):
                if kept is not None:
                    kept.cancel()
                kept = _Kept(source, now_s)
                kept.recall(self._recall().get(source.name), self._ports.clock)
            elif kept.source != source:
                kept.obey(source)
            self._kept[source.name] = kept
        for gone in before.values():
            gone.cancel()
        self._publish()
        self.sweep()

    def sweep(self) -> None:
        """Begin the fetches that are due, and let go of keys that are too old."""
        now_s = self._ports.clock.monotonic_s()
        for kept in self._kept.values():
            if kept.jwks is not None and kept.schedule.is_stale(now_s):
                kept.known = Known()
                self._ports.news.ended(kept.source.name)
                self._publish()
                _ = self._changed()  # Nobody waits for it.
            if kept.task is None and kept.schedule.is_due(now_s):
                self._begin(kept, now_s, wanted=False)
        if self._unsaved and self._saving is None:
            self._unsaved = False
            self._saving = asyncio.get_running_loop().create_task(self._save())

    async def settle(self, patience_s: float, *, keyless: bool = False) -> bool:
        """Wait until the fetches that are under way have ended; False when some have not within `patience_s`.

        `keyless`: those of issuers of which keys are held are not waited for.
        """
        tasks = [
            kept.task
            for kept in self._kept.values()
            if kept.task is not None and not (keyless and kept.jwks is not None)
        ]
        if not tasks:
            return True
        _, waiting = await asyncio.wait(tasks, timeout=patience_s)
        return not waiting

    async def wanted(self, issuer: str) -> KeysOutcome:
        """Somebody brought a token with a key that is not held of this issuer: wait for the fetch that may bring it.

        That is the one under way, or else a new one, unless the cooldown or the number of fetches in a minute forbids
        it: then there is nothing to wait for.
        """
        kept = self._kept.get(issuer)
        if kept is None:
            return _NOBODY
        now_s = self._ports.clock.monotonic_s()
        if kept.task is None and kept.schedule.claim_s(now_s) <= 0:
            self._begin(kept, now_s, wanted=True)
        if kept.task is not None:
            await asyncio.wait([kept.task])
        return kept.schedule.outcome(self._ports.clock.monotonic_s())

    def standings(self) -> list[KeyStanding]:
        """How each source is doing."""
        now_s = self._ports.clock.monotonic_s()
        return [
            KeyStanding(
                issuer=name,
                kids=() if kept.known.keys is None else kept.known.keys.kids,
                age_s=None if kept.schedule.fetched_s is None else round(now_s - kept.schedule.fetched_s, 3),
                fault=kept.fault,
                next_s=round(kept.schedule.next_s(now_s), 3),
                fetches=dict(kept.fetches),
            )
            for name, kept in self._kept.items()
        ]

    def stop(self) -> None:
        """Give up the fetches that are under way; nothing is fetched any more."""
        for kept in self._kept.values():
            kept.cancel()
        self._kept = {}

    def _begin(self, kept: _Kept, now_s: float, *, wanted: bool) -> None:
        kept.schedule.begin(now_s, wanted=wanted)
        kept.task = asyncio.get_running_loop().create_task(self._fetch(kept, now_s, thorough=wanted))
        kept.task.add_done_callback(lambda task: self._ended(kept, task))

    async def _fetch(self, kept: _Kept, begun_s: float, *, thorough: bool) -> None:
        source = kept.source
        fetch = self._ports.files if source.kind == "file" else self._ports.web
        found = await KeyFetching(source, fetch, self._ports.clock).run(kept.known, thorough=thorough)
        if isinstance(found, Failed):
            self._failed(kept, found.reason)
            return
        before = kept.jwks
        kept.known = Known(found.keys, found.metadata)
        self._unsaved = True
        self._succeeded(kept, found, begun_s, changed=before != found.keys.jwks)
        if before != found.keys.jwks:
            self._publish()
            await self._changed()

    def _succeeded(self, kept: _Kept, found: Found, begun_s: float, *, changed: bool) -> None:
        kept.fetches["changed" if changed else "unchanged"] += 1
        kept.schedule.succeeded(begun_s, found.max_age_s, self._ports.chance())
        if kept.fault:
            kept.fault = ""
            self._ports.news.recovered(kept.source.name)

    def _failed(self, kept: _Kept, reason: str) -> None:
        kept.fetches["failed"] += 1
        kept.schedule.failed(self._ports.clock.monotonic_s(), self._ports.chance())
        if reason != kept.fault:
            kept.fault = reason
            self._ports.news.failing(kept.source.name, reason, kept.jwks is not None)

    def _ended(self, kept: _Kept, task: "asyncio.Task[None]") -> None:
        kept.task = None
        fault = None if task.cancelled() else task.exception()
        if fault is not None:  # Nobody foresaw it; it is one fetch that failed, and the issuer's keys stay.
            self._ports.news.broken(fault)
            self._failed(kept, f"jotgate failed to fetch the keys ({type(fault).__name__})")

    def _recall(self) -> Mapping[str, KeptSet]:
        if self._recalled is None:
            try:
                self._recalled = self._ports.kept.read()
            except JotgateError as refusal:
                self._recalled = {}
                self._ports.news.unkept(refusal.message)
        return self._recalled

    async def _save(self) -> None:
        found = {name: kept.to_keep(self._ports.clock) for name, kept in self._kept.items()}
        sets = {name: one for name, one in found.items() if one is not None}
        unkept = ""
        try:
            await asyncio.to_thread(self._ports.kept.keep, sets)
        except JotgateError as refusal:
            unkept = refusal.message
            if unkept != self._unkept:
                self._ports.news.unkept(unkept)
        self._unkept = unkept
        self._saving = None

    def _publish(self) -> None:
        self._published = {name: (kept.source, kept.jwks) for name, kept in self._kept.items() if kept.jwks is not None}


def _mark(source: KeySource) -> str:
    return sha256(repr(_place(source)).encode()).hexdigest()


def _place(source: KeySource) -> tuple[object, ...]:
    """What makes another source of it: keys of elsewhere are not this one's."""
    return source.kind, source.location, source.issuer, source.roots, source.public_only
