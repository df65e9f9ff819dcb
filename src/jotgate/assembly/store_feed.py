"""What control knows of the store: read when it opens, and again whenever a look finds that something has changed.

How old that knowledge is goes with each beat to the workers, which serve nothing when it is too old: a key that another
machine revoked might be missed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.durable import DamagedKey, IssuerRecord, KeyRing, KeyState, Versions
from jotgate.core.key_life import is_published, own_keys
from jotgate.core.mcp_pins import KnownTools, known_of
from jotgate.core.policy_values import KeptPolicies
from jotgate.errors import JotgateError, StoreUnavailable
from jotgate.ports import Clock, StoreAccess
from jotgate.processes.console import log_error, say
from jotgate.store_ports import Store

POLL_S: Final = 0.5
"""How often the store is asked whether something has changed."""


class Picture(Struct, frozen=True):
    """What snapshots are made of from the store; at least as new as its `versions`."""

    versions: Versions
    ring: KeyRing
    issuers: tuple[IssuerRecord, ...]
    policies: KeptPolicies = KeptPolicies(0, ())
    tools: KnownTools = KnownTools()


class Publication(Struct, frozen=True):
    """Since when workers are told of a key: the first snapshot with it, and when that was made (monotonic seconds)."""

    version: int
    at_s: float


def read_picture(store: Store) -> Picture:
    """Read the store. Raises StoreUnavailable."""
    versions = store.versions()
    tools = known_of(store.tool_pins())
    return Picture(versions, store.key_ring(), tuple(store.issuers()), store.policies(), tools)


class StoreFeed:
    """Keeps the picture current. Mutable: the picture, how old it is, since when workers are told of each key.

    `renew` puts a snapshot of the picture into effect and returns its version; None: it could not be made, and the
    picture counts as old until it can.
    """

    def __init__(self, access: StoreAccess, clock: Clock, first: Picture) -> None:
        self._access = access
        self._clock = clock
        self._turn = asyncio.Lock()
        self._applied: Versions | None = None
        self._good_s = clock.monotonic_s()
        self._published: dict[str, Publication] = {}
        self._fault = ""
        self._damaged: tuple[DamagedKey, ...] = ()
        self.picture = first

    @property
    def age_s(self) -> float:
        """The time since everything in the picture was right, in seconds."""
        return self._clock.monotonic_s() - self._good_s

    def begin(self, version: int) -> None:
        """The first picture is in effect, with the snapshot of this version."""
        self._applied = self.picture.versions
        self._note_keys(version)
        self._tell_of_damage(self.picture.ring)

    def published(self, kid: str) -> Publication | None:
        """Since when workers are told of a key."""
        return self._published.get(kid)

    async def look(self, renew: Callable[[], Awaitable[int | None]]) -> None:
        """Ask the store for what is new, and put it into effect. Raises StoreUnavailable."""
        async with self._turn:
            begun_s = self._clock.monotonic_s()
            versions = await self._access.run(lambda store: store.versions())
            if _parts(versions) != self._seen():
                await self._take(await self._access.run(read_picture), renew)
            if self._applied is not None:
                self._good_s = begun_s

    async def keep(self, renew: Callable[[], Awaitable[int | None]], further: Callable[[], Awaitable[None]]) -> None:
        """Look, and then do what is due by it, twice a second until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.look(renew)
                await further()
            except JotgateError as error:
                self._complain(error)
            else:
                self._complain(None)

    def _seen(self) -> tuple[int, ...] | None:
        return None if self._applied is None else _parts(self._applied)

    async def _take(self, picture: Picture, renew: Callable[[], Awaitable[int | None]]) -> None:
        now_s = self._clock.now_s()
        self._tell_of_damage(picture.ring)
        picture = replace(picture, ring=_with_signer(picture.ring, self.picture.ring))
        before, self.picture = self.picture, picture
        same = own_keys(before.ring, now_s) == own_keys(picture.ring, now_s)
        same = same and (before.issuers, before.policies) == (picture.issuers, picture.policies)
        same = same and before.tools == picture.tools
        if same and self._applied is not None:
            self._applied = picture.versions  # As when a key is to verify for longer: no worker need know.
            return
        self._applied = None
        version = await renew()
        if version is not None:
            self._applied = picture.versions
            self._note_keys(version)

    def _note_keys(self, version: int) -> None:
        now_s = self._clock.now_s()
        told = {key.kid for key in self.picture.ring.keys if is_published(key, now_s)}
        since = Publication(version, self._clock.monotonic_s())
        self._published = {kid: self._published.get(kid, since) for kid in told}

    def _tell_of_damage(self, ring: KeyRing) -> None:
        for key in ring.damaged:
            if key not in self._damaged:
                say(
                    f"what the store has of the key {key.kid} cannot be read, so it does not count; a key that signs "
                    "is kept as it was until another signs: jotgate key rotate",
                    event="key_damaged",
                    level="error",
                    kid=key.kid,
                )
        self._damaged = ring.damaged

    def _complain(self, error: JotgateError | None) -> None:
        fault = "" if error is None else error.message
        if fault != self._fault and error is None:
            say("the store answers again", event="store_back", level="info")
        elif fault != self._fault and error is not None:
            event = "store_lost" if isinstance(error, StoreUnavailable) else "keys_refused"
            say("what is in the store cannot be followed now", event=event, level="error")
            log_error(error)
        self._fault = fault


def _parts(versions: Versions) -> tuple[int, ...]:
    """The versions of what snapshots are made of."""
    return (versions.keys, versions.issuers, versions.policies, versions.mcp_tools)


def _with_signer(ring: KeyRing, before: KeyRing) -> KeyRing:
    """The ring with the key that signed before, if its record is damaged, does not say another state, and none signs.

    Its tokens would be refused otherwise, and nobody has ordered that.
    """
    if any(key.state is KeyState.ACTIVE for key in ring.keys):
        return ring
    others = set(KeyState) - {KeyState.ACTIVE}
    damaged = {key.kid for key in ring.damaged if key.state not in others}
    kept = [key for key in before.keys if key.state is KeyState.ACTIVE and key.kid in damaged]
    return replace(ring, keys=(*ring.keys, *kept))
