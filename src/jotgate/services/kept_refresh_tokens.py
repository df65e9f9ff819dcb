"""Keeps the refresh tokens of upstreams in the store, sealed: each dies on use, and its successor takes its place.

Some are for one caller of an upstream each. Secrets that are sent as they are kept beside them in the same way.

Before one is sent, the store says so; what comes of it is kept before anybody is given the access token. A control
process that is cut short in between has lost the successor, if the upstream has answered, and its own is dead then:
the store says when that was, and somebody logs in again. If the upstream has not answered, or was not reached, the one
that is kept is good still, and is sent again. Machines that share a store wait for one another.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from jotgate.core.coze_login import REFRESH_LIFE_S
from jotgate.core.token_exchange import KeptRefreshToken
from jotgate.core.token_grants import KEPT, LOGIN, TokenGrant
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused, RecordChanged, StoreUnavailable
from jotgate.ports import Clock, Seals, StoreAccess

UNDER_WAY_S: Final = 20
"""For so long is another machine waited for that has sent a token and has not kept what came of it."""
LATE_S: Final = 1.0
"""So often is it tried to keep what the store did not take."""

_LOOK_S: Final = 0.25
_TRIES: Final = 5
_Key = tuple[str, str]
"""An upstream, and whose of its callers it is; empty: that of all."""


class StoredRefreshTokens:
    """Keeps them (ports.KeptRefreshTokens). Mutable: the records as they were read, and what the store has not taken.

    `grants` says by what settings an upstream's tokens are got; a token of another client, or of another token
    endpoint, is of no use to it. `shared`: other machines may use the store.
    """

    def __init__(
        self,
        access: StoreAccess,
        seals: Seals,
        clock: Clock,
        grants: Callable[[str], TokenGrant | None],
        *,
        pause: Callable[[float], Awaitable[None]],
        shared: bool,
    ) -> None:
        self._access = access
        self._seals = seals
        self._clock = clock
        self._grants = grants
        self._pause = pause
        self._shared = shared
        self._known: dict[_Key, UpstreamLogin] = {}
        self._late: dict[_Key, UpstreamLogin] = {}
        self._turn = asyncio.Lock()

    async def read(self, upstream: str, holder: str = "") -> KeptRefreshToken | None:
        """The newest of this upstream and caller, which is about to be sent; None: none fits its settings.

        Raises:
            DirectoryRefused: it cannot be opened.
            StoreUnavailable: the store does not answer, or another machine does not get done.
        """
        grant = self._grants(upstream)
        if grant is None:
            return None
        for _ in range(_TRIES):
            record = await self._settled((upstream, holder))
            if record is None or not _fits(record, grant):
                self._remember((upstream, holder), record)
                return None
            found = KeptRefreshToken(self._open(record), record.origin, float(record.obtained_at_s), record.fault)
            if grant.keeps or record.fault or record.origin != grant.origin or self._is_marked(record):
                self._remember((upstream, holder), record)
                return found
            marked = replace(record, under_way_s=int(self._clock.now_s()))
            version = await self._put(marked)
            if version is not None:
                self._remember((upstream, holder), replace(marked, version=version))
                return found
        raise StoreUnavailable(f"the refresh token of '{upstream}' is being changed by others")

    async def keep(self, upstream: str, kept: KeptRefreshToken, holder: str = "") -> None:
        """Keep a successor. One of a login that was ended, or replaced, meanwhile is not kept.

        What the store does not take now is tried again by `keep_late`.

        Raises:
            DirectoryRefused: it cannot be sealed.
            StoreUnavailable: the store does not answer.
        """
        grant = self._grants(upstream)
        if grant is None:
            return
        key = (upstream, holder)
        before = self._known.get(key)
        obtained_at_s = int(kept.obtained_s)
        begun_at_s = before.begun_at_s if before is not None and before.origin == kept.origin else obtained_at_s
        self._late[key] = self._sealed(grant, kept, holder, begun_at_s)
        await self._write(key)

    async def fail(self, upstream: str, holder: str, fault: str) -> None:
        """Keep that the one that was sent last is of no use any more; one that has come meanwhile stays as it is.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        key = (upstream, holder)
        async with self._turn:
            before = self._known.get(key)
            if before is None:
                return
            failed = replace(before, fault=fault, faulted_at_s=int(self._clock.now_s()), under_way_s=None)
            version = await self._put(failed)
            self._remember(key, None if version is None else replace(failed, version=version))

    async def log_in(self, grant: TokenGrant, token: Secret, holder: str = "") -> UpstreamLogin | None:
        """Keep the token of a login, or a secret, whatever was kept before, which is returned.

        Raises:
            DirectoryRefused, StoreUnavailable: as `keep`.
            RecordChanged: others change it all the time.
        """
        now_s = int(self._clock.now_s())
        kept = KeptRefreshToken(token, KEPT if grant.keeps else LOGIN, float(now_s))
        record, key = self._sealed(grant, kept, holder, now_s), (grant.upstream, holder)
        async with self._turn:
            self._late.pop(key, None)
            for _ in range(_TRIES):
                before = await self._access.run(lambda store: store.upstream_login(*key))
                fresh = replace(record, version=before.version if before is not None else 0)
                if await self._put(fresh) is not None:
                    self._known.pop(key, None)
                    return before
        raise RecordChanged(f"the refresh token of '{grant.upstream}' is being changed by others")

    async def forget(self, upstream: str, holder: str = "") -> None:
        """Erase the token of an upstream; it may be gone already. Raises StoreUnavailable."""
        key = (upstream, holder)
        async with self._turn:
            self._late.pop(key, None)
            self._known.pop(key, None)
            await self._access.run(lambda store: store.drop_upstream_login(*key))

    def fault_of(self, record: UpstreamLogin) -> str:
        """Why a token that is kept cannot be opened here; empty: it can."""
        try:
            self._open(record)
        except DirectoryRefused as refusal:
            return refusal.message
        return ""

    async def keep_late(self) -> None:
        """Keep what the store did not take, until cancelled."""
        while True:
            await self._pause(LATE_S)
            await self.settle()

    async def settle(self) -> None:
        """Try once to keep what the store did not take."""
        for key in list(self._late):
            try:
                await self._write(key)
            except StoreUnavailable:
                return

    async def _write(self, key: _Key) -> None:
        async with self._turn:
            record = self._late.get(key)
            if record is None:
                return  # Somebody logged in or out meanwhile, or the other of two has kept it.
            before = self._known.get(key)
            fresh = replace(record, version=before.version if before is not None else 0)
            version = await self._put(fresh)
            if self._late.get(key) is record:
                del self._late[key]
            self._remember(key, None if version is None else replace(fresh, version=version))

    async def _put(self, record: UpstreamLogin) -> int | None:
        return await self._access.run(lambda store: store.put_upstream_login(record))

    async def _settled(self, key: _Key) -> UpstreamLogin | None:
        """The record, as soon as no other machine is using it."""
        while True:
            record = await self._access.run(lambda store: store.upstream_login(*key))
            if record is None or record.under_way_s is None or not self._shared or self._is_ours(record):
                return record
            if self._clock.now_s() - record.under_way_s >= UNDER_WAY_S:
                return record
            await self._pause(_LOOK_S)

    def _is_marked(self, record: UpstreamLogin) -> bool:
        """Whether it says when it was sent. Alone, the first time of which nothing came stands, whoever it was."""
        return self._is_ours(record) or (not self._shared and record.under_way_s is not None)

    def _is_ours(self, record: UpstreamLogin) -> bool:
        """Whether it was marked here that this one is under way."""
        return record.under_way_s is not None and self._known.get((record.upstream, record.holder)) == record

    def _remember(self, key: _Key, record: UpstreamLogin | None) -> None:
        if record is None:
            self._known.pop(key, None)
        else:
            self._known[key] = record

    def _open(self, record: UpstreamLogin) -> Secret:
        return self._seals.open(record.sealed, record.context)

    def _sealed(self, grant: TokenGrant, kept: KeptRefreshToken, holder: str, begun_at_s: int) -> UpstreamLogin:
        obtained_at_s = int(kept.obtained_s)
        record = UpstreamLogin(
            upstream=grant.upstream,
            origin=kept.origin,
            client_id=grant.client_id,
            token_url=grant.token_url,
            sealed=b"",
            begun_at_s=begun_at_s,
            obtained_at_s=obtained_at_s,
            ends_at_s=obtained_at_s + REFRESH_LIFE_S if grant.dialect == "coze" else None,
            holder=holder,
        )
        return replace(record, sealed=self._seals.seal(kept.token, record.context))


def _fits(record: UpstreamLogin, grant: TokenGrant) -> bool:
    """Whether what is kept was got for this client at this endpoint, and is a secret where one is wanted."""
    same = (record.client_id, record.token_url) == (grant.client_id, grant.token_url)
    return same and (record.origin == KEPT) == grant.keeps
