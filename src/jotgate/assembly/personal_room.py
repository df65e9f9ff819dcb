"""Personal tokens while control runs: what workers ask, which were used, and what the operator orders."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from jotgate.assembly.account_feed import AccountFeed
from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.revocation_feed import RevocationFeed
from jotgate.assembly.system import SystemEntropy
from jotgate.core.accounts import TokenUse
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.opaque import Mark
from jotgate.core.personal_tokens import AccountNews, PersonalAnswer, PersonalFinding, PersonalOrder
from jotgate.core.principals import Principal
from jotgate.core.revocations import personal_names
from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.processes.bus import BusServer
from jotgate.services.personal_desk import PersonalDesk
from jotgate.services.personal_lookup import find_personal, look_up
from jotgate.services.recorder import Recorder
from jotgate.store_ports import Store

USES_INTERVAL_S: Final = 2.0
"""How often uses are kept in the store."""
USES_MAX: Final = 65_536
"""Of so many tokens a use waits to be kept; that of further ones is not."""

_MARK: Final = Mark.PERSONAL.encode("ascii")
_USES_AT_ONCE: Final = 500
_TRIES: Final = 4


class PersonalRoom:
    """Answers workers and commands. Mutable: the uses that are not kept yet.

    `feed` and `revocations` put what has changed, and what was revoked, into effect on this machine.
    """

    def __init__(
        self,
        access: StoreAccess,
        issuer: str,
        clock: Clock,
        recorder: Recorder,
        *,
        feed: AccountFeed,
        revocations: RevocationFeed,
    ) -> None:
        self._access = access
        self._issuer = issuer
        self._clock = clock
        self._entropy = SystemEntropy()
        self._recorder = recorder
        self._feed = feed
        self._revocations = revocations
        self._uses: dict[str, TokenUse] = {}

    async def since(self, version: int) -> AccountNews:
        """What has changed since (processes.answers.RecordDesk)."""
        return await self._feed.since(version)

    async def find(self, digest: bytes) -> PersonalFinding | None:
        """What the store says of a personal token, as new as all that was told of accounts; None: not known now."""
        for _ in range(_TRIES):
            look = partial(look_up, digest=digest, issuer=self._issuer, now_s=self._clock.now_s())
            try:
                found = await self._access.run(look)
            except StoreUnavailable:
                return None
            if found.version >= self._feed.version:
                return found
        return None

    def used(self, uses: Sequence[TokenUse]) -> None:
        """Personal tokens were used, as a worker says."""
        for use in uses:
            before = self._uses.get(use.token_id)
            if before is None and len(self._uses) >= USES_MAX:
                continue
            if before is None or before.used_at_s <= use.used_at_s:
                self._uses[use.token_id] = use

    async def keep(self) -> None:
        """Keep uses in the store, until cancelled."""
        while True:
            await asyncio.sleep(USES_INTERVAL_S)
            await self.keep_uses()

    async def keep_uses(self) -> None:
        """Keep the uses that wait; where the store does not answer, they wait on."""
        while self._uses:
            some = [self._uses.pop(token_id) for token_id in list(self._uses)[:_USES_AT_ONCE]]
            try:
                await self._access.run(partial(_keep, some))
            except StoreUnavailable:
                self.used(some)
                return

    async def carry_out(self, order: PersonalOrder) -> PersonalAnswer:
        """Do what the operator orders; it is in effect on this machine when this returns.

        Raises what `PersonalDesk.carry_out` does, and AuditUnavailable.
        """
        now_s = self._clock.now_s()

        def desk(store: Store) -> PersonalDesk:
            return PersonalDesk(store, self._issuer, self._entropy, now_s)

        done = await self._access.run(lambda store: desk(store).carry_out(order, actor=CLI_CLIENT_ID))
        if done.event:
            await self._revocations.look()
            await self._feed.look()
        return replace(done.record(self._recorder, CLI_CLIENT_ID), running=True)

    def verifier(self, otherwise: Callable[[bytes], Awaitable[Principal]]) -> Callable[[bytes], Awaitable[Principal]]:
        """What verifies personal tokens itself, and has the others verified. It raises as `find_personal` does."""

        async def verify(token: bytes) -> Principal:
            if not token.startswith(_MARK):
                return await otherwise(token)
            now_s = self._clock.now_s()
            found = await self._access.run(lambda store: find_personal(store, token, self._issuer, now_s))
            revoked = self._revocations.revoked
            revoked.check(found, personal_names(found), 0)
            return found

        return verify


def open_personal_room(opened: OpenKeys, bus: BusServer, clock: Clock) -> PersonalRoom:
    """The room, which workers may ask over the bus, and to which they are told what has changed."""
    authority = opened.authority
    room = PersonalRoom(
        opened.access,
        authority.issuer_url,
        clock,
        authority.recorder,
        feed=opened.accounts,
        revocations=opened.revocations,
    )
    opened.accounts.begin(bus.tell_accounts, before=opened.revocations.look)
    bus.answers.serve_records(room)
    return room


def _keep(uses: Sequence[TokenUse], store: Store) -> None:
    store.touch_personal_tokens(uses)
