"""The signing keys of an installation: opened, made, replaced, ended. Each change is one compare-and-set of the store.

What a change is made of is decided anew when another machine changed the keys first, so that of several that would do
the same exactly one does it. A private part is kept before the record that speaks of it, and erased after it: a process
that ends between any two steps leaves something that the next start completes.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jotgate.core import key_life
from jotgate.core.durable import KeyRecord, KeyRing, KeyState
from jotgate.core.key_life import KeyRules, horizon_of_unknown
from jotgate.errors import CommandError, DirectoryRefused, KeyRefused, TokenMalformed
from jotgate.jose.encoding import parse_object
from jotgate.jose.keys import SigningKey, VerificationKey, generate, public_jwk, verification_key_from_jwk
from jotgate.ports import Clock, PrivateParts
from jotgate.store_ports import Store

Decision = Callable[[KeyRing], Sequence[KeyRecord]]
"""What is to change about a ring; nothing: it is as it should be. Raises CommandError: it cannot be."""

Placement = Callable[[KeyRing, KeyRecord], Sequence[KeyRecord]]
"""What a new key is to change about a ring, itself included; nothing: it is not needed."""


class KeyEvent(Struct, frozen=True):
    """Something that happened to a key, by the name that the audit log has for it."""

    name: str
    kid: str
    algorithm: str


class Changed(Struct, frozen=True):
    """The ring after a change, and what happened."""

    ring: KeyRing
    events: tuple[KeyEvent, ...] = ()


class Keyring:
    """Opens and changes the keys in a store. Immutable. Plain calls, which may wait for the database.

    All raise StoreUnavailable, and DirectoryRefused or KeyRefused where private parts cannot be kept.
    """

    def __init__(self, store: Store, parts: PrivateParts, clock: Clock) -> None:
        self._store = store
        self._parts = parts
        self._clock = clock

    @property
    def now_s(self) -> int:
        """Now, as records have it."""
        return int(self._clock.now_s())

    def open(self, algorithm: str) -> Changed:
        """Make the first key, or take over what an installation without records has, and complete what was begun.

        Raises:
            DirectoryRefused: which of several keys signs is not said, or the private part of that key is not here.
            KeyRefused: no single key signs, or its public part is another's.
        """
        done = self._begin(algorithm)
        self._parts.adopted()
        for further in (self.seal(), self.bury()):
            done = Changed(further.ring, done.events + further.events)
        active = [key for key in done.ring.keys if key.state is KeyState.ACTIVE]
        if len(active) != 1:
            kids = ", ".join(key.kid for key in self._store.key_ring().damaged)
            damaged = f"; what it has of these keys cannot be read: {kids}" if kids else ""
            raise KeyRefused(
                f"the store does not say which one key signs{damaged}",
                hint="Bring it back from a backup: docs/keys.md",
            )
        private = self._parts.find(active[0])
        if private is None:
            raise missing(active[0])
        if not _fits(active[0], private):
            raise KeyRefused(
                f"the public part that the store has of the key {active[0].kid} is not that of its private part, so "
                "nothing that it signs would be taken",
                hint="Bring the store back from a backup: docs/keys.md",
            )
        return done

    def make(self, algorithm: str, place: Placement) -> Changed:
        """Make a key, and change the ring with it as `place` says."""
        key = generate(algorithm)
        while key.kid.startswith("-"):  # One in 64, which every command line would take for an option.
            key = generate(algorithm)
        record = self.record(key.verification_key, KeyState.PENDING, self._parts.keep(key))
        return self.place(record, place)

    def place(self, record: KeyRecord, place: Placement, origin: str = "created") -> Changed:
        """Change the ring with a record whose private part is kept already; it is erased if it finds no place.

        When the store fails, nobody knows whether the record is there, so the private part stays.
        """
        try:
            done = self.change(lambda ring: place(ring, record), origin)
        except CommandError:
            self._forget_unless_in(self._store.key_ring(), record)
            raise
        self._forget_unless_in(done.ring, record)
        return done

    def change(self, decide: Decision, origin: str = "created") -> Changed:
        """Change the ring as is decided, anew for as long as somebody else changes it first."""
        while True:
            ring = self._store.key_ring()
            changed = decide(ring)
            if not changed:
                return Changed(ring)
            version = self._store.put_keys(ring.version, changed)
            if version is not None:
                told = key_life.events(ring, changed, origin)
                return Changed(
                    _with(ring, changed, version), tuple(KeyEvent(name, key.kid, key.algorithm) for name, key in told)
                )

    def revoke(self, kid: str, algorithm: str) -> Changed:
        """Refuse a key at once; the one that signs is replaced by a new one in the same step.

        Raises:
            CommandError: there is no such key, or it is refused already.
        """

        def place(ring: KeyRing, new: KeyRecord) -> Sequence[KeyRecord]:
            refused = key_life.revoke(ring, kid, self.now_s)
            if key_life.find(ring, kid).state is not KeyState.ACTIVE:
                return refused
            return (*refused, replace(new, state=KeyState.ACTIVE, activated_at_s=self.now_s))

        done = self.make(algorithm, place)
        self._erase(done.ring)
        return done

    def plan(self, ring: KeyRing, rules: KeyRules) -> Changed:
        """Make the pending key that the schedule wants now, if it does."""
        if key_life.next_signer_at_s(ring, rules, self.now_s) is None:
            return Changed(ring)

        def place(ring: KeyRing, new: KeyRecord) -> Sequence[KeyRecord]:
            at_s = key_life.next_signer_at_s(ring, rules, self.now_s)
            return () if at_s is None else (replace(new, signs_from_s=at_s),)

        return self.make(rules.algorithm, place)

    def bury(self) -> Changed:
        """Let the keys go whose time is over, and erase the private parts of all that ended."""
        done = self.change(lambda ring: key_life.bury(ring, self.now_s))
        self._erase(done.ring)
        return done

    def seal(self) -> Changed:
        """Seal the private parts that are here and not in their records, where that is how they are kept."""
        if not self._parts.seals:
            return Changed(self._store.key_ring())

        def decide(ring: KeyRing) -> list[KeyRecord]:
            sealed: list[KeyRecord] = []
            for record in ring.keys:
                open_yet = record.sealed is None and key_life.is_published(record, self.now_s)
                key = self._parts.find(record) if open_yet else None
                if key is not None:
                    sealed.append(replace(record, sealed=self._parts.keep(key)))
            return sealed

        return self.change(decide)

    def reserve(self, expires_at_s: int) -> KeyRecord:
        """The key that signs now; its record says from here on that a token of it may end then.

        Raises:
            KeyRefused: no key may sign now.
        """
        found = self._signer(self._store.key_ring())
        if key_life.horizon(found, expires_at_s) is None:
            return found  # As it is for all but one token in an hour.

        def decide(ring: KeyRing) -> Sequence[KeyRecord]:
            later = key_life.horizon(self._signer(ring), expires_at_s)
            return () if later is None else (later,)

        return self._signer(self.change(decide).ring)

    def record(self, key: VerificationKey, state: KeyState, sealed: bytes | None) -> KeyRecord:
        """The record of a new key."""
        return KeyRecord(
            kid=key.kid,
            algorithm=key.algorithm.name,
            public_jwk=msgspec.json.encode(public_jwk(key)),
            sealed=sealed,
            state=state,
            created_at_s=self.now_s,
        )

    def _signer(self, ring: KeyRing) -> KeyRecord:
        found = key_life.signer(ring.keys, self._clock.now_s())
        if found is None:
            raise KeyRefused("no key may sign now", hint="Look at 'jotgate key list' and at the machine's clock")
        return found

    def _begin(self, algorithm: str) -> Changed:
        ring = self._store.key_ring()
        if ring.keys or ring.damaged:
            return Changed(ring)
        strays = list(self._parts.strays())
        named = self._parts.named()
        if strays or named is not None:
            return self._take_over(strays, named)

        def first(ring: KeyRing, new: KeyRecord) -> Sequence[KeyRecord]:
            return (
                () if ring.keys or ring.damaged else (replace(new, state=KeyState.ACTIVE, activated_at_s=self.now_s),)
            )

        return self.make(algorithm, first)

    def _take_over(self, strays: Sequence[SigningKey], named: str | None) -> Changed:
        """Keep records of keys that have none. A single key without a mark is that of a first start that was cut."""
        signs = strays[0].kid if named is None and len(strays) == 1 else named
        if all(key.kid != signs for key in strays):
            raise DirectoryRefused(
                "the file 'keys/active' does not name one of the keys in 'keys'",
                hint="Bring the missing key back from a backup, or write the kid of one that is there into "
                "'keys/active'",
            )
        now_s = self.now_s
        records: list[KeyRecord] = []
        for key in strays:
            record = self.record(key.verification_key, KeyState.ACTIVE, None)
            record = replace(record, activated_at_s=now_s, verifies_until_s=horizon_of_unknown(now_s))
            if key.kid != signs:
                record = replace(record, state=KeyState.RETIRED, activated_at_s=None, retired_at_s=now_s)
            records.append(record)
        return self.change(lambda ring: () if ring.keys else records, "adopted")

    def _forget_unless_in(self, ring: KeyRing, record: KeyRecord) -> None:
        if all(key.kid != record.kid for key in ring.keys):
            self._parts.forget(record)

    def _erase(self, ring: KeyRing) -> None:
        for record in ring.keys:
            if not key_life.is_published(record, self.now_s):
                self._parts.forget(record)


def missing(record: KeyRecord) -> DirectoryRefused:
    """The error for a key that is to sign and whose private part this machine does not have."""
    return DirectoryRefused(
        f"the key {record.kid} signs, and its private part is not on this machine",
        hint=f"Copy 'keys/{record.algorithm}.{record.kid}.pem' from the machine that made it, or seal the keys in the "
        "store with keys.master_key_env or keys.master_key_file (docs/keys.md)",
    )


def _fits(record: KeyRecord, private: SigningKey) -> bool:
    """Whether a record's public part verifies what the private part signs."""
    try:
        public = verification_key_from_jwk(parse_object(record.public_jwk, "JWK"))
    except (KeyRefused, TokenMalformed):
        return False
    return public_jwk(public) == public_jwk(private.verification_key)


def _with(ring: KeyRing, changed: Sequence[KeyRecord], version: int) -> KeyRing:
    """The ring as the store has it after a change: oldest first."""
    keys = {key.kid: key for key in (*ring.keys, *changed)}
    return KeyRing(version, tuple(sorted(keys.values(), key=lambda key: (key.created_at_s, key.kid))))
