"""Carries out what an operator orders about the signing keys: the same with a running control and without one."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jotgate.core import key_life
from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.durable import IssuanceQuery, KeyRecord, KeyRing, KeyState, Revocation, RevocationKind
from jotgate.core.key_checks import check_ahead, check_algorithm
from jotgate.core.key_life import KeyRules
from jotgate.core.key_orders import KeyOrder, KeyView, view
from jotgate.core.revocations import token_handle
from jotgate.errors import CommandError, DirectoryRefused, KeyRefused
from jotgate.jose.imports import read_key
from jotgate.jose.keys import SigningKey, signing_key_to_pem
from jotgate.ports import Clock, PrivateParts
from jotgate.services.keyring import Changed, KeyEvent, Keyring, Placement
from jotgate.store_ports import Store


class Outcome(Struct, frozen=True):
    """What came of an order: the ring, what happened, the key that it was about, what is exported (maybe a secret)."""

    ring: KeyRing
    events: tuple[KeyEvent, ...]
    kid: str
    text: str = ""

    def __repr__(self) -> str:
        return f"Outcome({self.kid})"


class KeyDesk:
    """Takes orders about the keys in one store. Immutable. Plain calls, which may wait for the database.

    `issuer` is the `iss` of this installation. `alone`: no process but this one can be using the keys, so that a new
    one need not be made known before it signs.
    """

    def __init__(
        self, store: Store, parts: PrivateParts, clock: Clock, rules: KeyRules, *, issuer: str, alone: bool
    ) -> None:
        self._keyring = Keyring(store, parts, clock)
        self._store = store
        self._parts = parts
        self._rules = rules
        self._issuer = issuer
        self._alone = alone

    def carry_out(self, order: KeyOrder) -> Outcome:
        """Do it.

        Raises:
            CommandError: it cannot be done, as things are.
            KeyRefused: the key that is given is none.
            StoreUnavailable, DirectoryRefused: see `Keyring`.
        """
        match order.action:
            case "list":
                return Outcome(self._store.key_ring(), (), "")
            case "rotate":
                return self._rotate(order)
            case "promote":
                return self._promote(order.kid)
            case "retire":
                return self._told(
                    self._keyring.change(lambda ring: key_life.retire(ring, order.kid, self._keyring.now_s)), order.kid
                )
            case "revoke":
                return self._revoke(order)
            case "import":
                return self._import(order)
            case "export":
                return self._export(order)

    def views(self) -> list[KeyView]:
        """The keys as their operator sees them, oldest first."""
        return [self._view(key) for key in self._store.key_ring().keys]

    def _view(self, key: KeyRecord) -> KeyView:
        now_s = self._keyring.now_s
        if not key_life.is_published(key, now_s):
            return view(key, now_s, private=False, live_tokens=0)
        live = self._store.count_issuances(IssuanceQuery(live_at_s=now_s, kid=key.kid))
        try:
            return view(key, now_s, private=self._parts.find(key) is not None, live_tokens=live)
        except (DirectoryRefused, KeyRefused) as error:  # Others are to be seen still, and only signing needs it.
            return view(key, now_s, private=False, live_tokens=live, fault=error.message)

    def _rotate(self, order: KeyOrder) -> Outcome:
        now_s = self._keyring.now_s
        if order.algorithm:
            check_algorithm(order.algorithm)
        if order.ahead_s is not None:
            check_ahead(order.ahead_s, self._rules)
        made: list[str] = []

        def place(ring: KeyRing, new: KeyRecord) -> Sequence[KeyRecord]:
            made[:] = [new.kid]
            if self._alone and order.ahead_s is None:
                later = KeyRing(ring.version, (*ring.keys, replace(new, signs_from_s=now_s)))
                return key_life.activate(later, new.kid, now_s)
            return (replace(new, signs_from_s=now_s + (order.ahead_s or 0)),)

        done = self._keyring.make(order.algorithm or self._rules.algorithm, _bounded(place))
        return self._told(done, made[0])

    def _revoke(self, order: KeyOrder) -> Outcome:
        """Refuse a key, and with what it signed all that was narrowed from that, whoever signed it."""
        done = self._keyring.revoke(order.kid, order.algorithm or self._rules.algorithm)
        now_s = int(self._keyring.now_s)
        row = Revocation(
            kind=RevocationKind.KEY,
            handle=token_handle(self._issuer, order.kid),
            revoked_at_s=now_s,
            expires_at_s=now_s + LIFETIME_MAX_S,
            reason="key revoked",
        )
        self._store.revoke([row])
        return self._told(done, order.kid)

    def _promote(self, kid: str) -> Outcome:
        now_s = self._keyring.now_s
        if self._alone:
            done = self._keyring.change(lambda ring: key_life.activate(ring, kid, now_s))
        else:
            done = self._keyring.change(lambda ring: key_life.schedule(ring, kid, now_s, now_s))
        return self._told(done, kid)

    def _import(self, order: KeyOrder) -> Outcome:
        key = read_key(order.material.encode(), order.algorithm)
        now_s = self._keyring.now_s
        last_s = key_life.horizon_of_unknown(now_s)
        if order.state == "retired":
            public = key.verification_key if isinstance(key, SigningKey) else key
            record = self._keyring.record(public, KeyState.RETIRED, None)
            record = replace(record, retired_at_s=now_s)
        elif isinstance(key, SigningKey):
            record = self._keyring.record(key.verification_key, KeyState.PENDING, None)
        else:
            raise CommandError(
                "the key is a public one and can sign nothing", hint="Import it to verify with: --state retired"
            )
        record = replace(record, verifies_until_s=last_s)
        if any(one.kid == record.kid for one in self._store.key_ring().keys):
            raise CommandError(f"the key {record.kid} is there already", hint="Look at 'jotgate key list'")
        if isinstance(key, SigningKey) and order.state != "retired":
            record = replace(record, sealed=self._parts.keep(key))

        def place(ring: KeyRing, new: KeyRecord) -> Sequence[KeyRecord]:
            if any(one.kid == new.kid for one in ring.keys):
                raise CommandError(f"the key {new.kid} is there already", hint="Look at 'jotgate key list'")
            return (new,)

        return self._told(self._keyring.place(record, _bounded(place), "imported"), record.kid)

    def _export(self, order: KeyOrder) -> Outcome:
        ring = self._store.key_ring()
        record = key_life.find(ring, order.kid)
        if not order.private:
            return Outcome(ring, (), record.kid, msgspec.json.format(record.public_jwk, indent=2).decode() + "\n")
        key = self._parts.find(record) if key_life.is_published(record, self._keyring.now_s) else None
        if key is None:
            raise CommandError(f"the private part of the key {record.kid} is not here")
        event = KeyEvent("key.exported", record.kid, record.algorithm)
        return Outcome(ring, (event,), record.kid, signing_key_to_pem(key).decode())

    def _told(self, done: Changed, kid: str) -> Outcome:
        return Outcome(done.ring, done.events, kid)


def _bounded(place: Placement) -> Placement:
    """A placement that is refused where more keys would be published than verifiers take."""

    def bounded(ring: KeyRing, new: KeyRecord) -> Sequence[KeyRecord]:
        if len([key for key in ring.keys if key_life.is_published(key, new.created_at_s)]) >= key_life.PUBLISHED_MAX:
            raise CommandError(
                f"{key_life.PUBLISHED_MAX} keys are published already",
                hint="Wait until retired ones are gone, or end them with 'jotgate key revoke'",
            )
        return place(ring, new)

    return bounded
