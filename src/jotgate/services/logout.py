"""Ends what came of a login, when its issuer says that somebody logged out (OIDC Back-Channel Logout 1.0)."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from jotgate.core.durable import Mark, RevocationKind
from jotgate.core.issuers import OURS, Issuer
from jotgate.core.key_fetches import KeysOutcome
from jotgate.core.logout import Logout, forgotten_at_s, logout_expectation, read_logout
from jotgate.core.oauth_form import Form
from jotgate.core.refresh import RefreshRules
from jotgate.core.revocations import sessionless_handle, token_handle
from jotgate.core.senders import Sender
from jotgate.errors import KeyUnknown, KeyUnpublished, LogoutRefused, OAuthRefused, TokenError
from jotgate.jose import jws, jwt
from jotgate.ports import Clock, StoreAccess
from jotgate.services.federation import Federation
from jotgate.services.key_seeking import seek
from jotgate.services.refusal_log import RefusalLog
from jotgate.services.revocation import Holder, Revoker

LOGOUT_MARK: Final = "logout"
"""The kind of the marks that logout tokens leave, each of which counts once."""

REASON: Final = "logged out"
"""What the audit log and the store say of why it was revoked."""

_DONE: Final = b"done"


class LogoutTerms(Struct, frozen=True):
    """What holds at that moment: the issuers that are trusted, and how refresh tokens live."""

    federation: Federation
    refresh: RefreshRules


class BackChannelLogout:
    """The endpoint to which issuers send logout tokens.

    `terms` are those of the moment at which it is asked; `wanted` has the keys of an issuer fetched.
    """

    def __init__(
        self,
        *,
        terms: Callable[[], LogoutTerms],
        wanted: Callable[[str], Awaitable[KeysOutcome]],
        access: StoreAccess,
        revoker: Revoker,
        clock: Clock,
        refusals: RefusalLog,
    ) -> None:
        self._terms = terms
        self._wanted = wanted
        self._access = access
        self._revoker = revoker
        self._clock = clock
        self._refusals = refusals

    async def answer(self, form: Form, sender: Sender) -> None:
        """End what a logout token says that has ended; when this returns, nothing of it is accepted any more.

        1. There is a logout token (s2.5).
        2. Its issuer is trusted, and has said as whom it knows this gateway (`logout_audiences`).
        3. It is good: a signature by a key of that issuer, `iss`, `aud`, `iat`, `exp` (s2.6, numbers 2 and 3).
        4. It is a logout token and no other (numbers 5 and 6), and says who (number 4).
        5. It was not carried out before (number 7). One that was begun, and of which nobody knows how far it came, is
           carried out again: it ends no more than it did then.
        6. The session ends for good, or of the subject what was issued until now: whoever logs in again has new
           tokens. What was traded for any of them ends with it.

        Raises:
            OAuthMalformed, LogoutRefused: it is refused.
            Unavailable: it cannot be known or recorded now; part of it may have been done.
        """
        try:
            token = form.require("logout_token")
            logout, issuer = await self._read(token.encode())
            mark = await self._begin(logout)
        except OAuthRefused as refusal:
            self._refusals.note("", {"error": refusal.error, "code": refusal.code, "peer": sender.peer})
            raise
        now_s = int(self._clock.now_s())
        ends_at_s = forgotten_at_s(issuer, now_s, await self._refresh_end(now_s))
        for holder in _holders(logout, now_s, ends_at_s):
            await self._revoker.revoke_holder(holder, reason=REASON, actor=issuer.name)
        await self._access.run(lambda store: store.fill_mark(mark.kind, mark.handle, _DONE))

    async def _read(self, token: bytes) -> tuple[Logout, Issuer]:
        try:
            return await seek(lambda: self._judge(token), self._wanted)
        except TokenError as error:
            raise LogoutRefused(f"the logout token is refused: {error.message}", debug=str(error.code)) from None

    def _judge(self, token: bytes) -> tuple[Logout, Issuer]:
        parsed = jws.parse(token)
        claims = jwt.read_claims(parsed.payload)
        found = self._terms().federation.find(claims.iss)
        issuer = found.content
        if claims.iss is None or issuer.name == OURS or not issuer.logout_audiences:
            raise LogoutRefused(
                "the logout token is refused: no logout is taken from its issuer",
                hint="Write the client ID that this gateway has there into 'logout_audiences' of its [[issuers]]",
            )
        keys = found.keys_at(self._clock.now_s())
        expectation = logout_expectation(issuer)
        try:
            jwt.verify_read(parsed, claims, keys, expectation, self._clock.now_s())
        except KeyUnknown as refusal:
            if issuer.remote and parsed.kid is not None:
                raise KeyUnpublished(issuer.name, refusal.message) from None
            raise
        return read_logout(claims, issuer), issuer

    async def _refresh_end(self, now_s: int) -> int:
        """From when on no refresh token of now is of use, nor one that is being handed out right now."""
        rules = self._terms().refresh
        known = await self._access.run(lambda store: store.last_family_end())
        return max(now_s + min(rules.idle_s, rules.life_s), known or 0)

    async def _begin(self, logout: Logout) -> Mark:
        """Mark the token for all machines, until nobody takes it any more."""
        handle = sha256(f"{logout.issuer}\0{logout.token_id}".encode()).hexdigest()
        mark = Mark(LOGOUT_MARK, handle, logout.ends_at_s)
        now_s = int(self._clock.now_s())
        known = await self._access.run(lambda store: store.mark(mark, now_s))
        if known is not None and known.content == _DONE:
            raise LogoutRefused("the logout token is refused: it was carried out before")
        return mark


def _holders(logout: Logout, now_s: int, ends_at_s: int | None) -> list[Holder]:
    """Whose tokens have ended: s2.4 means all of a subject where no session is named, and else that session alone.

    Then those of the subject end too that do not say of which session they are: it may be this one. That is remembered
    until `ends_at_s` (NumericDate; None: for good).
    """

    def holder(kind: RevocationKind, name: str, handle: str, before_s: int | None) -> Holder:
        return Holder(
            kind=kind,
            name=name,
            issuer=logout.issuer,
            handles=(handle,),
            before_s=before_s,
            expires_at_s=ends_at_s,
        )

    iss, subject, session = logout.issuer, logout.subject, logout.session
    if not session:
        return [holder(RevocationKind.SUBJECT, subject, token_handle(iss, subject), now_s)]
    ended = [holder(RevocationKind.SESSION, session, token_handle(iss, session), None)]
    if subject:
        ended.append(holder(RevocationKind.SESSION, f"none of {subject}", sessionless_handle(iss, subject), now_s))
    return ended
