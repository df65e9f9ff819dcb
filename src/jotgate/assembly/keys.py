"""The signing keys in control: orders of the operator, rotation by itself, the published key set, and who may sign."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.assembly.account_feed import AccountFeed
from jotgate.assembly.authority import Authority, open_authority
from jotgate.assembly.limit_feed import LimitFeed, read_limits
from jotgate.assembly.means import Means
from jotgate.assembly.reload import Reloader
from jotgate.assembly.revocation_feed import RevocationFeed
from jotgate.assembly.store_feed import POLL_S, StoreFeed, read_picture
from jotgate.assembly.system import SystemClock
from jotgate.core import key_life
from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.durable import KeyState
from jotgate.core.key_checks import key_rules
from jotgate.core.key_life import OwnKeys
from jotgate.core.key_orders import KeyAnswer, KeyOrder
from jotgate.core.key_set import KeySetDocument, publish
from jotgate.errors import ControlStale, NotReady
from jotgate.ports import Clock
from jotgate.processes.bus import BusServer
from jotgate.processes.console import say
from jotgate.processes.messages import BEAT_INTERVAL_S
from jotgate.services.key_desk import KeyDesk
from jotgate.services.revocation import load_revocations
from jotgate.services.rotation import Rotation
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess, ThreadedAccess
from jotgate.stores.addresses import HintsAddress
from jotgate.stores.opening import give_access

_WORKERS_PATIENCE_S: Final = 5.0
_LOOK_PATIENCE_S: Final = 0.4
_NONE: Final[Mapping[str, str]] = {}


class OpenKeys(Struct, frozen=True):
    """An open installation, how control asks its store, and where machines tell one another something."""

    authority: Authority
    access: ThreadedAccess | DirectAccess
    feed: StoreFeed
    revocations: RevocationFeed
    accounts: AccountFeed
    limits: LimitFeed
    hints: HintsAddress | None = None

    @property
    def age_s(self) -> float:
        """The age in seconds of what control knows of the store: of its oldest part."""
        return max(self.feed.age_s, self.revocations.age_s, self.accounts.age_s, self.limits.age_s)

    @property
    def made_at_s(self) -> int:
        """When the installation was made (NumericDate)."""
        return self.authority.made_at_s

    def check_fresh(self, limit_s: float) -> None:
        """Refuse to say anything by what control knows when that is older.

        Raises:
            ControlStale: it is.
        """
        if self.age_s > limit_s:
            raise ControlStale("what the store has could not be read for too long")

    @property
    def keys(self) -> OwnKeys:
        """What a snapshot that is made now says of this installation's keys."""
        return key_life.own_keys(self.feed.picture.ring, SystemClock().now_s())

    @property
    def signs_with(self) -> str:
        """The algorithm of the key that signs now; empty: none does."""
        found = key_life.signer(self.feed.picture.ring.keys, SystemClock().now_s())
        return "" if found is None else found.algorithm

    async def look(self) -> None:
        """Put the accounts and revocations of the store into effect on this machine. Raises StoreUnavailable."""
        await self.accounts.look()
        await self.revocations.look()

    def close(self) -> None:
        """Close the audit log, and the store when it has done what it was asked."""
        self.authority.log.close()
        self.access.close()


def open_keys(means: Means) -> OpenKeys:
    """Open the installation for control. Raises as `open_authority`."""
    authority = open_authority(means)
    _tell_of_leftovers(authority, means)
    access = give_access(authority.store, shared=authority.shared)
    clock = SystemClock()
    feed = StoreFeed(access, clock, read_picture(authority.store))
    revocations = RevocationFeed(access, clock, load_revocations(authority.store, clock.now_s()))
    accounts = AccountFeed(access, clock, feed.picture.versions.accounts)
    limits = LimitFeed(access, clock, read_limits(authority.store))
    return OpenKeys(authority, access, feed, revocations, accounts, limits, means.hints)


def _tell_of_leftovers(authority: Authority, means: Means) -> None:
    """Say that private parts lie in files although they are sealed in the store: nobody else deletes them."""
    sealed = {key.kid for key in authority.ring.keys if key.sealed is not None}
    left = [key.kid for key in authority.parts.strays() if key.kid in sealed]
    if left:
        say(
            f"{len(left)} of the files in '{means.directory.keys}' hold private parts that are sealed in the store; "
            "delete them once the master key has a copy in a safe place",
            event="keys_in_files",
        )


