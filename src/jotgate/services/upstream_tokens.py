"""Control's keeper of the tokens that upstreams want: one for each upstream and session, renewed before it ends.

However many want the token of a session, one exchange is under way for it. A new one is asked for when somebody wants
the token in the last part of its life, and the one before is good until the new one is there, but not in its last 5 s.
Nothing is renewed that nobody wants. Whoever is refused, or cannot be reached, is left alone for a while.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.token_exchange import Declined, Handout, NotNow
from jotgate.core.token_grants import OF_CALLERS, TokenGrant
from jotgate.core.upstream_tokens import (
    NO_REFUSAL,
    HeldToken,
    TokenLacking,
    TokenStanding,
    TokenStatus,
    digest_of,
    hold,
    lacking_error,
)
from jotgate.errors import AuditUnavailable
from jotgate.ports import Clock, Entropy
from jotgate.services.recorder import Recorder
from jotgate.services.refusal_log import RefusalLog
from jotgate.services.token_exchanges import Chance, Outcome, SubjectTokens, TokenExchanges, Unasked
from jotgate.services.token_sessions import TokenAccount, TokenSession

SESSIONS_MAX: Final = 16_384
"""Of so many sessions is a token held; that of the one which was wanted longest ago goes first."""
EXCHANGES_MAX: Final = 32
"""So many exchanges are under way at once; further ones wait."""

_TRIES: Final = 3
_SESSION_DIGITS: Final = 16


class Asker(Struct, frozen=True):
    """Who has something done, for the audit log."""

    actor: str = "control"
    subject: str = ""


CONTROL: Final = Asker()
_CHANGED: Final = TokenLacking("unknown", "the settings were changed while it was got")
_UNCONFIGURED: Final = TokenLacking("unconfigured", "nothing says how one is got")


class TokenNews(Protocol):
    """Whom the keeper tells something."""

    def cleared(self, upstream: str, session: str | None) -> None:
        """Workers are to use the token of this session no more; None: those of all sessions of this upstream."""

    def failing(self, upstream: str, fault: str) -> None:
        """The tokens of this upstream cannot be got any more, for this reason; empty: they can again."""


class UpstreamTokenKeeper:
    """Keeps tokens. Mutable: the grants in effect, the sessions, what is counted of each upstream."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        exchanges: TokenExchanges,
        recorder: Recorder,
        news: TokenNews,
        *,
        sessions_max: int = SESSIONS_MAX,
    ) -> None:
        self._clock = clock
        self._chance = Chance(entropy)
        self._exchanges = exchanges
        self._recorder = recorder
        self._failures = RefusalLog(recorder, clock, "upstream.token_refused")
        self._news = news
        self._cleared = news.cleared
        self._sessions_max = sessions_max
        self._grants: dict[str, TokenGrant] = {}
        self._accounts: dict[str, TokenAccount] = {}
        self._sessions: OrderedDict[tuple[str, str], TokenSession] = OrderedDict()
        self._turns = asyncio.Semaphore(EXCHANGES_MAX)

    def speak_by(self, subjects: SubjectTokens) -> None:
        """Have this say to token endpoints for which caller a token is wanted."""
        self._exchanges.speak_by(subjects)

    def follow(self, grants: Iterable[TokenGrant]) -> None:
        """These are in effect from now on; to be called on the event loop. Tokens of other ones are forgotten."""
        before, self._grants = self._grants, {grant.upstream: grant for grant in grants}
        for name, grant in before.items():
            now = self._grants.get(name)
            if now is None or now.mark != grant.mark:
                self._forget(name)
                self._accounts[name].begin_anew()
            elif now != grant:
                self._try_again(name)
        self._accounts = {name: self._accounts.get(name) or TokenAccount() for name in self._grants}

    async def find(
        self, upstream: str, session: str, refused: bytes = NO_REFUSAL, by: Asker = CONTROL
    ) -> HeldToken | TokenLacking:
        """The token of a session, which is got if there is none, or why there is none.

        `refused` is the digest of a token that the upstream refused: it is not the answer.
        """
        found: HeldToken | TokenLacking = _CHANGED
        for _ in range(_TRIES):
            grant = self._grants.get(upstream)
            if grant is None:
                return _UNCONFIGURED
            known = self._session(grant, session)
            if refused:
                self._refuse(grant, session, known, refused)
            held = known.held
            if held is not None and self._clock.now_s() < held.renew_from_s:
                return held
            found = await self._get(grant, session, known, by)
            if isinstance(found, HeldToken):
                return found
            if found is not _CHANGED:
                return self._still_good(known, found) or found
        return found

    def refuse(self, upstream: str, session: str, refused: bytes) -> None:
        """The upstream refused the token with this digest, and nobody asks for another now: it is given to nobody."""
        grant = self._grants.get(upstream)
        known = None if grant is None else self._sessions.get(_key(grant, session))
        if grant is not None and known is not None:
            self._refuse(grant, session, known, refused)

    async def held(self, upstream: str, session: str, by: Asker = CONTROL) -> HeldToken:
        """The token of a session, which is got if there is none.

        Raises:
            UpstreamTokenUnconfigured: nothing says how it is got.
            UpstreamTokenRefused: what is configured was refused, or cannot be used.
            UpstreamTokenUnavailable: the token endpoint, or the audit log, cannot be used now.
        """
        return _require(upstream, await self.find(upstream, session, by=by))

    async def renew(self, upstream: str, session: str, by: Asker = CONTROL) -> HeldToken:
        """A token that is got now, whatever is held; with others who want one meanwhile. Raises as `held` does.

        Workers take it up with their next call.
        """
        grant = self._grants.get(upstream)
        if grant is None:
            return _require(upstream, _UNCONFIGURED)
        found = _require(upstream, await self._get(grant, session, self._session(grant, session), by))
        self._cleared(upstream, session if grant.isolates else None)
        return found

    def clear(self, upstream: str, session: str | None, by: Asker = CONTROL) -> None:
        """Forget the token of a session, here and in workers; None: those of all sessions of this upstream.

        Raises:
            AuditUnavailable: it cannot be recorded, and is not done.
        """
        details = {"upstream": upstream, "session": "all" if session is None else _shown(session)}
        self._recorder.record("upstream.token_cleared", actor=by.actor, subject=by.subject, details=details)
        grant = self._grants.get(upstream)
        if session is None or grant is None or not grant.isolates:
            self._exchanges.forget_login(upstream)
            self._forget(upstream)
            self._cleared(upstream, None)
            return
        self._exchanges.forget_login(upstream, session)
        self._drop(_key(grant, session))
        self._cleared(upstream, session)

    def status(self, upstream: str, session: str) -> TokenStatus:
        """How the token of a session stands; nothing is got."""
        grant = self._grants.get(upstream)
        known = None if grant is None else self._sessions.get(_key(grant, session))
        if known is None or known.held is None:
            return TokenStatus(has_token=False, is_valid=False, expires_in_s=None)
        now_s = self._clock.now_s()
        left_s = int(known.held.ends_s - now_s)
        return TokenStatus(has_token=True, is_valid=now_s < known.held.good_until_s, expires_in_s=max(0, left_s))

    def is_configured(self, upstream: str) -> bool:
        """Whether something says how its tokens are got."""
        return upstream in self._grants

    def standings(self) -> list[TokenStanding]:
        """How the tokens of each upstream are doing."""
        return [self._standing(grant) for grant in self._grants.values()]

    async def stop(self) -> None:
        """Give up what is under way, but for refresh tokens that were sent: what comes of those is kept."""
        under_way = [known.getting for known in self._sessions.values() if known.getting is not None]
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._exchanges.settle()

    def _session(self, grant: TokenGrant, session: str) -> TokenSession:
        key = _key(grant, session)
        known = self._sessions.get(key)
        if known is not None:
            self._sessions.move_to_end(key)
            return known
        if len(self._sessions) >= self._sessions_max:
            idle = next((key for key, one in self._sessions.items() if one.getting is None), None)
            if idle is not None:
                del self._sessions[idle]
        known = self._sessions[key] = TokenSession()
        return known

    def _refuse(self, grant: TokenGrant, session: str, known: TokenSession, refused: bytes) -> None:
        """A token that is held is so no more, neither here nor by any worker."""
        if known.refuse(refused, self._chance, self._clock.monotonic_s()):
            self._cleared(grant.upstream, session if grant.isolates else None)

    def _still_good(self, known: TokenSession, lacking: TokenLacking) -> HeldToken | None:
        """The token of before, where no other can be got now and it is good: until then nobody need ask again."""
        held, now_s = known.held, self._clock.now_s()
        if held is None or now_s >= held.good_until_s:
            return None
        return replace(held, renew_from_s=min(held.good_until_s, now_s + lacking.retry_after_s))

    async def _get(self, grant: TokenGrant, session: str, known: TokenSession, by: Asker) -> HeldToken | TokenLacking:
        """What the exchange comes to that is under way for this session; it is begun if there is none."""
        if known.getting is None:
            lacking = self._look(grant, known)
            if lacking is not None:
                return lacking
            known.getting = asyncio.get_running_loop().create_task(self._obtain(grant, session, known, by))
        return await asyncio.shield(known.getting)

    def _look(self, grant: TokenGrant, known: TokenSession) -> TokenLacking | None:
        """Why nobody is asked for this session now; None: somebody may be."""
        now_s = self._clock.monotonic_s()
        return known.look(now_s) or self._account(grant).rest.look(now_s)

    def _account(self, grant: TokenGrant) -> TokenAccount:
        """What is counted of an upstream; of one that the settings name no more, or otherwise, for nobody."""
        now = self._grants.get(grant.upstream)
        return TokenAccount() if now is None or now.mark != grant.mark else self._accounts[grant.upstream]

    async def _obtain(
        self, grant: TokenGrant, session: str, known: TokenSession, by: Asker
    ) -> HeldToken | TokenLacking:
        try:
            async with self._turns:
                # While it waited for its turn, others may have found that nobody answers.
                lacking = self._look(grant, known)
                if lacking is not None:
                    return lacking
                self._recorder.check()
                outcome = await self._exchanges.run(grant, _key(grant, session)[1])
            settled = self._settle(grant, _key(grant, session)[1], known, outcome, by)
            return _CHANGED if known.void else settled
        except AuditUnavailable:
            return TokenLacking("unknown", "the audit log cannot be written, and nothing is done unrecorded")
        finally:
            known.getting = None

    def _settle(
        self, grant: TokenGrant, session: str, known: TokenSession, outcome: Outcome, by: Asker
    ) -> HeldToken | TokenLacking:
        """Take down what came of an exchange, first of all in the audit log. Raises AuditUnavailable."""
        details: dict[str, str | int] = {"upstream": grant.upstream, "session": _shown(session), "grant": grant.kind}
        account, now_s = self._account(grant), self._clock.monotonic_s()
        if isinstance(outcome, Handout) and not known.was_refused(digest_of(outcome.token)):
            if grant.keys:
                details["kid"] = grant.keys[self._exchanges.key_in_use(grant)].key_id
            details["exp"] = int(outcome.ends_s)
            self._recorder.record("upstream.token_obtained", actor=by.actor, subject=by.subject, details=details)
            held = hold(outcome.token, outcome.ends_s, self._clock.now_s())
            known.take(held, now_s)
            account.rest.over()
            account.obtained += 1
            account.obtained_at_s = self._clock.now_s()
            if account is self._accounts.get(grant.upstream):
                self._tell(grant.upstream, account, "")
            return held
        lacking = _lack(grant, outcome)
        if isinstance(outcome, Unasked):
            return lacking
        self._failures.note(by.actor, {**details, "cause": lacking.cause}, key=grant.upstream)
        account.failed += 1
        if self._grants.get(grant.upstream) != grant:
            return _CHANGED  # It says nothing of what is configured now.
        of_one = _is_of_one(grant, outcome)
        if not of_one or grant.kind not in OF_CALLERS:
            self._tell(grant.upstream, account, lacking.cause)
        resting = known.rest if of_one else account.rest
        return resting.begin(lacking, self._chance, now_s)

    def _tell(self, upstream: str, account: TokenAccount, fault: str) -> None:
        """Tell the operator what has changed: that it fails, for which reason, or no longer."""
        if fault and not account.fault:
            account.failing_since_s, account.is_told = self._clock.now_s(), True
            self._news.failing(upstream, fault)
        elif account.is_told and not fault:
            account.failing_since_s, account.is_told = 0.0, False
            self._news.failing(upstream, "")
        account.fault = fault

    def _standing(self, grant: TokenGrant) -> TokenStanding:
        account = self._account(grant)
        place = self._exchanges.key_in_use(grant)
        return TokenStanding(
            upstream=grant.upstream,
            kind=grant.kind,
            sessions=sum(key[0] == grant.upstream and one.held is not None for key, one in self._sessions.items()),
            obtained=account.obtained,
            failed=account.failed,
            key_id=grant.keys[place].key_id if grant.keys else "",
            second=place > 0,
            fault=account.fault,
            failing_since_s=account.failing_since_s,
            obtained_at_s=account.obtained_at_s,
        )

    def _forget(self, upstream: str) -> None:
        for key in [key for key in self._sessions if key[0] == upstream]:
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        """Forget a session. Whoever waits for what is under way waits for another exchange."""
        known = self._sessions.pop(key, None)
        if known is not None:
            known.void = True

    def _try_again(self, upstream: str) -> None:
        """Another key or secret of the same client: whoever was refused may be taken now."""
        self._accounts[upstream].rest.over()
        for key, known in self._sessions.items():
            if key[0] == upstream:
                known.rest.over()


