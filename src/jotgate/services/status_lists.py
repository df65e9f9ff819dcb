"""Gives each new token its place in a Token Status List, and publishes the lists, by what is revoked at that moment.

The store has an entry for each token, as a mark: where it stands, and all that it can be revoked by. So any machine
can give places of any list and publish it, and a restart loses none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import Final

from msgspec import DecodeError, Struct
from msgspec.structs import replace

from jotgate.core.durable import Mark
from jotgate.core.revocations import Dated, reach_s
from jotgate.core.status_lists import (
    ENTRIES,
    LIST_TYPE,
    LISTS_PATH,
    StatusRules,
    is_list_name,
    list_claims,
    list_of_day,
    mark_handle,
    mark_kind,
    pack_names,
    pack_statuses,
    status_claim,
    unpack_names,
)
from jotgate.errors import StoreRefused
from jotgate.jose import jws, jwt
from jotgate.jose.jwt import LEEWAY_S_MAX
from jotgate.ports import Clock, Entropy, Signer, StoreAccess
from jotgate.services.revocation import RevokedSet
from jotgate.store_ports import Store

_PAGE: Final = 1_000
_TRIES: Final = 4
"""A list in which so many places, found by chance, are taken is about full, and the next one is begun."""
_INDEX_BYTES: Final = 4
_MADE_ANEW_S: Final = 1.0
"""However much is revoked, a list is made of the store's entries no oftener."""
_HELD_MAX: Final = 64
"""So many lists are held as they were made last; the one that was asked for first goes."""

SignUntil = Callable[[int], Awaitable[Signer]]
"""Whoever signs now what ends then. Raises as `ports.Signers.signer`."""


class StatusPlaces:
    """Gives places to tokens. Mutable: how many of this day's lists are about full. `rules` are those of the moment."""

    def __init__(
        self, access: StoreAccess, *, issuer: str, entropy: Entropy, clock: Clock, rules: Callable[[], StatusRules]
    ) -> None:
        self._access = access
        self._issuer = issuer
        self._entropy = entropy
        self._clock = clock
        self._rules = rules
        self._day = ""
        self._full = 0

    async def claim(self, names: Callable[[], Sequence[Dated]], expires_at_s: int) -> dict[str, object]:
        """The claim of a token with these names, which ends then; none where tokens stand in no list.

        Its place is kept when this returns, and stays so whatever becomes of the token. Raises StoreUnavailable.
        """
        if not self._rules().on:
            return {}
        content = pack_names(names())
        now_s = int(self._clock.now_s())
        while True:
            name = self._list_of(now_s)
            tries = [int.from_bytes(self._entropy.random_bytes(_INDEX_BYTES), "big") % ENTRIES for _ in range(_TRIES)]
            mark = Mark(mark_kind(name), "", expires_at_s + LEEWAY_S_MAX, content)  # So long it is taken at most.
            index = await self._access.run(partial(_place, mark, tries, now_s))
            if index is not None:
                return status_claim(self._issuer + LISTS_PATH + name, index)
            self._full += 1

    def _list_of(self, now_s: int) -> str:
        first = list_of_day(now_s, 0)
        if first != self._day:
            self._day, self._full = first, 0
        return list_of_day(now_s, self._full)


class StatusDocument(Struct, frozen=True):
    """A list as it is handed out, its strong validator, and for how many seconds others may keep it."""

    body: bytes
    etag: str
    max_age_s: int


class _Held(Struct, frozen=True):
    """A list as it was made last: of which revocations, at what time (of the monotonic clock)."""

    document: StatusDocument
    packed: str
    growth: object
    looked_s: float
    signed_s: float