class KeyRoom:
    """Keeps this installation's keys while control runs. Mutable: the keys of which every worker is known to know."""

    def __init__(self, opened: OpenKeys, reloader: Reloader, bus: BusServer, clock: Clock) -> None:
        self._authority = opened.authority
        self._access = opened.access
        self._feed = opened.feed
        self._reloader = reloader
        self._bus = bus
        self._clock = clock
        self._rotation = Rotation(opened.access, opened.authority.parts, clock, self._everyone_knows)
        # Whoever served before this control began had these keys from the one before it.
        self._known = {key.kid for key in opened.authority.ring.keys if key.state is KeyState.ACTIVE}
        opened.feed.begin(reloader.effect.snapshot.version)

    @property
    def kid(self) -> str:
        """The key that signs; empty when none does."""
        found = key_life.signer(self._feed.picture.ring.keys, self._clock.now_s())
        return "" if found is None else found.kid

    def key_set(self) -> KeySetDocument:
        """What is published now: the keys that this snapshot's verifiers take, at this very time."""
        now_s = self._clock.now_s()
        own = self._reloader.effect.snapshot.issuers[0]
        return publish(own, now_s, key_life.key_set_age_s(self._feed.picture.ring.keys, now_s))

    async def renew(self) -> int | None:
        """Put what the store has into effect."""
        return await self._reloader.renew()

    async def keep(self) -> None:
        """Follow the store, and do what is due about the keys, until cancelled."""
        await self._feed.keep(self.renew, self._step)

    async def carry_out(
        self, order: KeyOrder, actor: str = CLI_CLIENT_ID, details: Mapping[str, str] = _NONE
    ) -> KeyAnswer:
        """Do what `actor` orders; the audit log has the `details` too.

        Raises what `KeyDesk.carry_out` does, and AuditUnavailable.
        """
        rules = key_rules(self._reloader.effect.config.keys)

        def desk(store: Store) -> KeyDesk:
            issuer = self._authority.issuer_url
            return KeyDesk(store, self._authority.parts, self._clock, rules, issuer=issuer, alone=False)

        outcome = await self._access.run(lambda store: desk(store).carry_out(order))
        self._authority.tell(outcome.events, actor, details)
        settled = True
        if outcome.events or order.action == "promote":
            await self._feed.look(self.renew)
            settled = await self._bus.acknowledged(self._reloader.effect.snapshot.version, _WORKERS_PATIENCE_S)
        return KeyAnswer(
            await self._access.run(lambda store: desk(store).views()),
            kid=outcome.kid,
            patience_s=self._patience_s,
            settled=settled,
            shared=self._authority.shared,
            running=True,
            text=outcome.text,
        )

    async def await_workers(self, kid: str) -> None:
        """Wait until this machine's workers know a key that signs: one that took the place of a revoked key may be new.

        Raises:
            NotReady: not all of them do within five seconds.
        """
        if kid in self._known:
            return
        if self._feed.published(kid) is None:
            await self._feed.look(self.renew)
        since = self._feed.published(kid)
        if since is None or not await self._bus.acknowledged(since.version, _WORKERS_PATIENCE_S):
            raise NotReady("not every worker knows the new signing key yet", hint="Try again in a moment")
        self._known.add(kid)

    @property
    def _patience_s(self) -> float:
        """How long it takes until whoever does not know what the store has serves nothing."""
        return self._reloader.effect.config.limits.max_staleness_s + POLL_S + BEAT_INTERVAL_S

    async def _everyone_knows(self, kid: str) -> bool:
        since = self._feed.published(kid)
        if since is None:
            return False
        waited_s = self._clock.monotonic_s() - since.at_s
        if self._authority.shared:
            known = waited_s >= self._patience_s  # Machines do not tell one another what they know.
        else:
            known = waited_s >= self._patience_s or await self._bus.acknowledged(since.version, _LOOK_PATIENCE_S)
        if known:
            self._known.add(kid)
        return known

    async def _step(self) -> None:
        rules = key_rules(self._reloader.effect.config.keys)
        for done in await self._rotation.step(self._feed.picture.ring, rules):
            self._authority.tell(done.events)
            await self._feed.look(self.renew)