def _require(upstream: str, found: HeldToken | TokenLacking) -> HeldToken:
    if isinstance(found, TokenLacking):
        raise lacking_error(upstream, found)
    return found


def _key(grant: TokenGrant, session: str) -> tuple[str, str]:
    return grant.upstream, (session or grant.session) if grant.isolates else ""


def _is_of_one(grant: TokenGrant, outcome: Outcome) -> bool:
    """Whether what went wrong says nothing of other sessions."""
    if isinstance(outcome, Declined):
        return outcome.for_session or (grant.kind in OF_CALLERS and not outcome.for_key)
    return isinstance(outcome, Handout)


def _lack(grant: TokenGrant, outcome: Outcome) -> TokenLacking:
    if isinstance(outcome, Handout):
        if grant.keeps:
            return TokenLacking("refused", "the server refuses the credential that is kept for it")
        return TokenLacking("refused", "the token endpoint handed out a token again that the upstream has refused")
    if isinstance(outcome, NotNow):
        return TokenLacking("unreachable", outcome.cause, outcome.retry_after_s)
    return TokenLacking("unconfigured" if isinstance(outcome, Unasked) else "refused", outcome.cause)


def _shown(session: str) -> str:
    """A session as it stands in the audit log."""
    return sha256(session.encode()).hexdigest()[:_SESSION_DIGITS] if session else "none"
