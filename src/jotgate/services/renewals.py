"""Renews the tokens of a face's issuer: for a refresh token, or for an access token that is good yet.

Whatever is renewed of a token is one chain, which is a refresh-token family: it spends what its first token had, ends
with whom that speaks for and with the secret that signed it, and ends for good some time after that was issued.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.claims import RENEWED_CLIENT_ID, RENEWED_LIFE_S, AccessGrant
from jotgate.core.durable import IssuanceQuery, Mark
from jotgate.core.families import Family
from jotgate.core.logins import Login
from jotgate.core.mcp_daemon import MCP_DAEMON
from jotgate.core.mcp_daemon_tokens import (
    NONCE_BYTES,
    Renewed,
    carried_limits,
    carried_name,
    open_renewed,
    seal_renewed,
)
from jotgate.core.opaque import opaque_digest
from jotgate.core.principals import Principal
from jotgate.core.refresh import Presentation, RefreshRules, Repeat, Rotate
from jotgate.core.revocations import origins_for, refreshed_origins, token_handle
from jotgate.core.senders import Sender
from jotgate.core.values import Secret
from jotgate.errors import GrantRefused, QuotaExceeded, QuotaStanding, TokenError, TokenRevoked
from jotgate.jose import jws, jwt
from jotgate.jose.jwt import LEEWAY_S_MAX
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.services.client_refusals import ClientRefusals
from jotgate.services.families import Families, FamilyTerms
from jotgate.services.federation import TrustedIssuer
from jotgate.services.issuer import TokenIssuer
from jotgate.services.presented_tokens import told_unverified
from jotgate.services.revocation import PAGE, Revocable, RevokedSet, Revoker
from jotgate.store_ports import Store

RENEWED: Final = "renewed_token"
"""The kind of what the store keeps of a token that was renewed: what was answered, sealed by that token."""

REFRESH: Final = "face_refresh"
CHAIN_TOKENS_MAX: Final = 100
"""So many tokens of a chain there are that have not ended: a client that refreshes each quarter of an hour has 96."""

_REASON: Final = "refreshed"
_AGAIN: Final = "Get a new token as the first was got"
_UNKNOWN: Final = "the refresh token is none that was given here"


class RenewalMeans(Struct, frozen=True, kw_only=True):
    """What renewals are made by. `trusted` is the face's issuer as it is at that moment, `rules` how chains live then.

    `tokens` makes what issues tokens that the secret of a name signs; it raises UnknownOperation where none may.
    `fault` says why a family yields nothing any more; empty: there is no reason.
    """

    families: Families
    fault: Callable[[Family], str]
    revoker: Revoker
    revoked: RevokedSet
    access: StoreAccess
    clock: Clock
    entropy: Entropy
    refusals: ClientRefusals
    trusted: Callable[[], TrustedIssuer]
    tokens: Callable[[str], TokenIssuer]
    rules: Callable[[], RefreshRules]


class Renewals:
    """Those of the face of the MCP daemon. Mutable: whose turn it is, so that what is asked twice finds what was done.

    What comes at once on several machines is told apart by the store.
    """

    def __init__(self, means: RenewalMeans) -> None:
        self._means = means
        self._turn = asyncio.Lock()

    async def by_access_token(self, token: bytes, sender: Sender) -> Renewed:
        """The next token for one that is good yet; with the first of a chain comes a refresh token.

        1. The token is good: signed, in its time, not revoked. One that has expired is renewed by nothing.
        2. What it was given before it is given again, as long as it is good: an answer may get lost.
        3. The first of a chain begins a family, which has its limits, and ends some time after it was issued.
        4. The new token is made. One answer is kept, whoever asked at once, here or on another machine.
        5. The old token is good for the grace of refresh tokens yet, for what runs and for connections to go on.

        Raises:
            TokenError, GrantRefused: it gets nothing.
            UnknownOperation: tokens of this issuer are not renewed here.
            QuotaExceeded: the chain has as many tokens as it may in a day.
            IssuanceHeld, Unavailable: it cannot be known or recorded now.
        """
        refusals = self._means.refusals
        try:
            self._read(token)  # Nobody waits for whoever has none.
            async with self._turn:
                principal, name = self._read(token)
                renewed = await self._repeat(principal, token) or await self._renew(principal, name, token)
                await self._retire([_revocable(principal)])
        except GrantRefused as refusal:
            refusal.known = True
            refusals.note_grant(refusal, sender.peer, client_id=RENEWED_CLIENT_ID, grant=REFRESH)
            raise
        except TokenError as error:
            refusals.note_grant(told_unverified(GrantRefused(error.message), error), sender.peer, grant=REFRESH)
            raise
        return renewed

    async def by_refresh_token(self, text: str, sender: Sender) -> Renewed:
        """The next token for a refresh token, and the next refresh token: as `Logins.refresh` has it.

        The access tokens that the chain has are good for the grace yet. Raises as above.
        """
        means, came_s = self._means, self._means.clock.now_s()
        known = False
        try:
            found = await means.families.find(text)
            if found is None or found.family.face != MCP_DAEMON:
                raise GrantRefused(_UNKNOWN)
            known = True
            async with self._turn:
                presented = Presentation(Secret(text), RENEWED_CLIENT_ID, came_s, face=MCP_DAEMON)
                decision = await means.families.present(presented)
                live = await self._live(decision.family) if isinstance(decision, Rotate) else []
                given = await self._given(text, decision) if isinstance(decision, Repeat) else None
                renewed = given or await self._issue(decision.family)
                successor = await means.families.carry_out(presented, decision)
                renewed = replace(renewed, refresh_token=successor.reveal())
                if isinstance(decision, Rotate):
                    await self._keep(text, renewed)
                await self._retire(live)
        except GrantRefused as refusal:
            refusal.known = known
            client_id = RENEWED_CLIENT_ID if known else ""
            means.refusals.note_grant(refusal, sender.peer, client_id=client_id, grant=REFRESH)
            raise
        return renewed

    async def _given(self, text: str, repeat: Repeat) -> Renewed | None:
        """What this refresh token was given before, as long as nothing has come of that yet."""
        handle = opaque_digest(text).hex()
        sealed = await self._means.access.run(lambda store: _find(store, handle))
        found = None if sealed is None else open_renewed(text.encode(), handle, sealed)
        return found if found is not None and found.refresh_token == repeat.text.reveal() else None

    async def _keep(self, text: str, renewed: Renewed) -> None:
        """Keep an answer for whoever sends the same refresh token again within the grace."""
        means, handle = self._means, opaque_digest(text).hex()
        sealed = seal_renewed(text.encode(), handle, renewed, means.entropy.random_bytes(NONCE_BYTES))
        now_s = int(means.clock.now_s())
        mark = Mark(RENEWED, handle, now_s + means.rules().grace_s + 1, sealed)
        await means.access.run(lambda store: store.mark(mark, now_s))

    def _read(self, token: bytes) -> tuple[Principal, str | None]:
        """Whom a good token speaks for, and the name that it says. Raises TokenError."""
        means, now_s = self._means, self._means.clock.now_s()
        parsed = jws.parse(token)
        claims = jwt.read_claims(parsed.payload)
        issuer = means.trusted()
        found = issuer.verify(parsed, claims, now_s)
        means.revoked.check(found.principal, found.names, issuer.reach_s)
        return found.principal, carried_name(claims.raw)

    async def _repeat(self, principal: Principal, token: bytes) -> Renewed | None:
        """What this token was given before. Raises TokenRevoked: another of its name was given something."""
        handle = _mark_of(principal)
        sealed = await self._means.access.run(lambda store: _find(store, handle))
        return None if sealed is None else _open(token, handle, sealed)

    async def _renew(self, principal: Principal, name: str | None, token: bytes) -> Renewed:
        means, handle = self._means, _mark_of(principal)
        family, refresh = await self._chain(principal, name)
        renewed = replace(await self._issue(family), refresh_token=refresh)
        sealed = seal_renewed(token, handle, renewed, means.entropy.random_bytes(NONCE_BYTES))
        mark = Mark(RENEWED, handle, int(principal.expires_at_s) + LEEWAY_S_MAX, sealed)
        now_s = int(means.clock.now_s())
        standing = await means.access.run(lambda store: store.mark(mark, now_s))
        if standing is None:
            return renewed
        # Another machine was first: nobody has seen what was made here.
        await means.revoker.end_family(family, reason="overtaken", actor=RENEWED_CLIENT_ID) if refresh else None
        return _open(token, handle, standing.content)

    async def _chain(self, principal: Principal, name: str | None) -> tuple[Family, str]:
        """The family of what is renewed of a token, and the refresh token of one that begins; see `by_access_token`."""
        means = self._means
        if principal.family:
            family = await means.access.run(lambda store: store.family(principal.family))
            if family is None or family.subject != principal.subject or family.ended_at_s is not None:
                raise TokenRevoked("the chain of tokens that this one is of was revoked")
            if fault := means.fault(family):
                raise GrantRefused(f"the token is not renewed: {fault}", hint=_AGAIN)
            return family, ""
        means.tokens(principal.kid)  # Whether there is what would sign: nothing is begun otherwise.
        begun = await means.families.begin(self._terms(principal, name))
        return begun.family, begun.token.reveal()

    def _terms(self, principal: Principal, name: str | None) -> FamilyTerms:
        means, content = self._means, self._means.trusted().content
        now_s, rules = means.clock.now_s(), means.rules()
        ends_at_s = int(principal.issued_at_s or 0) + rules.life_s
        if ends_at_s <= now_s:
            raise GrantRefused("the token was issued too long ago to be renewed", hint=_AGAIN)
        return FamilyTerms(
            client_id=RENEWED_CLIENT_ID,
            subject=principal.subject,
            scopes=(),
            audiences=tuple(one for one in content.audiences if one in principal.audiences)[:1],
            roles=tuple(sorted(principal.roles)),
            origins=origins_for(principal, content.renewed_by, now_s=now_s),
            ends_at_s=ends_at_s,
            voucher=voucher_of(principal.kid),
            limits=carried_limits(principal),
            login=Login(face=MCP_DAEMON, name=name),
        )

    async def _issue(self, family: Family) -> Renewed:
        content = self._means.trusted().content
        await self._require_room(family)
        tokens = self._means.tokens(family.voucher.removeprefix(voucher_of("")))
        grant = AccessGrant(
            subject=family.subject,
            client_id=family.client_id,
            scopes=(),
            audiences=family.audiences,
            ttl_s=min(RENEWED_LIFE_S, content.lifetime_max_s),
            roles=family.roles,
            family=family.family_id,
            origins=refreshed_origins(family, content.renewed_by),
            not_after_s=family.ends_at_s,
            limits=family.limits,
            login=family.login,
        )
        issued = await tokens.issue(grant, actor=RENEWED_CLIENT_ID)
        return Renewed(issued.token, issued.expires_at_s)

    async def _require_room(self, family: Family) -> None:
        """What is revoked is remembered until it would have ended, by every worker: so there is an end to it."""
        live = await self._live(family)
        if len(live) >= CHAIN_TOKENS_MAX:
            now_s = int(self._means.clock.now_s())
            frees_at_s = min(one.expires_at_s or now_s for one in live)
            standing = QuotaStanding(
                name="refreshes",
                levels=("principal",),
                unit="requests",
                limit=CHAIN_TOKENS_MAX,
                spent=len(live),
                window_s=RENEWED_LIFE_S,
                resets_s=frees_at_s - now_s,
                resets_at=frees_at_s,
            )
            message = "the token was refreshed too often"
            raise QuotaExceeded(standing, message, retry_after_s=frees_at_s - now_s, hint="Use the token that you have")

    async def _live(self, family: Family) -> list[Revocable]:
        """The tokens of a family that have not ended."""
        known_as = self._means.trusted().content.issuer
        query = IssuanceQuery(live_at_s=int(self._means.clock.now_s()), family=family.family_id)
        rows = await self._means.access.run(lambda store: store.find_issuances(query, "", PAGE))
        return [Revocable(known_as, row.token_id, row.expires_at_s, row.subject) for row in rows]

    async def _retire(self, tokens: list[Revocable]) -> None:
        """Revoke what was renewed, when the grace is over; what was revoked so before stays as it was."""
        if tokens:
            grace_s = self._means.rules().grace_s
            await self._means.revoker.revoke_tokens(tokens, reason=_REASON, actor=RENEWED_CLIENT_ID, after_s=grace_s)


def voucher_of(kid: str) -> str:
    """On whose word a chain rests: that of whoever signs with the face's secret of this name."""
    return f"{MCP_DAEMON} {kid}"


def _revocable(principal: Principal) -> Revocable:
    return Revocable(principal.issuer, principal.token_id, int(principal.expires_at_s), principal.subject)


def _mark_of(principal: Principal) -> str:
    """What the store calls a token: as it is revoked and counted, whatever its text is."""
    return opaque_digest(token_handle(principal.issuer, principal.token_id)).hex()


def _find(store: Store, handle: str) -> bytes | None:
    found = store.marks_of(RENEWED, handle[:-1], 1)  # The first behind what it begins with.
    return found[0].content if found and found[0].handle == handle else None


def _open(token: bytes, handle: str, sealed: bytes) -> Renewed:
    renewed = open_renewed(token, handle, sealed)
    if renewed is None:
        raise TokenRevoked("another token with this 'jti' was renewed, and this one is not", hint=_AGAIN)
    return renewed
