"""The life of a signing key as pure functions of the records and the time: pending → active → retired → gone.

A state that the store has counts only within the times that stand beside it. For an active key `verifies_until_s` is
the end of the last token that it may have signed so far; it is raised before a longer one is signed, never lowered, and
becomes the end of the key when that is retired. Times are NumericDates.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.claims import LIFETIME_MAX_S
from jotgate.core.durable import KeyRecord, KeyRing, KeyState
from jotgate.errors import CommandError
from jotgate.jose.jwt import LEEWAY_S_MAX

KEY_SET_AGE_S: Final = 300
"""How long others may keep the published key set (RFC 9111 s5.2.2.1)."""

PUBLISHED_MAX: Final = 64
"""How many keys may be published at once; verifiers take a set of a hundred."""

_HORIZON_STEP_S: Final = 3_600
_PUBLISHED: Final = frozenset({KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRED})
_ENDED: Final = frozenset({KeyState.GONE, KeyState.COMPROMISED})
_SEE_LIST: Final = "Look at 'jotgate key list'"


class KeyRules(Struct, frozen=True):
    """How keys are made and replaced; `rotate_after_s` 0: by hand alone. Spans are seconds."""

    algorithm: str = "ES256"
    rotate_after_s: int = 90 * 86_400
    publish_ahead_s: int = 3_600


class OwnKeys(Struct, frozen=True):
    """The keys that verify this installation's tokens: their JWK Set, their algorithms, and ends by `kid`."""

    jwks: bytes
    algorithms: tuple[str, ...]
    ends: Mapping[str, int] = {}


def standing(key: KeyRecord, now_s: float) -> KeyState:
    """The state that counts now: a retired key whose time is over, or was never said, is gone."""
    if key.state is KeyState.RETIRED and (key.verifies_until_s is None or now_s >= key.verifies_until_s):
        return KeyState.GONE
    return key.state


def is_published(key: KeyRecord, now_s: float) -> bool:
    """Whether others are told of the key, and tokens that it signed are taken: these are one thing."""
    return standing(key, now_s) in _PUBLISHED


def signer(keys: Iterable[KeyRecord], now_s: float) -> KeyRecord | None:
    """The key that signs now: the only active one, from its time on. None: nothing may be signed."""
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    if len(active) != 1 or (active[0].signs_from_s is not None and now_s < active[0].signs_from_s):
        return None
    return active[0]


def own_keys(ring: KeyRing, now_s: float) -> OwnKeys:
    """What the snapshot says of this installation's keys."""
    found = [key for key in ring.keys if is_published(key, now_s)]
    return OwnKeys(
        jwks=msgspec.json.encode({"keys": [msgspec.Raw(key.public_jwk) for key in found]}),
        algorithms=tuple(sorted({key.algorithm for key in found})),
        ends={
            key.kid: key.verifies_until_s
            for key in found
            if key.state is KeyState.RETIRED and key.verifies_until_s is not None
        },
    )


def key_set_age_s(keys: Iterable[KeyRecord], now_s: float) -> int:
    """For how many seconds others may keep the key set: not past the time when a pending key may sign."""
    due = [key.signs_from_s for key in keys if key.state is KeyState.PENDING and key.signs_from_s is not None]
    return max(0, min([KEY_SET_AGE_S, *(int(at_s - now_s) for at_s in due)]))


def horizon(key: KeyRecord, expires_at_s: int) -> KeyRecord | None:
    """The key with a later end of the last token, when it is to sign one that ends then; None: it needs no change."""
    if key.verifies_until_s is not None and expires_at_s <= key.verifies_until_s:
        return None
    return replace(key, verifies_until_s=expires_at_s + _HORIZON_STEP_S)


def horizon_of_unknown(now_s: int) -> int:
    """The end of the last token of a key of which nobody wrote down what it signed."""
    return now_s + LIFETIME_MAX_S


def activate(ring: KeyRing, kid: str, now_s: int) -> tuple[KeyRecord, ...]:
    """Make a pending key the one that signs, and retire the one before it: the records that change.

    Other pending keys that were to sign by then are passed over: they are retired, and have signed nothing.

    Raises:
        CommandError: it is not pending.
    """
    key = find(ring, kid)
    if standing(key, now_s) is not KeyState.PENDING:
        raise CommandError(f"the key {kid} is {standing(key, now_s)}, and only a pending one is made to sign")
    before = [
        _retire(one, now_s)
        for one in ring.keys
        if one.state is KeyState.ACTIVE or (one.kid != kid and _is_due(one, now_s))
    ]
    return (*before, replace(key, state=KeyState.ACTIVE, signs_from_s=None, activated_at_s=now_s))