class StatusLists:
    """Publishes lists. Mutable: those that were made last, bounded. `sign` is whoever signs access tokens too."""

    def __init__(
        self,
        access: StoreAccess,
        revoked: RevokedSet,
        *,
        issuer: str,
        sign: SignUntil,
        clock: Clock,
        rules: Callable[[], StatusRules],
    ) -> None:
        self._access = access
        self._revoked = revoked
        self._issuer = issuer
        self._sign = sign
        self._clock = clock
        self._rules = rules
        self._held: dict[str, _Held] = {}
        self._turn = asyncio.Lock()

    async def find(self, name: str) -> StatusDocument | None:
        """The list of this name as it is now, at most a second old; None: no token that counts stands in it.

        Raises:
            KeyRefused, DirectoryRefused: no key may sign now.
            StoreUnavailable, StoreRefused: its entries cannot be read.
        """
        if not is_list_name(name):
            return None
        async with self._turn:  # What many ask for at once is made once.
            held, now_s = self._held.get(name), self._clock.monotonic_s()
            if held is None or (held.growth is not self._revoked.growth and now_s - held.looked_s >= _MADE_ANEW_S):
                held = await self._make(name, held, now_s)
            elif now_s - held.signed_s >= self._rules().ttl_s / 2:
                held = await self._sign_anew(name, held, now_s)
            return None if held is None else held.document

    async def _make(self, name: str, before: _Held | None, now_s: float) -> _Held | None:
        growth = self._revoked.growth
        packed = await self._pack(name)
        if packed is None:
            self._held.pop(name, None)
            return None
        if before is not None and before.packed == packed and now_s - before.signed_s < self._rules().ttl_s / 2:
            return self._hold(name, _Held(before.document, packed, growth, now_s, before.signed_s))
        return await self._sign_anew(name, _Held(StatusDocument(b"", "", 0), packed, growth, now_s, now_s), now_s)

    async def _pack(self, name: str) -> str | None:
        """The statuses of a list; None: nothing stands in it."""
        kind, leeway_s, invalid, after = mark_kind(name), reach_s(self._rules().leeway_s), list[int](), ""
        while True:
            entries = await self._access.run(partial(_read, kind, after))
            if not entries and not after:
                return None
            invalid += [index for index, names in entries if not self._revoked.counts(names, leeway_s)]
            if len(entries) < _PAGE:
                return pack_statuses(invalid)
            after = mark_handle(entries[-1][0])

    async def _sign_anew(self, name: str, held: _Held, now_s: float) -> _Held:
        rules, issued_s = self._rules(), self._clock.now_s()
        claims = list_claims(self._issuer + LISTS_PATH + name, held.packed, issued_s, rules)
        signer = await self._sign(int(issued_s) + rules.life_s)
        signing_input = jwt.prepare(claims, LIST_TYPE, signer.key)
        body = jws.attach(signing_input, await signer.sign(signing_input), signer.key, trusted=signer.local)
        document = StatusDocument(body, f'"{sha256(body).hexdigest()[:32]}"', rules.ttl_s)
        return self._hold(name, _Held(document, held.packed, held.growth, held.looked_s, now_s))

    def _hold(self, name: str, held: _Held) -> _Held:
        if name not in self._held and len(self._held) >= _HELD_MAX:
            del self._held[next(iter(self._held))]
        self._held[name] = held
        return held


def _place(mark: Mark, tries: Sequence[int], now_s: int, store: Store) -> int | None:
    """Keep a mark at the first of these places that is free; which that is."""
    for index in tries:
        if store.mark(replace(mark, handle=mark_handle(index)), now_s) is None:
            return index
    return None


def _read(kind: str, after: str, store: Store) -> list[tuple[int, tuple[Dated, ...]]]:
    """Some entries of a list: their places, and what they can be revoked by."""
    try:
        return [(int(one.handle), unpack_names(one.content)) for one in store.marks_of(kind, after, _PAGE)]
    except (DecodeError, ValueError):
        raise StoreRefused(
            f"a mark of the kind '{kind}' is no entry of a status list", hint="Bring the store back from a backup"
        ) from None
