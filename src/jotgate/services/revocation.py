"""What was revoked: the set that every verifier asks, and how a token or a family comes into it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import ClientRecord
from jotgate.core.claims import LIFETIME_DEFAULT_S, RENEWED_CLIENT_ID, RENEWED_LIFE_S
from jotgate.core.durable import CLOCKS_APART_S, IssuanceQuery, Revocation, RevocationKind
from jotgate.core.families import Family
from jotgate.core.principals import Principal
from jotgate.core.revocations import Dated, Entry, claim_of, entry_of, inherited_names, token_handle
from jotgate.errors import TokenRevoked
from jotgate.ports import Clock, StoreAccess
from jotgate.services.recorder import Recorder
from jotgate.store_ports import RevocationRecords, Store

PAGE: Final = 1_000
"""So many rows are read, sent or taken at one go."""

_FORGET_MAX: Final = 1_000
_MINUTE_S: Final = 60
_NEVER: Final = 1 << 62
_ALL: Final = 1 << 62  # a watermark that nothing is issued after
_UNKNOWN: Final = -1
_MEANINGS: Final = {
    "jti": "the token was revoked",
    "family": "the refresh-token family that the token came of was revoked",
    "ancestors": "a token that this one was narrowed from was revoked",
    "client_id": "what was issued to the token's client was revoked",
    "sub": "what was issued for the token's subject was revoked",
    "tenant": "what was issued in the token's tenant was revoked",
    "kid": "what the key that signed the token has signed was revoked",
    "sid": "the session that the token came of has ended",
    "origins": "a token that this one was narrowed from was revoked, as its holder, its key or its session was",
}


class RevokedSet:
    """What was revoked and can still be met. Mutable: that, the number of the last row that it has taken, who follows.

    `spares` says whether nothing is known of any of the names that it is given, those of `core.revocations.names_of`;
    it is one operation of a dictionary. What is not spared may be met by a watermark alone, or not: `check` says so.
    `growth` is another object after each addition, so that who was told once need not ask again until then. `last` is
    the row of the store that was taken last, by which a store is known again whose numbers were given twice. A row that
    means nothing yet waits for its time.
    """

    __slots__ = (
        "_before",
        "_by_minute",
        "_coming",
        "_ends",
        "_followers",
        "_minutes",
        "cursor",
        "growth",
        "last",
        "spares",
    )

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}  # the minute from which on a name means nothing
        self._before: dict[str, int] = {}  # the watermarks among them; the others count no longer at all
        self._by_minute: dict[int, list[str]] = {}
        self._minutes: list[int] = []  # a heap of the keys of the former
        self._followers: list[Callable[[Sequence[Entry]], None]] = []
        self._coming: list[Revocation] = []
        self.cursor = 0
        self.last: Revocation | None = None
        self.growth = object()
        self.spares: Final[Callable[[Iterable[str]], bool]] = self._ends.keys().isdisjoint

    def __len__(self) -> int:
        return len(self._ends)

    def follow(self, told: Callable[[Sequence[Entry]], None]) -> None:
        """Have somebody told of what comes in from now on, after each addition; never of what was in before."""
        self._followers.append(told)

    def take_rows(self, rows: Sequence[Revocation], now_s: float = inf) -> list[Entry]:
        """Take rows of the store, which come in the order of their numbers. Returns those as entries that count now.

        The others come with `take_due`. Whoever looks once, and does not follow, takes all for what counts.
        """
        begun_s = now_s + CLOCKS_APART_S
        counting = [row for row in rows if row.revoked_at_s <= begun_s]
        if len(counting) < len(rows):
            self._coming += [row for row in rows if row.revoked_at_s > begun_s and row not in self._coming]
        if rows:
            self.last = rows[-1]
            self.cursor = self.last.number
        return self._take_counting(counting)

    def take_due(self, now_s: float) -> list[Entry]:
        """Take those of earlier rows whose time has come. Returns them as entries."""
        if not self._coming:
            return []
        due = [row for row in self._coming if row.revoked_at_s <= now_s]
        self._coming = [row for row in self._coming if row.revoked_at_s > now_s]
        return self._take_counting(due)

    def _take_counting(self, rows: Sequence[Revocation]) -> list[Entry]:
        entries = [entry_of(row) for row in rows]
        self.take(entries)
        return entries

    def take(self, entries: Iterable[Entry]) -> None:
        """Take entries. What was there of a name stays for as long, and reaches as far, as any of them says."""
        added = [entry for entry in entries if self._add(entry)]
        if added:
            self.growth = object()
            for told in self._followers:
                told(added)

    def _add(self, entry: Entry) -> bool:
        """Take one; False: all that it says was known."""
        name = entry.name
        minute = _NEVER if entry.ends_at_s is None else -(-entry.ends_at_s // _MINUTE_S)
        before_s = _ALL if entry.before_s is None else entry.before_s
        known = self._ends.get(name, _UNKNOWN)
        reached_s = _UNKNOWN if known == _UNKNOWN else self._before.get(name, _ALL)
        if known >= minute and reached_s >= before_s:
            return False
        if max(reached_s, before_s) < _ALL:
            self._before[name] = max(reached_s, before_s)
        else:
            self._before.pop(name, None)
        if minute > known:
            self._ends[name] = minute
            self._forget_at(minute, name)
        return True

    def _forget_at(self, minute: int, name: str) -> None:
        if minute == _NEVER:
            return
        if minute not in self._by_minute:
            self._by_minute[minute] = []
            heappush(self._minutes, minute)
        self._by_minute[minute].append(name)

    def entries(self) -> list[Entry]:
        """All that is in it, as it is now."""
        return [entry for entry in map(self.entry, list(self._ends)) if entry is not None]

    def forget(self, now_s: float) -> None:
        """Let go of some of what means nothing any more; to be called a few times a second."""
        now = int(now_s) // _MINUTE_S
        left = _FORGET_MAX
        while left and self._minutes and self._minutes[0] <= now:
            minute = self._minutes[0]
            names = self._by_minute[minute]
            for name in names[-left:]:
                if self._ends.get(name) == minute:
                    del self._ends[name]
                    self._before.pop(name, None)
            gone = min(left, len(names))
            del names[len(names) - gone :]
            left -= gone
            if not names:
                del self._by_minute[minute]
                heappop(self._minutes)

    def find(self, names: Iterable[str], issued_at_s: float | None, leeway_s: float) -> str | None:
        """The first of a token's names by which it is met; None: it counts.

        A watermark meets what was issued until then, give or take what clocks may differ by, and what does not say
        when it was issued.
        """
        for name in filter(self._ends.__contains__, names):
            before_s = self._before.get(name, _ALL)
            if issued_at_s is None or issued_at_s <= before_s + leeway_s:
                return name
        return None

    def counts(self, dated: Iterable[Dated], leeway_s: float = 0) -> bool:
        """Whether what has these names is met by none of them, each held against its own time."""
        return all(self.spares(one.names) or self.find(one.names, one.issued_at_s, leeway_s) is None for one in dated)

    def entry(self, name: str) -> Entry | None:
        """What is known of a name."""
        minute = self._ends.get(name)
        if minute is None:
            return None
        return Entry(name, None if minute == _NEVER else minute * _MINUTE_S, self._before.get(name))

    def check(self, principal: Principal, names: Iterable[str], leeway_s: float) -> None:
        """Refuse a token that counts no longer; `names` are those of its that concern whoever asks.

        Raises:
            TokenRevoked: it is met by one of them.
        """
        if self.spares(names):
            return
        name = self.find(names, principal.issued_at_s, leeway_s)
        if name is not None:
            raise _revoked(*claim_of(principal, name))
        for one in inherited_names(principal.origins) if principal.origins else ():
            name = self.find(one.names, one.issued_at_s, leeway_s)
            if name is not None:
                raise _revoked("origins", name)


def _revoked(claim: str, got: str) -> TokenRevoked:
    return TokenRevoked(_MEANINGS[claim]).showing(claim, "one that was not revoked", got)


def load_revocations(records: RevocationRecords, now_s: float = inf) -> RevokedSet:
    """All that the store says was revoked; `now_s` as for `RevokedSet.take_rows`. Raises StoreUnavailable."""
    revoked = RevokedSet()
    while rows := records.revocations_after(revoked.cursor, PAGE):
        revoked.take_rows(rows, now_s)
        if len(rows) < PAGE:
            break
    return revoked


def end_family(store: Store, family: Family, now_s: float, *, reason: str, actor: str) -> bool:
    """End a family, and revoke what came of it; False when it had ended. To be called inside `StoreAccess.run`.

    Raises:
        CommandError: the texts cannot be stored.
        StoreUnavailable: it cannot be known whether it was done.
    """
    revocation = Revocation(
        kind=RevocationKind.FAMILY,
        handle=family.family_id,
        revoked_at_s=int(now_s),
        expires_at_s=_last_end_s(store, family, int(now_s)),
        reason=reason,
        actor=actor,
    )
    return store.end_family(family.family_id, int(now_s), revocation)


def _last_end_s(store: Store, family: Family, now_s: int) -> int:
    """When the last access token of a family has ended, also one that is being issued right now."""
    client = store.account(ClientRecord, family.client_id)
    usual_s = RENEWED_LIFE_S if family.client_id == RENEWED_CLIENT_ID else LIFETIME_DEFAULT_S
    last_s = now_s + (usual_s if client is None else client.access_ttl_s)
    query, after = IssuanceQuery(live_at_s=now_s, family=family.family_id), ""
    while rows := store.find_issuances(query, after, PAGE):
        last_s = max(last_s, *(row.expires_at_s for row in rows))
        after = rows[-1].token_id
    return last_s


class Revocable(Struct, frozen=True):
    """A token that is to be revoked, by what `Principal` calls it; `expires_at_s` None: it has no end, or none known.

    `subject` is whom it speaks for, if that is known.
    """

    issuer: str
    token_id: str
    expires_at_s: int | None
    subject: str = ""


class Holder(Struct, frozen=True, kw_only=True):
    """Whose tokens are to be revoked: those of a client, a subject, a tenant, a key or a session, of that `name`.

    `issuer` is whose it is, by what `Principal` calls it; of a client and a tenant it is ours. `handles` are what rows
    name it by. `before_s`: what was issued then or earlier; None: whatever is. After `expires_at_s` all that has ended.
    """

    kind: RevocationKind
    name: str
    issuer: str = ""
    handles: tuple[str, ...]
    before_s: int | None
    expires_at_s: int | None


class Revoker:
    """Revokes while control runs. Immutable. `look` puts what the store has into effect on this machine, at once."""

    def __init__(
        self, access: StoreAccess, recorder: Recorder, clock: Clock, look: Callable[[], Awaitable[None]]
    ) -> None:
        self._access = access
        self._recorder = recorder
        self._clock = clock
        self._look = look

    async def revoke_token(
        self, issuer: str, token_id: str, expires_at_s: int | None, *, reason: str, actor: str, subject: str = ""
    ) -> None:
        """Revoke a token by what `Principal` calls it, and with it all that was narrowed from it.

        `expires_at_s` is its `exp`; None when it has none or it is not known. It is in effect on this machine when
        this returns, and on all within a second.

        Raises:
            CommandError: the texts cannot be stored.
            StoreUnavailable: it cannot be known whether it was done.
            AuditUnavailable: it was done, and could not be recorded.
        """
        await self.revoke_tokens([Revocable(issuer, token_id, expires_at_s, subject)], reason=reason, actor=actor)

    async def revoke_tokens(self, tokens: Sequence[Revocable], *, reason: str, actor: str, after_s: int = 0) -> None:
        """Revoke several as `revoke_token` does, all of them or none; in so many seconds. Raises as it does."""
        now_s = int(self._clock.now_s()) + after_s
        rows = [
            Revocation(
                kind=RevocationKind.TOKEN,
                handle=token_handle(one.issuer, one.token_id),
                revoked_at_s=now_s,
                expires_at_s=one.expires_at_s,
                reason=reason,
                actor=actor,
            )
            for one in tokens
        ]
        await self._access.run(lambda store: store.revoke(rows))
        for one in tokens:
            details: dict[str, str | int] = {"issuer": one.issuer, "jti": one.token_id, "reason": reason}
            details |= {"after": after_s} if after_s else {}
            self._recorder.record("token.revoked", actor=actor, subject=one.subject, details=details)
        await self._look()

    async def revoke_holder(self, holder: Holder, *, reason: str, actor: str) -> None:
        """Revoke what somebody or something was issued, in effect as above. Raises as `revoke_token`."""
        now_s = int(self._clock.now_s())
        rows = [
            Revocation(
                kind=holder.kind,
                handle=handle,
                revoked_at_s=now_s,
                expires_at_s=holder.expires_at_s,
                before_s=holder.before_s,
                reason=reason,
                actor=actor,
            )
            for handle in holder.handles
        ]
        await self._access.run(lambda store: store.revoke(rows))
        details: dict[str, str | int] = {"kind": str(holder.kind), "name": holder.name, "reason": reason}
        details |= {"issuer": holder.issuer} if holder.issuer else {}
        details |= {} if holder.before_s is None else {"before": holder.before_s}
        self._recorder.record("tokens.revoked", actor=actor, details=details)
        await self._look()

    async def end_family(self, family: Family, *, reason: str, actor: str) -> bool:
        """End a refresh-token family and revoke its access tokens, in effect as above; False when it had ended.

        Raises:
            CommandError, StoreUnavailable, AuditUnavailable: as above.
        """
        now_s = self._clock.now_s()
        done: bool = await self._access.run(lambda store: end_family(store, family, now_s, reason=reason, actor=actor))
        if done:
            details = {"family": family.family_id, "client_id": family.client_id, "reason": reason}
            self._recorder.record("family.ended", actor=actor, subject=family.subject, details=details)
            await self._look()
        return done
