"""Carries signing keys through their lives while control runs: made on schedule, signing when all know them, gone.

Everything that a step needs is in the store, so that a control process that ends between two of them is followed by one
that goes on; and every change is a compare-and-set, so that of several machines exactly one makes it.
"""

from collections.abc import Awaitable, Callable, Sequence

from jotgate.core import key_life
from jotgate.core.durable import KeyRecord, KeyRing
from jotgate.core.key_life import KeyRules
from jotgate.ports import Clock, PrivateParts, StoreAccess
from jotgate.services.keyring import Changed, Keyring
from jotgate.store_ports import Store


class Rotation:
    """Takes the steps that are due. Immutable.

    `known` says whether everyone who verifies tokens knows a key, or can serve nothing without knowing it.
    """

    def __init__(
        self,
        access: StoreAccess,
        parts: PrivateParts,
        clock: Clock,
        known: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._access = access
        self._parts = parts
        self._clock = clock
        self._known = known

    async def step(self, ring: KeyRing, rules: KeyRules) -> list[Changed]:
        """Do what is due by this ring, each thing as one change; empty: nothing was.

        Raises:
            StoreUnavailable, DirectoryRefused: what was not done is due still.
        """
        now_s = self._clock.now_s()
        done: list[Changed] = []
        if key_life.bury(ring, int(now_s)):
            done.append(await self._change(lambda keyring: keyring.bury()))
        if key_life.next_signer_at_s(ring, rules, int(now_s)) is not None:
            done.append(await self._change(lambda keyring: keyring.plan(ring, rules)))
        key = key_life.due(ring, now_s)
        if key is not None and await self._known(key.kid):
            done.append(await self._activate(key.kid))
        return [one for one in done if one.events]

    async def _activate(self, kid: str) -> Changed:
        now_s = int(self._clock.now_s())

        def decide(ring: KeyRing) -> Sequence[KeyRecord]:
            due = key_life.due(ring, now_s)
            return key_life.activate(ring, kid, now_s) if due is not None and due.kid == kid else ()

        return await self._change(lambda keyring: keyring.change(decide))

    async def _change(self, work: Callable[[Keyring], Changed]) -> Changed:
        def on_store(store: Store) -> Changed:
            return work(Keyring(store, self._parts, self._clock))

        return await self._access.run(on_store)