def schedule(ring: KeyRing, kid: str, at_s: int, now_s: int) -> tuple[KeyRecord, ...]:
    """Let a pending key be made the one that signs at a time. Raises CommandError: it is not pending."""
    key = find(ring, kid)
    if standing(key, now_s) is not KeyState.PENDING:
        raise CommandError(f"the key {kid} is {standing(key, now_s)}, and only a pending one can wait to sign")
    return (replace(key, signs_from_s=at_s),)


def retire(ring: KeyRing, kid: str, now_s: int) -> tuple[KeyRecord, ...]:
    """Let a key verify only. Raises CommandError: it signs, or is past that."""
    key = find(ring, kid)
    match standing(key, now_s):
        case KeyState.ACTIVE:
            raise CommandError(f"the key {kid} is the one that signs", hint="Replace it with 'jotgate key rotate'")
        case KeyState.PENDING:
            return (_retire(key, now_s),)
        case state:
            raise CommandError(f"the key {kid} is {state} already", hint=_SEE_LIST)


def revoke(ring: KeyRing, kid: str, now_s: int) -> tuple[KeyRecord, ...]:
    """Refuse whatever a key signed, at once. Raises CommandError: that is so already.

    The one that signs must be replaced in the same step, by whoever makes keys.
    """
    key = find(ring, kid)
    if key.state in _ENDED:
        raise CommandError(f"the key {kid} is {key.state} already", hint=_SEE_LIST)
    return (replace(key, state=KeyState.COMPROMISED, sealed=None, ended_at_s=now_s),)


def bury(ring: KeyRing, now_s: int) -> tuple[KeyRecord, ...]:
    """The retired keys whose time is over, as gone, without their private parts."""
    return tuple(
        replace(key, state=KeyState.GONE, sealed=None, ended_at_s=now_s)
        for key in ring.keys
        if key.state is KeyState.RETIRED and standing(key, now_s) is KeyState.GONE
    )


def next_signer_at_s(ring: KeyRing, rules: KeyRules, now_s: int) -> int | None:
    """When a key that is to be made now would sign; None: the schedule wants none now.

    A rotation that is overdue still gives others the time to learn of the key.
    """
    active = next((key for key in ring.keys if key.state is KeyState.ACTIVE), None)
    waiting = any(key.state is KeyState.PENDING and key.signs_from_s is not None for key in ring.keys)
    if not rules.rotate_after_s or active is None or waiting:
        return None
    due_s = (active.activated_at_s or active.created_at_s) + rules.rotate_after_s
    return max(due_s, now_s + rules.publish_ahead_s) if now_s >= due_s - rules.publish_ahead_s else None


def due(ring: KeyRing, now_s: float) -> KeyRecord | None:
    """The pending key whose time to sign has come; the one that was to come last if there are several."""
    ready = [key for key in ring.keys if _is_due(key, now_s)]
    return max(ready, key=lambda key: (key.signs_from_s or 0, key.created_at_s, key.kid), default=None)


def find(ring: KeyRing, kid: str) -> KeyRecord:
    """The key with this `kid`. Raises CommandError."""
    for key in ring.keys:
        if key.kid == kid:
            return key
    raise CommandError("there is no key with this key ID", hint=_SEE_LIST)


def events(before: KeyRing, changed: Sequence[KeyRecord], origin: str = "created") -> list[tuple[str, KeyRecord]]:
    """What a change means, for the audit log; `origin` says how keys came that were not there before."""
    known = {key.kid: key.state for key in before.keys}
    names = {
        KeyState.ACTIVE: "key.activated",
        KeyState.RETIRED: "key.retired",
        KeyState.GONE: "key.gone",
        KeyState.COMPROMISED: "key.revoked",
    }
    told: list[tuple[str, KeyRecord]] = []
    for key in changed:
        was = known.get(key.kid)
        if was is None:
            told.append((f"key.{origin}", key))
        if key.state is not was and key.state in names:
            told.append((names[key.state], key))
    return told


def _is_due(key: KeyRecord, now_s: float) -> bool:
    return key.state is KeyState.PENDING and key.signs_from_s is not None and key.signs_from_s <= now_s


def _retire(key: KeyRecord, now_s: int) -> KeyRecord:
    last_s = max(now_s, key.verifies_until_s or now_s)
    return replace(
        key,
        state=KeyState.RETIRED,
        retired_at_s=now_s,
        signs_from_s=None,
        verifies_until_s=last_s + LEEWAY_S_MAX,
    )
